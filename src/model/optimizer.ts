// How the parameters of a model are updated: what each block keeps beside its weights, and the records of one step. AdamW for
// all, or Muon for matrices inside blocks (src/tensor/muon.ts), in groups with rates and decay of their own.

import { SluiceError } from '../core/errors.ts'
import type { Graph, OpRecord } from '../tensor/graph.ts'
import { muonFactor } from '../tensor/muon.ts'
import { ELEMENTS_PER_BLOCK, elements } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { ParameterBlock, ParameterRole } from './parameters.ts'

/** How the parameters of a group are updated. */
export interface ParameterGroup {
  readonly optimizer: 'adamw' | 'muon'
  readonly decays: boolean
  /** What the learning rate is multiplied with. */
  readonly rateFactor: number
}

export type GroupOf = (parameter: { readonly names: readonly string[]; readonly role: ParameterRole }) => ParameterGroup

/** AdamW; matrices and tables decay, norms and biases do not. */
export const defaultGroup: GroupOf = ({ role }) => ({ optimizer: 'adamw', decays: role !== 'vector', rateFactor: 1 })

/** moment1: AdamW's first moment, Muon's momentum. moment2: AdamW's second. average: of the weights, where it is kept. */
export type StateKind = 'weights' | 'gradient' | 'moment1' | 'moment2' | 'average'

/** The tensors of one parameter block. */
export interface BlockState {
  readonly block: ParameterBlock
  readonly group: ParameterGroup
  readonly tensors: { readonly weights: Tensor; readonly gradient: Tensor } & Readonly<Partial<Record<StateKind, Tensor>>>
  /** Of its sums of squares among those of all blocks. */
  readonly firstSquare: number
  readonly hyper: Tensor
}

export interface UpdateOptions {
  readonly learningRate: number
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  readonly weightDecay: number
  /** From 1. */
  readonly step: number
  /** Of Muon; default 0.95. */
  readonly momentum?: number
  /** How much of the average of the weights a step keeps, where it is kept; default 0.999. */
  readonly averageDecay?: number
}

/** Where a device decides on an update by itself; what each holds: kernels/cuda/elements.cu. Doubles take the place of two floats. */
export interface GateTensors {
  readonly limits: Tensor
  readonly sum: Tensor
  readonly gate: Tensor
  readonly report: Tensor
}

export interface Optimizer {
  readonly states: readonly BlockState[]
  /** f64 sums of squares of all gradients, one block's after another's. */
  readonly squares: Tensor
  readonly normRecords: readonly OpRecord[]
  readonly updateRecords: readonly OpRecord[]
  /** One input of hyperparameters for each rate factor. */
  readonly hypers: ReadonlyMap<number, Tensor>
}

const HYPER_FLOATS = 12

export function createGate(graph: Graph): GateTensors {
  const limits = graph.tensor('limits', [10], 'input', 'i32')
  const [sum, gate, report] = [2, 2, 6].map((words, index) => graph.tensor(['loss sum', 'gate', 'report'][index], [words], 'state'))
  return { limits, sum, gate, report }
}

/** Ends a pass. */
export function lossSumRecord(losses: Tensor, { sum }: GateTensors): OpRecord {
  return { ...nothing, kernel: 'loss_sum', reads: { losses }, writes: { sum } }
}

/** @throws SluiceError SLUICE_MODEL_OPTIMIZER where Muon is asked to update what is no matrix of a block */
export function createOptimizer(
  graph: Graph,
  blocks: readonly ParameterBlock[],
  gradients: ReadonlyMap<Tensor, Tensor>,
  { groupOf, keepsAverage, gate }: { groupOf: GroupOf; keepsAverage: boolean; gate?: GateTensors },
): Optimizer {
  const hypers = new Map<number, Tensor>()
  let squareCount = 0
  const states = blocks.map((block): BlockState => {
    const group = groupOf({ names: block.parts.map(({ name }) => name), role: block.role })
    const hyper = hypers.get(group.rateFactor) ?? graph.tensor(`hyper ${group.rateFactor}`, [HYPER_FLOATS], 'input')
    hypers.set(group.rateFactor, hyper)
    const firstSquare = squareCount
    squareCount += Math.ceil(elements(block.tensor.shape) / ELEMENTS_PER_BLOCK)
    return stateOf(graph, block, gradients, { group, hyper, firstSquare, keepsAverage })
  })
  const squares = graph.tensor('squares', [2 * squareCount], 'state')
  const updates = states.flatMap((state) => updateRecords(graph, state))
  return {
    states,
    squares,
    hypers,
    normRecords: states.map((state) => squareSumRecord(state, squares)),
    updateRecords: gate ? updates.map((record) => gated(record, gate)) : updates,
  }
}

