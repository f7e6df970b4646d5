// The data of a run and the model for it: either may ask something of the other.

import { SluiceError } from '../core/errors.ts'
import type { ModelConfig } from '../model/config.ts'
import { type ChosenModel, chooseModel, describeModel } from './model-choice.ts'
import { architectureOf, assertFromExamples, assertLearns, type Objective, objectiveFor } from './objective.ts'
import { areExamples, openDocumentData, openExampleData, openMixture, type TextTokenizer } from './open-data.ts'
import { rowLength, targetLengthFor } from './resolve-settings.ts'
import type { RunData } from './run-data.ts'
import { openStart, type StartModel, withLabels } from './start.ts'
import { inputsOf, type ParsedOptions, type TrainHooks } from './train-options.ts'

export interface Prepared {
  readonly data: RunData
  readonly config: ModelConfig
  readonly objective: Objective
  readonly start: StartModel | undefined
  readonly tokenizer: TextTokenizer | undefined
  /** Of the model, for the person. */
  readonly reason: string
}

/** @throws SluiceError `SLUICE_TRAIN_…`, naming what is wrong with the options or the data */
export async function prepare(options: ParsedOptions, hooks: TrainHooks): Promise<Prepared> {
  const inputs = inputsOf(options.shards)
  const start = options.init === undefined ? undefined : await openStart(options.init)
  return (await areExamples(inputs, options.objective))
    ? await prepareExamples(inputs, options, start, hooks)
    : await prepareDocuments(inputs, options, start, hooks)
}

async function prepareDocuments(
  inputs: readonly string[],
  options: ParsedOptions,
  start: StartModel | undefined,
  hooks: TrainHooks,
): Promise<Prepared> {
  const mixture = await openMixture(inputs)
  const data = await openDocumentData(mixture, options.validation)
  assertSameTokens(start, data.vocabulary.hash)
  const { config: chosen, reason } = await modelFor(options, start, {
    vocabularySize: data.vocabulary.size,
    tokens: data.tokens,
    areExamples: false,
  })
  const config = withLabels(chosen, 0) // a classifier goes back to hidden tokens
  const objective = options.objective ?? objectiveFor(config, false)
  assertLearns(config, objective)
  const tokenizer = data.tokenizerFile === undefined ? undefined : await hooks.openTokenizer?.(data.tokenizerFile)
  return { data, config, objective, start, tokenizer, reason: reason(config) }
}

async function prepareExamples(
  [path, ...others]: readonly string[],
  options: ParsedOptions,
  start: StartModel | undefined,
  hooks: TrainHooks,
): Promise<Prepared> {
  if (others.length > 0)
    throw new SluiceError('SLUICE_TRAIN_OPTIONS', 'examples come from one file or folder', {
      fix: `put ${path} and the others into one folder`,
    })
  const tokenizerFile = options.tokenizer ?? start?.tokenizerFile
  const tokenizer = tokenizerFile === undefined ? undefined : await hooks.openTokenizer?.(tokenizerFile)
  if (!tokenizer || tokenizerFile === undefined)
    throw new SluiceError('SLUICE_TRAIN_TOKENIZER', 'examples are texts: without a tokenizer they cannot be read', {
      fix: 'give --tokenizer tokenizer.json, or --init with a model that has one',
    })
  assertSameTokens(start, tokenizer.hash)
  const chosen = await modelFor(options, start, { vocabularySize: tokenizer.vocabularySize, tokens: 0, areExamples: true })
  const objective = options.objective ?? objectiveFor(chosen.config, true)
  assertLearns(chosen.config, objective)
  assertFromExamples(objective)
  const length = rowLength(options, chosen.config.contextLength)
  const isPairs = objective === 'pairs'
  const data = await openExampleData({
    path,
    validation: options.validation,
    tokenizer,
    tokenizerFile,
    firstToken: options.maskToken ?? tokenizer.vocabularySize,
    options: {
      kind: isPairs ? 'pair' : 'label',
      length,
      targetLength: targetLengthFor(objective, length, options),
      ...(start && start.labels.length > 0 ? { labelNames: start.labels } : {}),
    },
    onNotice: hooks.onNotice,
  })
  const config = withLabels(chosen.config, data.labels.length)
  return { data, config, objective, start, tokenizer, reason: chosen.reason(config) }
}

async function modelFor(
  { model, params, length, objective }: ParsedOptions,
  start: StartModel | undefined,
  { areExamples, ...needs }: { readonly vocabularySize: number; readonly tokens: number; readonly areExamples: boolean },
): Promise<ChosenModel> {
  if (!start) {
    const architecture = architectureOf(objective ?? (areExamples ? 'classify' : 'causal'))
    return await chooseModel({ model, params, length, architecture }, needs)
  }
  if (model !== undefined || params !== undefined)
    throw new SluiceError('SLUICE_TRAIN_OPTIONS', 'a model to start from and a new one are both given', {
      fix: 'leave out --init, or --model and --params',
    })
  return { config: start.config, reason: (config) => `model from ${start.folder}: ${describeModel(config)}` }
}

function assertSameTokens(start: StartModel | undefined, hash: string): void {
  if (!start || start.vocabularyHash === hash) return
  throw new SluiceError('SLUICE_TRAIN_VOCABULARIES', 'the model to start from was trained with another tokenizer', {
    where: { model: start.folder },
    fix: 'tokenize with the tokenizer.json beside the model',
  })
}
