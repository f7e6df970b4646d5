// Element by element: activations, gates, scales and sums.

import { elements, rowCount, rowLength } from '../shape.ts'
import { act, adds, elementwise, float, int, type Lowerings, optionalAct } from './operands.ts'

export const elementLaunches = {
  activation: ({ reads: { x }, writes: { y }, attributes: { kind } }, context) => {
    const n = elements(x.shape)
    return [elementwise('activation', n, [act(x, context), act(y, context), int(n), int(kind)])]
  },
  activation_backward: (record, context) => {
    const { x, dy } = record.reads
    const n = elements(x.shape)
    const args = [
      act(x, context),
      act(dy, context),
      act(record.writes.dx, context),
      adds(record, 'dx'),
      int(n),
      int(record.attributes.kind),
    ]
    return [elementwise('activation_backward', n, args)]
  },

  gated: ({ reads: { x }, writes: { y }, attributes: { kind } }, context) => {
    const args = [act(x, context), act(y, context), int(rowCount(y.shape)), int(rowLength(y.shape)), int(kind)]
    return [elementwise('gated', elements(y.shape), args)]
  },
  gated_backward: (record, context) => {
    const { x, dy } = record.reads
    const shape = [int(rowCount(dy.shape)), int(rowLength(dy.shape)), int(record.attributes.kind)]
    const args = [act(x, context), act(dy, context), act(record.writes.dx, context), adds(record, 'dx'), ...shape]
    return [elementwise('gated_backward', elements(dy.shape), args)]
  },

  scale: ({ reads: { x }, writes: { y }, attributes: { factor } }, context) => {
    const n = elements(x.shape)
    return [elementwise('scale', n, [act(x, context), act(y, context), int(0), int(n), float(factor)])]
  },
  scale_backward: (record, context) => {
    const { dy } = record.reads
    const n = elements(dy.shape)
    const args = [act(dy, context), act(record.writes.dx, context), adds(record, 'dx'), int(n), float(record.attributes.factor)]
    return [elementwise('scale', n, args)]
  },

  add: ({ reads: { a, b }, writes: { y } }, context) => {
    const n = elements(a.shape)
    return [elementwise('add', n, [act(a, context), act(b, context), act(y, context), int(n)])]
  },
  add_backward: (record, context) => {
    const { dy } = record.reads
    const { dx } = record.writes
    const n = elements(dy.shape)
    const before = optionalAct(record.adds.includes('dx') ? dx : undefined, context)
    return [elementwise('add', n, [act(dy, context), before, act(dx, context), int(n)])]
  },
} satisfies Lowerings