function stateOf(
  graph: Graph,
  block: ParameterBlock,
  gradients: ReadonlyMap<Tensor, Tensor>,
  { group, hyper, firstSquare, keepsAverage }: { group: ParameterGroup; hyper: Tensor; firstSquare: number; keepsAverage: boolean },
): BlockState {
  const { name, shape } = block.tensor
  if (group.optimizer === 'muon' && shape.length !== 2)
    throw new SluiceError('SLUICE_MODEL_OPTIMIZER', `Muon updates matrices, ${name} is none`, { fix: 'give norms and biases to AdamW' })
  const moment = (kind: StateKind) => graph.tensor(`${kind} ${name}`, shape, 'moment')
  const tensors = {
    weights: block.tensor,
    gradient: gradients.get(block.tensor) ?? graph.tensor(`d ${name}`, shape, 'gradient'),
    moment1: moment('moment1'),
    ...(group.optimizer === 'adamw' ? { moment2: moment('moment2') } : {}),
    ...(keepsAverage ? { average: moment('average') } : {}),
  }
  return { block, group, hyper, tensors, firstSquare }
}

function squareSumRecord({ tensors: { gradient }, firstSquare }: BlockState, partials: Tensor): OpRecord {
  return { ...nothing, kernel: 'square_sum', reads: { x: gradient }, writes: { partials }, attributes: { offset: firstSquare } }
}

/** What the gate keeps from happening: all but what lies between momentum and update. */
function gated(record: OpRecord, { gate }: GateTensors): OpRecord {
  return record.kernel === 'orthogonalize' ? record : { ...record, reads: { ...record.reads, gate } }
}

const nothing = { adds: [], scratch: {}, attributes: {} }

function updateRecords(graph: Graph, state: BlockState): OpRecord[] {
  const { weights, average } = state.tensors
  const { hyper } = state
  const update = state.group.optimizer === 'muon' ? muonRecords(graph, state) : [adamwRecord(state)]
  return average ? [...update, { ...nothing, kernel: 'average', reads: { hyper, parameter: weights }, writes: { average } }] : update
}

function adamwRecord({ group, hyper, tensors: { weights, gradient, moment1, moment2 } }: BlockState): OpRecord {
  if (!moment1 || !moment2) throw new TypeError('AdamW keeps two moments')
  const writes = { parameter: weights, first: moment1, second: moment2 }
  return { ...nothing, kernel: 'adamw', reads: { hyper, gradient }, writes, attributes: { decays: Number(group.decays) } }
}

/** Each part of a block is a matrix of its own. */
function muonRecords(graph: Graph, { block, group, hyper, tensors: { weights, gradient, moment1 } }: BlockState): OpRecord[] {
  if (!moment1) throw new TypeError('Muon keeps a momentum')
  const { shape } = block.tensor
  const [x, y] = ['momentum', 'update'].map((name) => graph.tensor(`${name} of ${block.tensor.name}`, shape, 'activation'))
  const orthogonal = block.parts.map(({ shape: [rows, columns], offset }): OpRecord => {
    const side = Math.min(rows, columns)
    const partials = [2 * Math.ceil((rows * columns) / ELEMENTS_PER_BLOCK)]
    return {
      ...nothing,
      kernel: 'orthogonalize',
      reads: {},
      writes: { x, y },
      scratch: graph.scratch('orthogonalize', { gram: [side, side], square: [side, side], partials }),
      attributes: { offset, rows, columns, factor: muonFactor(rows, columns) },
    }
  })
  return [
    { ...nothing, kernel: 'muon_momentum', reads: { hyper, gradient }, writes: { momentum: moment1, x } },
    ...orthogonal,
    {
      ...nothing,
      kernel: 'muon_update',
      reads: { hyper, x: y },
      writes: { parameter: weights },
      attributes: { decays: Number(group.decays) },
    },
  ]
}

/** What the kernels read, in their order (kernels/wasm/tensor/elements.ts and update.ts). */
export function hyperValues(options: UpdateOptions, { rateFactor, clip }: { rateFactor: number; clip: number }): Float32Array {
  const { learningRate, beta1, beta2, epsilon, weightDecay, step, momentum = 0.95, averageDecay = 0.999 } = options
  const corrections = [1 / (1 - beta1 ** step), 1 / (1 - beta2 ** step)]
  return Float32Array.of(
    ...[learningRate * rateFactor, beta1, beta2, epsilon, weightDecay, clip],
    ...corrections,
    ...[1 - beta1, 1 - beta2, momentum, 1 - averageDecay],
  )
}
