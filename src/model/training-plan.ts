// What training a model comes to before anything is allocated: its tape, the backward pass, the update, where every tensor lies,
// and what is computed twice where not all activations fit.

import { SluiceError } from '../core/errors.ts'
import { formatBytes, formatCount } from '../core/format.ts'
import type { CudaOptions } from '../tensor/cuda/cuda-device.ts'
import { differentiate } from '../tensor/differentiate.ts'
import type { OpRecord } from '../tensor/graph.ts'
import { addresses, placeActivations, placePersistent } from '../tensor/plan.ts'
import type { CpuPrecision } from '../tensor/precision.ts'
import { fitActivations } from '../tensor/recompute.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type Backend, openBackend } from './backend.ts'
import type { ModelConfig } from './config.ts'
import { createGate, createOptimizer, defaultGroup, type GateTensors, type GroupOf, lossSumRecord, type Optimizer } from './optimizer.ts'
import { type BatchShape, type LossOptions, type TrainingTape, traceTraining } from './trace.ts'

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

type AddressOf = (tensor: Tensor) => number

export interface TrainingPlan {
  readonly tape: TrainingTape
  readonly backend: Backend
  readonly optimizer: Optimizer
  /** Where the device decides on updates by itself. */
  readonly gate: GateTensors | undefined
  /** Forward and backward; gradients are overwritten. */
  readonly training: readonly OpRecord[]
  /** The forward pass up to the plain losses. */
  readonly evaluation: readonly OpRecord[]
  /** All that the device will run. */
  readonly records: readonly OpRecord[]
  /** Of what outlives a step; of the activations of each program besides. */
  readonly at: AddressOf
  readonly trainingAt: AddressOf
  readonly evaluationAt: AddressOf
  readonly updateAt: AddressOf
  readonly arenaBytes: number
  /** Operations of the forward pass that run twice. */
  readonly repeatedOperations: number
}

/** @throws SluiceError SLUICE_MODEL_LENGTH where rows are longer than the model's context; SLUICE_TENSOR_MEMORY where it does not fit, activations computed twice */
export function planTraining(config: ModelConfig, options: TrainableOptions): TrainingPlan {
  const { loss, groupOf = defaultGroup, keepsAverage = false } = options
  const tape = traceTraining(config, options, loss)
  const { graph, losses } = tape
  const { records: differentiated, gradients } = differentiate(graph)
  const backend = openBackend(options)
  const { arenaStart, bytesOf } = backend
  const whole = backend.fuse(differentiated)
  const evaluation = backend.fuse(tape.evaluation.records)
  const gate = backend.decidesOnUpdates ? createGate(graph) : undefined
  const optimizer = createOptimizer(graph, tape.parameters, gradients, { groupOf, keepsAverage, gate })
  const { updateRecords } = optimizer
  const others = [...evaluation, ...optimizer.normRecords, ...updateRecords]

  const persistent = placePersistent(graph.tensors, arenaStart)
  const memoryBytes = backend.largestArenaBytes([...whole, ...others], options.memoryBytes)
  const budget = {
    ...{ kept: new Set([losses]), startBytes: persistent.endBytes, endBytes: arenaStart + memoryBytes },
    bytesOf: (program: readonly OpRecord[]) => bytesOf([...program, ...others]),
  }
  const { records: fitted, placement: ofTraining, repeated: repeatedOperations } = fitActivations(graph, whole, budget)
  const training = gate ? [...fitted, lossSumRecord(losses, gate)] : fitted
  const records = [...training, ...others]
  const size = bytesOf(records)
  const ofEvaluation = placeActivations(evaluation, new Set([tape.evaluation.losses]), persistent.endBytes, size)
  const ofUpdate = placeActivations(updateRecords, new Set(), persistent.endBytes, size)
  const arenaBytes = Math.max(...[ofTraining, ofEvaluation, ofUpdate].map(({ endBytes }) => endBytes)) - arenaStart
  if (arenaBytes > memoryBytes) throw tooLarge(arenaBytes, memoryBytes, memoryBytes === options.memoryBytes)
  return {
    ...{ tape, backend, optimizer, gate, training, evaluation, records, arenaBytes, repeatedOperations },
    at: addresses(persistent),
    trainingAt: addresses(persistent, ofTraining),
    evaluationAt: addresses(persistent, ofEvaluation),
    updateAt: addresses(persistent, ofUpdate),
  }
}

function tooLarge(leastBytes: number, memoryBytes: number, isGiven: boolean): SluiceError {
  const [least, most] = [leastBytes, memoryBytes].map(formatBytes)
  return new SluiceError(
    'SLUICE_TENSOR_MEMORY',
    `a step needs at least ${formatCount(leastBytes)} bytes (${least}), ${most} ${isGiven ? 'are given' : 'may be used here'}`,
    {
      fix: `${isGiven ? 'give more, or ' : ''}take fewer rows a pass (--batch-tokens), shorter ones (--length) or a smaller model`,
    },
  )
}
