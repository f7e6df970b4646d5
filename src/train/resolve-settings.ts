// The settings of a run from its options: what is not given is derived from the model and the data, each with its reason, which
// the command prints.

import { SluiceError } from '../core/errors.ts'
import { counted, formatCount } from '../core/format.ts'
import { documentWord, isEncoders, type Objective } from './objective.ts'
import { flagOf, laterSettings, type SettingOptions, type TrainSettings, trainSettings } from './settings.ts'
import { targetRoom } from './spans.ts'

/** Muon's updates are of one size whatever the gradient's: it is told a rate ten times AdamW's, as in nanochat. */
const MUON_RATE = 10

/** What the defaults are derived from. */
export interface RunFacts {
  readonly parameterCount: number
  /** Longest row the model can see. */
  readonly contextLength: number
  readonly vocabularySize: number
  /** Tokens of the corpus, held-out ones included. */
  readonly corpusTokens: number
  readonly documents: number
  readonly cores: number
  readonly objective: Objective
  readonly maskToken: number
  readonly sentinel: number
  /** Weights are there to begin with. */
  readonly isFineTuning: boolean
  /** Other documents are measured on: none is held out. */
  readonly hasValidation: boolean
}

export interface Resolved {
  readonly settings: TrainSettings
  /** `batch 8,192 tokens (…)`: one line for each choice made for the person. */
  readonly reasons: readonly string[]
}

/** Where nothing is given and nothing is derived. */
const STANDARDS = {
  ...laterSettings,
  packing: 'documents',
  seed: 1,
  windowTokens: 2 ** 24,
  schedule: 'cosine',
  finalShare: 0.1,
  decayShare: 0.2,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0.1,
  maxNorm: 1,
  keep: 2,
} as const satisfies Partial<TrainSettings>

/** Settings from options: what is not given is derived. The same options and facts give the same settings. */
export function resolveSettings(options: SettingOptions, facts: RunFacts): Resolved {
  const { objective, hasValidation } = facts
  const share = hasValidation ? 0 : heldOutShare(facts.documents)
  const validationShare = hasValidation ? 0 : (options.validationShare ?? share)
  const { reasons, ...amount } = resolveAmount(options, facts, Math.max(1, Math.round(facts.corpusTokens * (1 - validationShare))))
  const derived = deriveSettings(options, facts, amount)
  const targetLength = targetLengthFor(objective, amount.length, options)
  return {
    settings: parseSettings({ ...STANDARDS, ...derived, ...given(options), ...amount, objective, targetLength, validationShare }),
    reasons: [...describeHeldOut(options, facts, share), ...reasons, ...describeDerived(options, facts, { ...derived, ...amount })],
  }
}

/** What depends on the model, the data or the machine. */
function deriveSettings({ optimizer }: SettingOptions, facts: RunFacts, { steps, rows, passes, length }: Amount) {
  const every = Math.max(1, Math.ceil(steps / 10))
  return {
    maskToken: isEncoders(facts.objective) ? facts.maskToken : STANDARDS.maskToken,
    sentinel: facts.objective === 'spans' ? facts.sentinel : STANDARDS.sentinel,
    learningRate: learningRate(facts.parameterCount, facts.isFineTuning),
    warmupSteps: Math.min(1000, Math.ceil(steps / 20)),
    matrixRate: optimizer === 'muon' ? MUON_RATE : STANDARDS.matrixRate,
    evaluateEvery: every,
    // Ten evaluations of 1 % of the tokens each, forward only: 3 % of the time.
    evaluationTokens: Math.min(2 ** 17, Math.max(2 ** 12, Math.round(0.01 * steps * rows * passes * length))),
    saveEvery: every,
    threads: facts.cores,
  }
}

/** The options that are settings, as far as they are there. */
function given({ tokens: _tokens, epochs: _epochs, batchTokens: _batchTokens, ...options }: SettingOptions): Partial<TrainSettings> {
  return trainSettings.partial().parse(Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)))
}

function describeHeldOut(options: SettingOptions, { objective, documents, hasValidation }: RunFacts, share: number): string[] {
  if (hasValidation || options.validationShare !== undefined) return []
  const percent = Number((100 * share).toFixed(1))
  return [`validation on about ${percent} % of ${counted(documents, documentWord(objective))}, by a hash of their ids`]
}

function describeDerived(
  options: SettingOptions,
  { parameterCount, cores, isFineTuning }: RunFacts,
  { learningRate: rate, steps }: { readonly learningRate: number; readonly steps: number },
): string[] {
  const reasons: string[] = []
  if ((options.threads ?? 0) > cores)
    reasons.push(`threads ${options.threads} on ${counted(cores, 'core')}: more than there are only slow it down`)
  if ((options.warmupSteps ?? 0) >= steps)
    reasons.push(`warm-up of ${counted(options.warmupSteps ?? 0, 'step')}, of ${formatCount(steps)} in all: the learning rate only rises`)
  if (options.learningRate === undefined)
    reasons.push(`learning rate ${rate} (for ${counted(parameterCount, 'parameter')}${isFineTuning ? ', fine-tuning' : ''})`)
  if (options.threads === undefined) reasons.push(`threads ${cores} (${cores === 1 ? 'the core' : 'cores'} of this machine)`)
  return reasons
}

/** Tokens a row: what the model sees, and 1,024 at most where it is not said. */
export function rowLength({ length }: Pick<SettingOptions, 'length'>, contextLength: number): number {
  return length ?? Math.min(contextLength, 1024)
}

