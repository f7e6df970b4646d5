// A training run that is made to be compared with others: measured at its end alone, of which one checkpoint stays.

import { SluiceError } from '../core/errors.ts'
import type { Evaluation } from './checkpoint.ts'
import { AT_THE_END } from './settings.ts'
import { type TrainResult, train } from './train.ts'
import type { TrainHooks, TrainOptions } from './train-options.ts'

/**
 * @param what the runs tell apart, for the message: `rates`
 * @throws SluiceError SLUICE_TRAIN_NO_VALIDATION, and those of train; an aborted signal's reason
 */
export async function runTrial(
  what: string,
  options: TrainOptions,
  hooks: TrainHooks,
): Promise<TrainResult & { readonly evaluation: Evaluation }> {
  const onNoValidation = () => {
    throw noValidation(what)
  }
  const result = await train({ keep: 1, keepBest: false, evaluateEvery: AT_THE_END, ...options }, { ...hooks, onNoValidation })
  if (result.isInterrupted) throw hooks.signal?.reason
  const { evaluation } = result.state
  if (evaluation) return { ...result, evaluation }
  throw noValidation(what) // a run of before, which had ended so
}

function noValidation(what: string): SluiceError {
  return new SluiceError('SLUICE_TRAIN_NO_VALIDATION', `no document is held out: ${what} cannot be compared`, {
    fix: 'give more documents, or a larger --validation-share',
  })
}
