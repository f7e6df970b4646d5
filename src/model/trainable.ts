// A model that can be trained: its plan, with a device, put together once, for one shape of batch.
// Same seed and batches give the same losses bit for bit on one machine, for any number of threads.

import { SluiceError } from '../core/errors.ts'
import { accumulating } from '../tensor/differentiate.ts'
import { elements } from '../tensor/shape.ts'
import type { Batch } from './batch.ts'
import { batchLoader } from './batch-loader.ts'
import type { ModelConfig } from './config.ts'
import { initialValues } from './init.ts'
import type { BlockState, ParameterGroup, StateKind } from './optimizer.ts'
import type { ParameterRole } from './parameters.ts'
import { flopsPerToken, parameterCount } from './size.ts'
import { planTraining, type TrainableOptions } from './training-plan.ts'
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

/** @throws SluiceError SLUICE_MODEL_LENGTH where rows are longer than the model's context; SLUICE_TENSOR_MEMORY where it does not fit, activations computed twice */
export async function createTrainable(config: ModelConfig, options: TrainableOptions): Promise<Trainable> {
  const { tape, backend, optimizer, gate, training, evaluation, records, ...plan } = planTraining(config, options)
  const { at, trainingAt, evaluationAt, updateAt, arenaBytes, repeatedOperations } = plan
  const { states } = optimizer
  await using unfinished = new AsyncDisposableStack() // what a refusal from here on takes down
  const device = unfinished.adopt(await backend.createDevice(arenaBytes, records), (made) => made.dispose())

  const firstProgram = device.compile(training, trainingAt)
  let nextProgram: typeof firstProgram | undefined
  const evaluationProgram = device.compile(evaluation, evaluationAt)
  const parts = { device, optimizer, at, updateAt }
  const updater = gate ? gatedUpdater(parts, gate) : hostUpdater(parts)

  states.forEach(({ tensors: { weights, average }, block }, index) => {
    const values = initialValues(block, index, options.seed)
    device.upload(at(weights), values)
    if (average) device.upload(at(average), values)
  })
  for (const { tensor, values } of tape.constants) device.upload(at(tensor), values())

  const loader = batchLoader(config, tape, options.rows)
  const intake = device.openIntake({ ...tape.inputs, targets: tape.targets }, at)
  const targetLosses = new Float32Array(elements(tape.losses.shape))
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
      device.run(evaluationProgram)
      const sum = sumOfLosses(evaluationAt(tape.evaluation.losses))
      return { loss: count === 0 ? 0 : sum / count, targets: count }
    },
    accumulate(batch, denominator) {
      const targets = pass(batch, denominator)
      const lossSum = sumOfLosses(trainingAt(tape.losses))
      updater.add(() => lossSum)
      return { lossSum, targets }
    },
    backpropagate(batch, denominator) {
      pass(batch, denominator)
      updater.add(() => sumOfLosses(trainingAt(tape.losses)))
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
