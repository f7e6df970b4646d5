// A model that can be trained: tape, backward pass, memory plan and device put together once, for one shape of batch.
// Same seed and batches give the same losses bit for bit on one machine, for any number of threads.

import { SluiceError } from '../core/errors.ts'
import { cpuArenaStart, createCpuDevice } from '../tensor/cpu/cpu-device.ts'
import { ELEMENTS_PER_BLOCK } from '../tensor/cpu/launches.ts'
import { differentiate } from '../tensor/differentiate.ts'
import type { Graph, OpRecord } from '../tensor/graph.ts'
import { addresses, placeActivations, placePersistent } from '../tensor/plan.ts'
import { elements } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { Batch } from './batch.ts'
import { batchLoader } from './batch-loader.ts'
import type { ModelConfig } from './config.ts'
import { initialValues } from './init.ts'
import type { ParameterBlock, ParameterRole } from './parameters.ts'
import { flopsPerToken, parameterCount } from './size.ts'
import { type BatchShape, type LossOptions, traceTraining } from './trace.ts'

/** How the parameters of a group are updated. */
export interface ParameterGroup {
  readonly decays: boolean
  /** What the learning rate is multiplied with. */
  readonly rateFactor: number
}

export interface Parameter extends ParameterGroup {
  readonly name: string
  readonly shape: readonly number[]
  readonly role: ParameterRole
}

export interface StepOptions {
  readonly learningRate: number
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  readonly weightDecay: number
  /** Gradients of a larger global norm are scaled down to it; 0: never. */
  readonly maxNorm: number
  /** From 1. */
  readonly step: number
}

export const STATE_KINDS = ['weights', 'moment1', 'moment2', 'gradient'] as const
export type StateKind = (typeof STATE_KINDS)[number]

export interface Trainable {
  readonly config: ModelConfig
  readonly parameters: readonly Parameter[]
  readonly parameterCount: number
  readonly flopsPerToken: number
  readonly arenaBytes: number
  /** Mean loss (nats) over the targets and how many there were; no gradients. */
  evaluate(batch: Batch): { loss: number; targets: number }
  /** Forward and backward: adds gradients of the sum of losses divided by `denominator`; returns the sum of losses and targets. */
  accumulate(batch: Batch, denominator: number): { lossSum: number; targets: number }
  /**
   * Clips by global norm, updates, zeroes gradients. Where the norm is not finite, weights and moments stay as they are:
   * the caller sees it in `gradientNorm`.
   */
  step(options: StepOptions): { gradientNorm: number }
  /** Zeroes gradients without an update. */
  discard(): void
  /** Copies out. */
  read(kind: StateKind, name: string): Float32Array
  /** Copies in. */
  write(kind: StateKind, name: string, values: Float32Array): void
  dispose(): Promise<void>
}

/** With the shape of the largest batch: a smaller one is padded to it. */
export interface TrainableOptions extends BatchShape {
  readonly threads: number
  readonly seed: number
  readonly loss?: LossOptions
  /** The group of each parameter; where absent, matrices and tables decay, norms and biases do not, and all have one rate. */
  readonly groupOf?: (parameter: { readonly names: readonly string[]; readonly role: ParameterRole }) => ParameterGroup
}

/** The tensors of one parameter block. */
interface BlockState extends Readonly<Record<StateKind, Tensor>> {
  readonly block: ParameterBlock
  readonly group: ParameterGroup
  readonly partials: Tensor
}

/** What AdamW reads besides its tensors, see `adamw` in kernels/wasm/tensor/elements.ts. */
const HYPER_FLOATS = 10

