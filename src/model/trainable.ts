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
import type { TokenBatch } from './batch.ts'
import type { ModelConfig } from './config.ts'
import { type ParameterBlock, traceTraining } from './decoder.ts'
import { initialValues, rotaryValues } from './init.ts'
import { flopsPerToken, parameterCount } from './size.ts'

export interface Parameter {
  readonly name: string
  readonly shape: readonly number[]
  readonly decays: boolean
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
  evaluate(batch: TokenBatch): { loss: number; targets: number }
  /** Forward and backward: adds gradients of the sum of losses divided by `denominator`; returns the sum of losses and targets. */
  accumulate(batch: TokenBatch, denominator: number): { lossSum: number; targets: number }
  /**
   * Clips by global norm, updates, zeroes gradients. Where the norm is not finite, weights and moments stay as they are:
   * the caller sees it in `gradientNorm`.
   */
  step(options: StepOptions): { gradientNorm: number }
  /** Copies out. */
  read(kind: StateKind, name: string): Float32Array
  /** Copies in. */
  write(kind: StateKind, name: string, values: Float32Array): void
  dispose(): Promise<void>
}

export interface TrainableOptions {
  /** Rows and tokens a row of the largest batch; a smaller one is padded to it. */
  readonly rows: number
  readonly length: number
  readonly threads: number
  readonly seed: number
}

/** The tensors of one parameter block. */
interface BlockState extends Readonly<Record<StateKind, Tensor>> {
  readonly block: ParameterBlock
  readonly partials: Tensor
}

/** What AdamW reads besides its tensors, see `adamw` in kernels/wasm/tensor/elements.ts. */
const HYPER_FLOATS = 10

/** @throws SluiceError SLUICE_MODEL_LENGTH where rows are longer than the model's context; SLUICE_TENSOR_MEMORY where it does not fit */
export async function createTrainable(config: ModelConfig, options: TrainableOptions): Promise<Trainable> {
  const { rows, length, threads, seed } = options
  if (length > config.contextLength)
    throw new SluiceError('SLUICE_MODEL_LENGTH', `rows of ${length} tokens exceed the model's context of ${config.contextLength}`, {
      fix: `train on rows of at most ${config.contextLength}, or set contextLength`,
    })
  if (config.architecture !== 'decoder') throw new RangeError(`cannot be trained yet: ${config.architecture}`)
  const tape = traceTraining(config, { rows, length })
  const { graph, losses } = tape
  const forward = graph.records.slice()
  const { records: training, gradients } = differentiate(graph)
  const states = tape.parameters.map((block) => stateOf(graph, block, gradients))
  const hyper = graph.tensor('hyper', [HYPER_FLOATS], 'input')
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
    states.map((state) => adamwRecord(state, hyper)),
    at,
  )

  states.forEach(({ weights, block }, index) => {
    device.upload(at(weights), initialValues(block, index, config, seed))
  })
  if (tape.rotary) {
    const values = rotaryValues(tape.rotary, config.ropeTheta)
    device.upload(at(tape.rotary.cosines), values.cosines)
    device.upload(at(tape.rotary.sines), values.sines)
  }

  const tokens = rows * length
  const ids = new Int32Array(tokens)
  const targets = new Int32Array(tokens)
  const lo = new Int32Array(tokens)
  const positions = new Int32Array(tokens)
  const tokenLosses = new Float32Array(tokens)
  const hyperValues = new Float32Array(HYPER_FLOATS)
  const scaleValue = new Float32Array(1)

  /** Checks and pads a batch, sends it to the device, and returns how many targets it has. */
  function load(batch: TokenBatch): number {
    const count = padInto(batch, { rows, length, vocabularySize: config.vocabularySize }, { ids, targets, lo, positions })
    device.upload(at(tape.ids), ids)
    device.upload(at(tape.targets), targets)
    device.upload(at(tape.lo), lo)
    device.upload(at(tape.positions), positions)
    return count
  }

  function sumOfLosses(address: number): number {
    device.download(address, tokenLosses)
    let sum = 0
    for (let i = 0; i < tokens; i++) sum += tokenLosses[i]
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
    parameters: states.flatMap(({ block }) => block.parts.map(({ name, shape }) => ({ name, shape, decays: decays(block.tensor) }))),
    parameterCount: parameterCount(config),
    flopsPerToken: flopsPerToken(config, length),
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
        for (const { gradient } of states) device.fill(at(gradient), elements(gradient.shape), 0)
        return { gradientNorm: norm }
      }
      const scale = maxNorm > 0 && norm > maxNorm ? maxNorm / norm : 1
      const corrections = [1 / (1 - beta1 ** step), 1 / (1 - beta2 ** step)]
      hyperValues.set([learningRate, beta1, beta2, epsilon, weightDecay, scale, ...corrections, 1 - beta1, 1 - beta2])
      device.upload(at(hyper), hyperValues)
      device.run(updateProgram)
      return { gradientNorm: norm }
    },
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

/** Matrices decay, norms and biases do not. */
function decays(parameter: Tensor): boolean {
  return parameter.shape.length > 1
}

function stateOf(graph: Graph, block: ParameterBlock, gradients: ReadonlyMap<Tensor, Tensor>): BlockState {
  const { name, shape } = block.tensor
  return {
    block,
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

function adamwRecord({ weights, gradient, moment1, moment2 }: BlockState, hyper: Tensor): OpRecord {
  const writes = { parameter: weights, gradient, first: moment1, second: moment2 }
  return { kernel: 'adamw', reads: { hyper }, writes, adds: [], scratch: {}, attributes: { decays: Number(decays(weights)) } }
}

interface BatchArrays {
  ids: Int32Array
  targets: Int32Array
  lo: Int32Array
  positions: Int32Array
}

/**
 * Copies a batch into arrays of rows × length; what it lacks becomes tokens without targets. Positions count from lo.
 *
 * @returns the number of targets
 * @throws SluiceError SLUICE_MODEL_BATCH where it is too large or a value is out of range
 */
function padInto(batch: TokenBatch, limits: { rows: number; length: number; vocabularySize: number }, out: BatchArrays): number {
  const { rows, length, vocabularySize } = limits
  if (batch.rows > rows || batch.length > length)
    throw new SluiceError('SLUICE_MODEL_BATCH', `a batch of ${batch.rows} × ${batch.length} exceeds the planned ${rows} × ${length}`, {
      fix: 'create the model for the largest batch',
    })
  let count = 0
  for (let row = 0; row < rows; row++)
    for (let t = 0; t < length; t++) {
      const to = row * length + t
      if (row >= batch.rows || t >= batch.length) {
        out.ids[to] = 0
        out.targets[to] = -1
        out.lo[to] = t
        out.positions[to] = 0
        continue
      }
      const from = row * batch.length + t
      const id = batch.ids[from]
      const target = batch.targets[from]
      const first = batch.lo[from]
      if (!(id >= 0 && id < vocabularySize && target < vocabularySize && first >= 0 && first <= t))
        throw new SluiceError('SLUICE_MODEL_BATCH', `token ${id}, target ${target} or first visible position ${first} is out of range`, {
          where: { row, position: t, vocabularySize },
          fix: 'tokenize with the tokenizer whose vocabulary size the model has',
        })
      out.ids[to] = id
      out.targets[to] = target
      out.lo[to] = first
      out.positions[to] = t - first
      if (target >= 0) count++
    }
  return count
}
