// Reverse-mode differentiation of a tape: walks the records backwards and appends one backward record for each.
// A gradient is overwritten by its first writer and added to by the others, so nothing has to be cleared between steps. Over
// micro-batches the gradients of parameters gather: from the second on all are added to (`accumulating`).

import { SluiceError } from '../core/errors.ts'
import type { Graph, KernelName, OpRecord } from './graph.ts'
import { type OpDefinition, type OpName, operations } from './operations.ts'
import type { Tensor } from './tensor.ts'

export interface Differentiated {
  readonly records: readonly OpRecord[]
  /** The gradient of each parameter that the loss depends on. */
  readonly gradients: ReadonlyMap<Tensor, Tensor>
}

/** The training program of a tape whose last record makes the losses. */
export function differentiate(graph: Graph): Differentiated {
  const tape = graph.records.slice()
  const gradients = new Map<Tensor, Tensor>()
  const written = new Set<Tensor>()
  const uses = consumers(tape)
  const forward: OpRecord[] = []
  const backward: OpRecord[] = []

  /** Where the gradient of `tensor` goes, and whether something is there already. */
  function target(tensor: Tensor): { gradient: Tensor; adds: boolean } {
    const isParameter = tensor.role === 'parameter'
    let gradient = gradients.get(tensor)
    if (!gradient) {
      gradient = graph.tensor(`d ${tensor.name}`, tensor.shape, isParameter ? 'gradient' : 'activation')
      gradients.set(tensor, gradient)
    }
    const adds = written.has(tensor)
    written.add(tensor)
    return { gradient, adds }
  }

  function share(tensor: Tensor, gradient: Tensor): void {
    gradients.set(tensor, gradient)
    written.add(tensor)
  }

  function addBackward(record: OpRecord, index: number, dy: Tensor): void {
    const { a, b } = record.reads
    const shared = b !== a && b.role === 'activation' && canShare(tape, uses, index, a, b) && !written.has(a) && !written.has(b)
    for (const input of [b, a]) {
      if (shared) share(input, dy)
      else {
        const { gradient, adds } = target(input)
        backward.push({
          kernel: 'add_backward',
          reads: { dy },
          writes: { dx: gradient },
          adds: adds ? ['dx'] : [],
          scratch: {},
          attributes: {},
        })
      }
    }
  }

  for (let index = tape.length - 1; index >= 0; index--) {
    const record = tape[index]
    const definition = definitionOf(record.kernel)
    if (!definition.fusesForward) forward.unshift(record)
    const dy = gradients.get(record.writes.y)
    if (!dy && !definition.fusesForward) continue
    if (record.kernel === 'add' && dy) addBackward(record, index, dy)
    else if (definition.inPlace && dy) {
      const input = record.reads[definition.inPlace]
      const turned = graph.tensor(`d ${input.name}`, input.shape, 'activation', 'f32', dy)
      share(input, turned)
      backward.push({
        ...record,
        kernel: backwardOf(record.kernel),
        reads: { ...pick(record, definition.saves), dy },
        writes: { dx: turned },
      })
    } else {
      const writes: Record<string, Tensor> = definition.fusesForward ? { ...record.writes } : {}
      const adds: string[] = []
      for (const name of definition.differentiable) {
        const input = record.reads[name]
        if (!input || (input.role !== 'parameter' && input.role !== 'activation')) continue
        const to = target(input)
        writes[`d${name}`] = to.gradient
        if (to.adds) adds.push(`d${name}`)
      }
      const reads = { ...pick(record, definition.saves), ...(dy ? { dy } : {}) }
      const scratch = definition.backwardScratch
        ? graph.scratch(record.kernel, definition.backwardScratch(record.reads, record.attributes))
        : record.scratch
      backward.push({ ...record, kernel: backwardOf(record.kernel), reads, writes, adds, scratch })
    }
  }
  const parameters = new Map([...gradients].filter(([tensor]) => tensor.role === 'parameter'))
  return { records: [...forward, ...backward], gradients: parameters }
}

/** The program of the micro-batches after a step's first: what is there of the gradients of parameters stays. */
export function accumulating(records: readonly OpRecord[]): OpRecord[] {
  return records.map((record) => {
    const gathered = Object.keys(record.writes).filter((name) => record.writes[name].role === 'gradient')
    return { ...record, adds: [...new Set([...record.adds, ...gathered])] }
  })
}

/**
 * Whether both inputs of y = a + b may take the gradient of y as their own memory. Later writers add to it through a (a
 * residual stream), so whoever reads it through b must have run before: b is used here alone and was made after every
 * other use of a, by a record that does not pass its gradient on.
 */
function canShare(tape: readonly OpRecord[], uses: ReadonlyMap<Tensor, number[]>, index: number, a: Tensor, b: Tensor): boolean {
  const maker = tape.findIndex((record) => record.writes.y === b)
  if (a.role !== 'activation' || maker < 0 || (uses.get(b)?.length ?? 0) !== 1) return false
  const definition = definitionOf(tape[maker].kernel)
  if (definition.inPlace || tape[maker].kernel === 'add') return false
  return (uses.get(a) ?? []).every((use) => use === index || use < maker)
}

/** The records that read each tensor. */
function consumers(tape: readonly OpRecord[]): Map<Tensor, number[]> {
  const uses = new Map<Tensor, number[]>()
  tape.forEach((record, index) => {
    for (const tensor of Object.values(record.reads)) uses.set(tensor, [...(uses.get(tensor) ?? []), index])
  })
  return uses
}

function pick(record: OpRecord, names: readonly string[]): Record<string, Tensor> {
  const picked: Record<string, Tensor> = {}
  for (const name of names) {
    const tensor = record.reads[name] ?? record.writes[name]
    if (tensor) picked[name] = tensor
  }
  return picked
}

function isOperation(kernel: KernelName): kernel is OpName {
  return kernel in operations
}

function definitionOf(kernel: KernelName): OpDefinition {
  if (isOperation(kernel)) return operations[kernel]
  throw new SluiceError('SLUICE_TENSOR_TAPE', `a tape holds operations of models only, found ${kernel}`)
}

function backwardOf(kernel: KernelName): KernelName {
  if (isOperation(kernel)) return `${kernel}_backward`
  throw new SluiceError('SLUICE_TENSOR_TAPE', `${kernel} has no backward kernel`)
}