/** @throws SluiceError SLUICE_MODEL_LENGTH where rows are longer than the model's context; SLUICE_TENSOR_MEMORY where it does not fit */
export async function createTrainable(config: ModelConfig, options: TrainableOptions): Promise<Trainable> {
  const { rows, length, targetLength = 0, threads, seed, loss, groupOf = defaultGroup } = options
  if (Math.max(length, targetLength) > config.contextLength)
    throw new SluiceError(
      'SLUICE_MODEL_LENGTH',
      `rows of ${Math.max(length, targetLength)} tokens exceed the model's context of ${config.contextLength}`,
      { fix: `train on rows of at most ${config.contextLength}, or set contextLength` },
    )
  const tape = traceTraining(config, options, loss)
  const { graph, losses } = tape
  const forward = graph.records.slice()
  const { records: training, gradients } = differentiate(graph)
  const states = tape.parameters.map((block) => stateOf(graph, block, gradients, groupOf))
  /** What AdamW reads besides its tensors, one for each rate. */
  const hypers = new Map<number, Tensor>()
  for (const { group } of states)
    if (!hypers.has(group.rateFactor)) hypers.set(group.rateFactor, graph.tensor(`hyper ${group.rateFactor}`, [HYPER_FLOATS], 'input'))
  const persistent = placePersistent(graph.tensors, cpuArenaStart)
  const kept = new Set([losses])
  const trainingPlan = placeActivations(training, kept, persistent.endBytes)
  const forwardPlan = placeActivations(forward, kept, persistent.endBytes)
  const arenaBytes = Math.max(trainingPlan.endBytes, forwardPlan.endBytes) - cpuArenaStart
  const device = await createCpuDevice({ arenaBytes, threads, records: training })

  const at = addresses(persistent)
  const trainingAt = addresses(persistent, trainingPlan)
  const forwardAt = addresses(persistent, forwardPlan)
  const trainingProgram = device.compile(training, trainingAt)
  const forwardProgram = device.compile(forward, forwardAt)
  const normProgram = device.compile(states.map(squareSumRecord), at)
  const updateProgram = device.compile(
    states.map((state) => adamwRecord(state, hypers)),
    at,
  )

  states.forEach(({ weights, block }, index) => {
    device.upload(at(weights), initialValues(block, index, seed))
  })
  for (const { tensor, values } of tape.constants) device.upload(at(tensor), values())

  const loader = batchLoader(config, tape, rows)
  const inputs = { ...tape.inputs, targets: tape.targets }
  const targetLosses = new Float32Array(elements(losses.shape))
  const hyperValues = new Float32Array(HYPER_FLOATS)
  const scaleValue = new Float32Array(1)

  /** Checks and pads a batch, sends it to the device, and returns how many targets it has. */
  function load(batch: Batch): number {
    const count = loader.load(batch)
    for (const [name, tensor] of Object.entries(inputs)) device.upload(at(tensor), loader.arrays[name])
    return count
  }

  function sumOfLosses(address: number): number {
    device.download(address, targetLosses)
    let sum = 0
    for (let i = 0; i < targetLosses.length; i++) sum += targetLosses[i]
    return sum
  }

  function gradientNorm(): number {
    device.run(normProgram)
    let squares = 0
    for (const { partials } of states) {
      const sums = new Float64Array(elements(partials.shape) / 2)
      device.downloadDoubles(at(partials), sums)
      for (const sum of sums) squares += sum
    }
    return Math.sqrt(squares)
  }

  function discard(): void {
    for (const { gradient } of states) device.fill(at(gradient), elements(gradient.shape), 0)
  }

  const places = new Map<string, { state: BlockState; offset: number; size: number }>()
  for (const state of states)
    for (const { name, shape, offset } of state.block.parts) places.set(name, { state, offset, size: elements(shape) })

  function placeOf(kind: StateKind, name: string): { address: number; size: number } {
    const place = places.get(name)
    if (!place)
      throw new SluiceError('SLUICE_MODEL_PARAMETER', `the model has no parameter ${name}`, { fix: 'see the names in `parameters`' })
    return { address: at(place.state[kind]) + place.offset * 4, size: place.size }
  }

  return {
    config,
    parameters: states.flatMap(({ block, group }) => block.parts.map(({ name, shape }) => ({ name, shape, role: block.role, ...group }))),
    parameterCount: parameterCount(config),
    flopsPerToken: flopsPerToken(config, options),
    arenaBytes,
    evaluate(batch) {
      const count = load(batch)
      device.run(forwardProgram)
      const sum = sumOfLosses(forwardAt(losses))
      return { loss: count === 0 ? 0 : sum / count, targets: count }
    },
    accumulate(batch, denominator) {
      const count = load(batch)
      scaleValue[0] = 1 / denominator
      device.upload(at(tape.scale), scaleValue)
      device.run(trainingProgram)
      return { lossSum: sumOfLosses(trainingAt(losses)), targets: count }
    },
    step({ learningRate, beta1, beta2, epsilon, weightDecay, maxNorm, step }) {
      if (step < 1) throw new RangeError(`steps count from 1, got ${step}`)
      const norm = gradientNorm()
      if (!Number.isFinite(norm)) {
        discard()
        return { gradientNorm: norm }
      }
      const scale = maxNorm > 0 && norm > maxNorm ? maxNorm / norm : 1
      const corrections = [1 / (1 - beta1 ** step), 1 / (1 - beta2 ** step)]
      for (const [rateFactor, hyper] of hypers) {
        hyperValues.set([learningRate * rateFactor, beta1, beta2, epsilon, weightDecay, scale, ...corrections, 1 - beta1, 1 - beta2])
        device.upload(at(hyper), hyperValues)
      }
      device.run(updateProgram)
      return { gradientNorm: norm }
    },
    discard,
    read(kind, name) {
      const { address, size } = placeOf(kind, name)
      const values = new Float32Array(size)
      device.download(address, values)
      return values
    },
    write(kind, name, values) {
      const { address, size } = placeOf(kind, name)
      if (values.length !== size)
        throw new SluiceError('SLUICE_MODEL_PARAMETER', `${name} has ${size} values, ${values.length} were given`, {
          fix: 'use a checkpoint of the same model configuration',
        })
      device.upload(address, values)
    },
    dispose: () => device.dispose(),
  }
}

