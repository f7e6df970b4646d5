// The end of a step: whether the gradients become an update, and how large. The CPU's host looks at the norm and decides; a GPU
// decides by itself (`gate`), so that a step is asked for in one go and waited for once.

import type { Device } from '../tensor/device.ts'
import type { OpRecord } from '../tensor/graph.ts'
import { elements } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type GateTensors, hyperValues, type Optimizer, type UpdateOptions } from './optimizer.ts'

export interface StepOptions extends UpdateOptions {
  /** Gradients of a larger global norm are scaled down to it; 0: never. */
  readonly maxNorm: number
  /** A larger global norm than this, or one that is not finite, drops the gradients without an update; default: any finite one is taken. */
  readonly largestNorm?: number
  /** The same of the loss: the sum of losses since the last step, divided by `denominator`. */
  readonly largestLoss?: number
  /** What losses are divided by to be held against `largestLoss`; default 1. */
  readonly denominator?: number
  /** What gradients are too large by, having been accumulated with a denominator that was smaller by it; default 1. */
  readonly lossScale?: number
}

export interface StepOutcome {
  /** Of all passes since the last step. */
  readonly lossSum: number
  /** Before clipping; NaN where the loss was too large for it to be looked at. */
  readonly gradientNorm: number
  /** Whether the gradients were dropped, and weights and moments are as they were. */
  readonly isSkipped: boolean
  /** What was too large or no number. */
  readonly reason?: 'loss' | 'norm'
}

/** Everything about a step that is known before it. */
type Limits = Required<Pick<StepOptions, 'maxNorm' | 'largestNorm' | 'largestLoss' | 'denominator' | 'lossScale'>>

export interface Updater {
  /** After a pass: its losses count. */
  add(lossSum: () => number): void
  step(options: StepOptions): StepOutcome
  /** Forgets the losses. */
  discard(): void
}

export interface UpdaterParts {
  readonly device: Device
  readonly optimizer: Optimizer
  readonly at: (tensor: Tensor) => number
  /** Of the update's activations too. */
  readonly updateAt: (tensor: Tensor) => number
}

function limitsOf(options: StepOptions): Limits {
  const { maxNorm, largestNorm = Number.MAX_VALUE, largestLoss = Number.MAX_VALUE, denominator = 1, lossScale = 1 } = options
  if (options.step < 1) throw new RangeError(`steps count from 1, got ${options.step}`)
  return { maxNorm, largestNorm, largestLoss, denominator, lossScale }
}

/** Waits for the losses of each pass and for the norm: on a CPU nothing runs meanwhile anyway. */
export function hostUpdater({ device, optimizer, at, updateAt }: UpdaterParts): Updater {
  const { squares, hypers } = optimizer
  const normProgram = device.compile(optimizer.normRecords, at)
  const updateProgram = device.compile(optimizer.updateRecords, updateAt)
  const partials = new Float64Array(elements(squares.shape) / 2)
  let lossSum = 0

  function gradientNorm(): number {
    device.run(normProgram)
    device.downloadDoubles(at(squares), partials)
    let sum = 0
    for (let i = 0; i < partials.length; i++) sum += partials[i]
    return Math.sqrt(sum)
  }

  return {
    add(ofPass) {
      lossSum += ofPass()
    },
    discard() {
      lossSum = 0
    },
    step(options) {
      const { maxNorm, largestNorm, largestLoss, denominator, lossScale } = limitsOf(options)
      const outcome = { lossSum, gradientNorm: Number.NaN }
      lossSum = 0
      const isLossTaken = outcome.lossSum / denominator <= largestLoss
      if (isLossTaken) outcome.gradientNorm = gradientNorm() / lossScale
      const norm = outcome.gradientNorm
      if (!(norm <= largestNorm)) return { ...outcome, isSkipped: true, reason: isLossTaken ? 'norm' : 'loss' }
      const clip = (maxNorm > 0 && norm > maxNorm ? maxNorm / norm : 1) / lossScale
      for (const [rateFactor, hyper] of hypers) device.upload(at(hyper), hyperValues(options, { rateFactor, clip }))
      device.run(updateProgram)
      return { ...outcome, isSkipped: false }
    },
  }
}

/** Asks for norm, gate and update at once and waits for the report alone. */
export function gatedUpdater({ device, optimizer, at, updateAt }: UpdaterParts, gate: GateTensors): Updater {
  const program = device.compile([...optimizer.normRecords, gateRecord(optimizer, gate), ...optimizer.updateRecords], updateAt)
  const inputs = [...optimizer.hypers].map(([rateFactor, hyper]) => ({ rateFactor, hyper }))
  const intake = device.openIntake({ limits: gate.limits, ...Object.fromEntries(inputs.map(({ hyper }) => [hyper.name, hyper])) }, at)
  const report = new Float64Array(3)
  return {
    add: () => {},
    discard: () => device.fill(at(gate.sum), 2, 0),
    step(options) {
      const { maxNorm, largestNorm, largestLoss, denominator, lossScale } = limitsOf(options)
      const limits = Float64Array.of(denominator, lossScale, largestLoss, largestNorm, maxNorm)
      const take = intake.send((arrays) => {
        arrays.limits.set(new Int32Array(limits.buffer))
        for (const { rateFactor, hyper } of inputs)
          arrays[hyper.name].set(new Int32Array(hyperValues(options, { rateFactor, clip: 1 }).buffer))
      })
      take()
      device.run(program)
      device.downloadDoubles(at(gate.report), report)
      const [lossSum, norm, shut] = report
      if (shut === 0) return { lossSum, gradientNorm: norm, isSkipped: false }
      const reason = shut === 1 ? 'loss' : 'norm'
      return { lossSum, gradientNorm: reason === 'loss' ? Number.NaN : norm, isSkipped: true, reason }
    },
  }
}

function gateRecord({ squares }: Optimizer, { limits, sum, gate, report }: GateTensors): OpRecord {
  return { kernel: 'gate', reads: { squares, limits }, writes: { sum, gate, report }, adds: [], scratch: {}, attributes: {} }
}
