// A model that can be trained: tape, backward pass, memory plan and device put together once, for one shape of batch.
// Same seed and batches give the same losses bit for bit on one machine, for any number of threads.

import { SluiceError } from '../core/errors.ts'
import { formatCount } from '../core/format.ts'
import type { CudaOptions } from '../tensor/cuda/cuda-device.ts'
import { accumulating, differentiate } from '../tensor/differentiate.ts'
import type { OpRecord } from '../tensor/graph.ts'
import { addresses, placeActivations, placePersistent } from '../tensor/plan.ts'
import type { CpuPrecision } from '../tensor/precision.ts'
import { fitActivations } from '../tensor/recompute.ts'
import { elements } from '../tensor/shape.ts'
import { openBackend } from './backend.ts'
import type { Batch } from './batch.ts'
import { batchLoader } from './batch-loader.ts'
import type { ModelConfig } from './config.ts'
import { initialValues } from './init.ts'
import {
  type BlockState,
  createGate,
  createOptimizer,
  defaultGroup,
  type GroupOf,
  lossSumRecord,
  type ParameterGroup,
  type StateKind,
} from './optimizer.ts'
import type { ParameterRole } from './parameters.ts'
import { flopsPerToken, parameterCount } from './size.ts'
import { type BatchShape, type LossOptions, traceTraining } from './trace.ts'
import { gatedUpdater, hostUpdater, type StepOptions, type StepOutcome } from './update.ts'

export interface Parameter extends ParameterGroup {
  readonly name: string
  readonly shape: readonly number[]
  readonly role: ParameterRole
  /** What a checkpoint must hold of it besides its weights. */
  readonly states: readonly StateKind[]
}

export interface Trainable {
  readonly config: ModelConfig
  readonly parameters: readonly Parameter[]
  readonly parameterCount: number
  readonly flopsPerToken: number
  readonly arenaBytes: number
  /** Operations of the forward pass that run twice, to save memory. */
  readonly repeatedOperations: number
  /** Mean loss (nats) over the targets and how many there were; no gradients. */
  evaluate(batch: Batch): { loss: number; targets: number }
  /** Forward and backward: adds gradients of the sum of losses divided by `denominator`; returns the sum of losses and targets. */
  accumulate(batch: Batch, denominator: number): { lossSum: number; targets: number }
  /** As accumulate, but `step` says the sum of losses: a device may still compute when this returns. */
  backpropagate(batch: Batch, denominator: number): void
  /**
   * Begins to bring the batch of a later pass to the device while that computes. Where the device is the calling thread, or
   * another batch is on its way, it has its turn when it is passed.
   */
  announce(batch: Batch): void
  /**
   * Clips by global norm, updates, drops the gradients. Where loss or norm are not finite or too large, weights and moments
   * stay as they are, and `isSkipped` says so.
   */
  step(options: StepOptions): StepOutcome
  /** Drops the gradients without an update. */
  discard(): void
  /** Copies out. */
  read(kind: StateKind, name: string): Float32Array
  /** Copies in. */
  write(kind: StateKind, name: string, values: Float32Array): void
  dispose(): Promise<void>
}

/** A batch on its way. */
interface SentBatch {
  readonly batch: Batch
  readonly targets: number
  take(): void
}

/** With the shape of the largest batch: a smaller one is padded to it. */
export interface TrainableOptions extends BatchShape {
  readonly threads: number
  readonly seed: number
  /** What computes; default: the CPU. */
  readonly device?: 'cpu' | CudaOptions
  /** What operands of matrix products are rounded to; weights, gradients and sums stay f32. Default f32. */
  readonly precision?: CpuPrecision
  /** Bytes for weights, gradients, moments and activations: some of these are computed twice where all would take more. */
  readonly memoryBytes?: number
  readonly loss?: LossOptions
  /** The group of each parameter; `defaultGroup` where absent. */
  readonly groupOf?: GroupOf
  /** Whether an exponential average of the weights is kept; it begins as the weights. */
  readonly keepsAverage?: boolean
}