/** Tokens a row of the target side; 0 where there is none. */
export function targetLengthFor(objective: Objective, length: number, options: SettingOptions): number {
  const { hiddenShare: share = laterSettings.hiddenShare, meanSpan = laterSettings.meanSpan } = options
  if (objective === 'spans') return options.targetLength ?? Math.min(length, targetRoom(length, { share, meanSpan }))
  return objective === 'pairs' ? (options.targetLength ?? length) : 0
}

/** Options that are sound one by one may still come to nothing that can be run: 10³⁰ epochs, a context of one token. */
function parseSettings(settings: TrainSettings): TrainSettings {
  const parsed = trainSettings.safeParse(settings)
  if (parsed.success) return parsed.data
  const [{ path, message }] = parsed.error.issues // the others follow from it
  throw new SluiceError('SLUICE_TRAIN_OPTIONS', `the options come to a run that cannot be made: ${flagOf(String(path[0]))}: ${message}`, {
    fix: 'see sluice train --help',
  })
}

type Amount = Pick<TrainSettings, 'steps' | 'rows' | 'passes' | 'length'>

/** How much a run trains on, and in what pieces. */
function resolveAmount(options: SettingOptions, facts: RunFacts, trainTokens: number): Amount & { readonly reasons: string[] } {
  const { steps: givenSteps, epochs, tokens, batchTokens: givenBatch } = options
  if ([givenSteps, epochs, tokens].filter((value) => value !== undefined).length > 1)
    throw new SluiceError('SLUICE_TRAIN_OPTIONS', 'steps, tokens and epochs say the same thing', { fix: 'give one of them' })
  const length = rowLength(options, facts.contextLength)
  if (length > facts.contextLength)
    throw new SluiceError('SLUICE_TRAIN_LENGTH', `rows of ${length} tokens do not fit the model: it sees ${facts.contextLength}`, {
      fix: `give --length ${facts.contextLength} or less, or a model with a longer context`,
    })
  const asked = tokens ?? (epochs === undefined ? undefined : Math.round(epochs * trainTokens))
  const budget = asked === undefined ? budgetTokens(facts.parameterCount, trainTokens) : { tokens: asked, reason: counted(asked, 'token') }
  const { rows, passes } = splitBatch(givenBatch ?? batchTokens(budget.tokens), length, facts)
  const stepTokens = rows * passes * length
  const steps = givenSteps ?? Math.max(1, Math.round(budget.tokens / stepTokens))
  const reasons: string[] = []
  if (givenBatch === undefined)
    reasons.push(
      `batch ${formatCount(stepTokens)} tokens: ${counted(rows * passes, 'row')} of ${length} (grows with the tokens trained on)`,
    )
  else if (givenBatch !== stepTokens)
    reasons.push(
      `batch ${formatCount(stepTokens)} tokens: ${counted(rows * passes, 'whole row')} of ${length}, nearest to ${formatCount(givenBatch)}`,
    )
  if (givenSteps === undefined) reasons.push(`steps ${formatCount(steps)} (${budget.reason}, ${formatCount(stepTokens)} a step)`)
  return { steps, rows, passes, length, reasons }
}

/** 2 %, and more where that would be fewer than 50 documents. */
export function heldOutShare(documents: number): number {
  return Number(Math.min(0.1, Math.max(0.02, 50 / Math.max(1, documents))).toFixed(3))
}

/** Hoffmann et al. 2022 (arxiv.org/abs/2203.15556): 20 tokens a parameter; Muennighoff et al. 2023 (arxiv.org/abs/2305.16264): up to 4 epochs are nearly worth new data. */
function budgetTokens(parameterCount: number, trainTokens: number) {
  const compute = 20 * parameterCount
  if (compute <= 4 * trainTokens) return { tokens: compute, reason: `20 tokens for each of ${formatCount(parameterCount)} parameters` }
  return { tokens: 4 * trainTokens, reason: `4 epochs of ${formatCount(trainTokens)} tokens: more repetition teaches little` }
}

/**
 * nanochat's law, batch ∝ tokens^0.383 (2¹⁹ at 1.3 B tokens), but at least 2,000 updates; a power of two from 1,024 on. Where
 * tokens are few, updates count for more than clean gradients (docs/decisions.md).
 */
function batchTokens(tokens: number): number {
  const law = 2 ** 19 * (tokens / 1.3e9) ** 0.383
  return 2 ** Math.max(10, Math.floor(Math.log2(Math.min(law, tokens / 2000))))
}

/** Whole rows, and as many a pass as keep its logits within 256 MB. */
function splitBatch(tokens: number, length: number, facts: RunFacts): { rows: number; passes: number } {
  const total = Math.max(1, Math.round(tokens / length))
  const most = Math.max(1, Math.min(Math.floor(2 ** 26 / (length * facts.vocabularySize)), Math.floor(8192 / length)))
  let rows = Math.min(total, most)
  while (total % rows !== 0) rows--
  return { rows, passes: total / rows }
}

/** A fifth of the rate that weights are learnt from nothing with. */
const FINE_TUNING = 0.2

/** 6·10⁻⁴ for GPT-2 124M, as llm.c trains it, falling with the cube root of the size; measured at 1.3 M (docs/decisions.md). Two digits. */
function learningRate(parameterCount: number, isFineTuning: boolean): number {
  const rate = twoDigits(Math.min(3e-3, 6e-4 * Math.cbrt(124e6 / parameterCount)))
  return isFineTuning ? twoDigits(FINE_TUNING * rate) : rate
}

const twoDigits = (value: number) => Number(value.toPrecision(2))
