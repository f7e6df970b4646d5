// The end of a step: the norm, the decision whether it is an update, and the update, by AdamW or Muon.

import type { OpRecord } from '../graph.ts'
import { NEWTON_SCHULZ, NEWTON_SCHULZ_STEPS } from '../muon.ts'
import { ELEMENTS_PER_BLOCK, elements } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import type { Launch, Matrix, Operand } from './launch.ts'
import {
  blocksOf,
  copyOf,
  ELEMENTS_PER_GRID_BLOCK,
  elementwise,
  float,
  int,
  kernel,
  type Lowerings,
  none,
  optional,
  product,
  whole,
} from './operands.ts'

/** One matrix of a block, in f32. The polynomial is taken of the smaller Gram matrix, its last one times the factor. */
function orthogonalize({
  writes: { x, y },
  scratch: { gram, square, partials },
  attributes: { offset, rows, columns, factor },
}: OpRecord): Launch[] {
  const n = rows * columns
  const side = Math.min(rows, columns)
  const parts = blocksOf(n, ELEMENTS_PER_BLOCK)
  const part = (tensor: Tensor): Operand => ({ kind: 'tensor', tensor, offsetBytes: offset * 4 })
  const full = (operand: Operand, stride: number, isTransposed = false): Matrix => ({ operand, type: 'f32', stride, isTransposed })
  const launches: Launch[] = [
    kernel('elements', 'square_sum', parts, [part(x), whole(partials), int(n), int(ELEMENTS_PER_BLOCK)]),
    kernel('elements', 'normalize', blocksOf(n, ELEMENTS_PER_GRID_BLOCK), [part(x), whole(partials), int(parts), int(n)]),
  ]
  const [inner, outer] = [full(whole(gram), side), full(whole(square), side)]
  let [from, to] = [part(x), part(y)]
  for (let step = 1; step <= NEWTON_SCHULZ_STEPS; step++) {
    const [along, across] = [full(from, columns), full(from, columns, true)]
    const isWide = rows <= columns
    const coefficients = NEWTON_SCHULZ.map((value) => float(step === NEWTON_SCHULZ_STEPS ? value * factor : value))
    launches.push(
      product({ M: side, N: side, K: n / side }, isWide ? along : across, isWide ? across : along, inner, false),
      product({ M: side, N: side, K: side }, inner, inner, outer, false),
      kernel('elements', 'polynomial', blocksOf(side * side, ELEMENTS_PER_GRID_BLOCK), [
        whole(gram),
        whole(square),
        int(side),
        ...coefficients,
      ]),
      product({ M: rows, N: columns, K: side }, isWide ? outer : along, isWide ? along : outer, full(to, columns), false),
    )
    ;[from, to] = [to, from]
  }
  return launches
}

export const updateLaunches = {
  square_sum: ({ reads: { x }, writes: { partials }, attributes: { offset } }) => {
    const n = elements(x.shape)
    const own: Operand = { kind: 'tensor', tensor: partials, offsetBytes: offset * 8 }
    return [kernel('elements', 'square_sum', blocksOf(n, ELEMENTS_PER_BLOCK), [whole(x), own, int(n), int(ELEMENTS_PER_BLOCK)])]
  },
  loss_sum: ({ reads: { losses }, writes: { sum } }) => [
    kernel('elements', 'loss_sum', 1, [whole(losses), whole(sum), int(elements(losses.shape))]),
  ],
  gate: ({ reads: { squares, limits }, writes: { sum, gate, report } }) => {
    const parts = int(elements(squares.shape) / 2)
    return [kernel('elements', 'gate', 1, [whole(squares), parts, whole(sum), whole(limits), whole(gate), whole(report)])]
  },
  adamw: ({ reads: { hyper, gate, gradient }, writes: { parameter, first, second }, attributes: { decays } }, { copies }) => {
    const n = elements(parameter.shape)
    const copy = copies.has(parameter) ? copyOf(parameter) : none
    return [
      elementwise('adamw', n, [
        ...[whole(parameter), whole(gradient), whole(first), whole(second), copy],
        ...[int(n), int(decays), whole(hyper), optional(gate)],
      ]),
    ]
  },
  muon_momentum: ({ reads: { hyper, gate, gradient }, writes: { momentum, x } }) => {
    const n = elements(gradient.shape)
    return [elementwise('muon_momentum', n, [whole(gradient), whole(momentum), whole(x), int(n), whole(hyper), optional(gate)])]
  },
  orthogonalize,
  muon_update: ({ reads: { hyper, x, gate }, writes: { parameter }, attributes: { decays } }, { copies }) => {
    const n = elements(parameter.shape)
    const copy = copies.has(parameter) ? copyOf(parameter) : none
    return [elementwise('muon_update', n, [whole(parameter), whole(x), copy, int(n), int(decays), whole(hyper), optional(gate)])]
  },
  average: ({ reads: { hyper, parameter, gate }, writes }) => {
    const n = elements(parameter.shape)
    return [elementwise('average', n, [whole(parameter), whole(writes.average), int(n), whole(hyper), optional(gate)])]
  },
} satisfies Lowerings