/** @throws SluiceError SLUICE_MODEL_LENGTH where rows are longer than the model's context; SLUICE_TENSOR_MEMORY where it does not fit, activations computed twice */
export async function createTrainable(config: ModelConfig, options: TrainableOptions): Promise<Trainable> {
  const { rows, seed, loss, groupOf = defaultGroup, keepsAverage = false } = options
  const tape = traceTraining(config, options, loss)
  const { graph, losses } = tape
  const { records: differentiated, gradients } = differentiate(graph)
  const backend = openBackend(options)
  const whole = backend.fuse(differentiated)
  const evaluation = { ...tape.evaluation, records: backend.fuse(tape.evaluation.records) }
  const { arenaStart, bytesOf } = backend
  const gate = backend.decidesOnUpdates ? createGate(graph) : undefined
  const optimizer = createOptimizer(graph, tape.parameters, gradients, { groupOf, keepsAverage, gate })
  const { states, updateRecords } = optimizer
  const others = [...evaluation.records, ...optimizer.normRecords, ...updateRecords]
  const persistent = placePersistent(graph.tensors, arenaStart)
  const memoryBytes = backend.largestArenaBytes([...whole, ...others], options.memoryBytes)
  const budget = {
    ...{ kept: new Set([losses]), startBytes: persistent.endBytes, endBytes: arenaStart + memoryBytes },
    bytesOf: (program: readonly OpRecord[]) => bytesOf([...program, ...others]),
  }
  const { records: fitted, placement: trainingPlan, repeated: repeatedOperations } = fitActivations(graph, whole, budget)
  const training = gate ? [...fitted, lossSumRecord(losses, gate)] : fitted
  const records = [...training, ...others]
  const size = bytesOf(records)
  const forwardPlan = placeActivations(evaluation.records, new Set([evaluation.losses]), persistent.endBytes, size)
  const updatePlan = placeActivations(updateRecords, new Set(), persistent.endBytes, size)
  const arenaBytes = Math.max(trainingPlan.endBytes, forwardPlan.endBytes, updatePlan.endBytes) - arenaStart
  if (arenaBytes > memoryBytes) throw tooLarge(arenaBytes, memoryBytes, memoryBytes === options.memoryBytes)
  await using unfinished = new AsyncDisposableStack() // what a refusal from here on takes down
  const device = unfinished.adopt(await backend.createDevice(arenaBytes, records), (made) => made.dispose())

  const at = addresses(persistent)
  const trainingAt = addresses(persistent, trainingPlan)
  const forwardAt = addresses(persistent, forwardPlan)
  const firstProgram = device.compile(training, trainingAt)
  let nextProgram: typeof firstProgram | undefined
  const forwardProgram = device.compile(evaluation.records, forwardAt)
  const parts = { device, optimizer, at, updateAt: addresses(persistent, updatePlan) }
  const updater = gate ? gatedUpdater(parts, gate) : hostUpdater(parts)

  states.forEach(({ tensors: { weights, average }, block }, index) => {
    const values = initialValues(block, index, seed)
    device.upload(at(weights), values)
    if (average) device.upload(at(average), values)
  })
  for (const { tensor, values } of tape.constants) device.upload(at(tensor), values())

  const loader = batchLoader(config, tape, rows)
  const intake = device.openIntake({ ...tape.inputs, targets: tape.targets }, at)
  const targetLosses = new Float32Array(elements(losses.shape))
  let announced: SentBatch | undefined
  let hasGradients = false

  /** Checks and pads a batch. */
  function send(batch: Batch): SentBatch {
    let targets = 0
    const take = intake.send((arrays) => {
      targets = loader.load(batch, arrays)
    })
    return { batch, targets, take }
  }

  /** Has what runs next read the batch; returns how many targets it has. */
  function load(batch: Batch): number {
    const sent = announced?.batch === batch ? announced : send(batch)
    if (sent === announced) announced = undefined
    sent.take()
    return sent.targets
  }

  function sumOfLosses(address: number): number {
    device.download(address, targetLosses)
    let sum = 0
    for (let i = 0; i < targetLosses.length; i++) sum += targetLosses[i]
    return sum
  }

  /** One pass; its losses are where sumOfLosses finds them. Returns how many targets there are. */
  function pass(batch: Batch, denominator: number): number {
    const count = load(batch)
    device.fill(at(tape.scale), 1, 1 / denominator)
    if (hasGradients) nextProgram ??= device.compile(accumulating(training), trainingAt)
    device.run(hasGradients && nextProgram ? nextProgram : firstProgram)
    hasGradients = true
    return count
  }

  const places = new Map<string, { state: BlockState; offset: number; size: number }>()
  for (const state of states)
    for (const { name, shape, offset } of state.block.parts) places.set(name, { state, offset, size: elements(shape) })

  function placeOf(kind: StateKind, name: string): { address: number; size: number } {
    const place = places.get(name)
    if (!place)
      throw new SluiceError('SLUICE_MODEL_PARAMETER', `the model has no parameter ${name}`, { fix: 'see the names in `parameters`' })
    const tensor = place.state.tensors[kind]
    if (!tensor) throw new SluiceError('SLUICE_MODEL_PARAMETER', `${name} has no ${kind}`, { fix: 'see the `states` of its parameter' })
    return { address: at(tensor) + place.offset * 4, size: place.size }
  }

  unfinished.move()
  return {
    config,
    parameters: states.flatMap(describe),
    parameterCount: parameterCount(config),
    flopsPerToken: flopsPerToken(config, options),
    arenaBytes,
    repeatedOperations,
    evaluate(batch) {
      const count = load(batch)
      device.run(forwardProgram)
      const sum = sumOfLosses(forwardAt(evaluation.losses))
      return { loss: count === 0 ? 0 : sum / count, targets: count }
    },
    accumulate(batch, denominator) {
      const targets = pass(batch, denominator)
      const lossSum = sumOfLosses(trainingAt(losses))
      updater.add(() => lossSum)
      return { lossSum, targets }
    },
    backpropagate(batch, denominator) {
      pass(batch, denominator)
      updater.add(() => sumOfLosses(trainingAt(losses)))
    },
    announce(batch) {
      if (!intake.isAhead || announced) return
      try {
        announced = send(batch)
      } catch (error) {
        // a batch that the model cannot read is refused in its own pass
        if (!(error instanceof SluiceError) || error.code !== 'SLUICE_MODEL_BATCH') throw error
      }
    },
    step(update) {
      hasGradients = false
      return updater.step(update)
    },
    discard() {
      hasGradients = false
      updater.discard()
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

function describe({ block, group, tensors }: BlockState): Parameter[] {
  const states = (['moment1', 'moment2', 'average'] as const).filter((kind) => tensors[kind])
  return block.parts.map(({ name, shape }) => ({ name, shape, role: block.role, states, ...group }))
}

function tooLarge(leastBytes: number, memoryBytes: number, isGiven: boolean): SluiceError {
  const [least, most] = [leastBytes, memoryBytes].map(formatCount)
  return new SluiceError(
    'SLUICE_TENSOR_MEMORY',
    `a step needs at least ${least} bytes, ${most} ${isGiven ? 'are given' : 'may be used here'}`,
    {
      fix: `${isGiven ? 'give more, or ' : ''}take fewer rows a pass, shorter rows or a smaller model`,
    },
  )
}