function defaultGroup({ role }: { readonly role: ParameterRole }): ParameterGroup {
  return { decays: role !== 'vector', rateFactor: 1 }
}

function stateOf(
  graph: Graph,
  block: ParameterBlock,
  gradients: ReadonlyMap<Tensor, Tensor>,
  groupOf: NonNullable<TrainableOptions['groupOf']>,
): BlockState {
  const { name, shape } = block.tensor
  return {
    block,
    group: groupOf({ names: block.parts.map(({ name }) => name), role: block.role }),
    weights: block.tensor,
    gradient: gradients.get(block.tensor) ?? graph.tensor(`d ${name}`, shape, 'gradient'),
    moment1: graph.tensor(`moment1 ${name}`, shape, 'moment'),
    moment2: graph.tensor(`moment2 ${name}`, shape, 'moment'),
    partials: graph.tensor(`squares ${name}`, [2 * Math.ceil(elements(shape) / ELEMENTS_PER_BLOCK)], 'state'),
  }
}

function squareSumRecord({ gradient, partials }: BlockState): OpRecord {
  return { kernel: 'square_sum', reads: { x: gradient }, writes: { partials }, adds: [], scratch: {}, attributes: {} }
}

function adamwRecord({ group, weights, gradient, moment1, moment2 }: BlockState, hypers: ReadonlyMap<number, Tensor>): OpRecord {
  const hyper = hypers.get(group.rateFactor)
  if (!hyper) throw new TypeError(`no hyperparameters for the rate factor ${group.rateFactor}`)
  const writes = { parameter: weights, gradient, first: moment1, second: moment2 }
  return { kernel: 'adamw', reads: { hyper }, writes, adds: [], scratch: {}, attributes: { decays: Number(group.decays) } }
}
