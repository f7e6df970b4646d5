// What a run learns from, whatever it is made of: batches to train on from any position, the same batches for every evaluation,
// and what the log calls their origins.

import { basename } from 'node:path'
import { SluiceError } from '../core/errors.ts'
import { tokenCount } from '../model/batch.ts'
import type { ModelConfig } from '../model/config.ts'
import type { Corpus } from '../tokens/corpus.ts'
import { type BatchSource, type Delivery, documentSource, exampleSource, type TokenObjective } from './batch-source.ts'
import { type OpenedExamples, splitExamples } from './examples.ts'
import type { Cursor, LoaderOptions } from './loader.ts'
import { type MixedCorpus, mixtureHash } from './mixture.ts'
import { prefetched } from './prefetch.ts'
import type { TrainSettings } from './settings.ts'
import { SENTINELS } from './spans.ts'

export interface RunData {
  /** Two of one hash hold the same, in the same shares. */
  readonly hash: string
  readonly vocabulary: Corpus['vocabulary']
  readonly tokenizerFile: string | undefined
  /** Files by the ordinals that batches name them with. */
  readonly shards: readonly string[]
  /** Where they are: a corpus each, or the file or folder of examples. */
  readonly inputs: readonly string[]
  /** Held-out ones included, where they are a share. */
  readonly tokens: number
  readonly documents: number
  readonly labels: readonly string[]
  /** Batches of the training part from a position on, without end. */
  train(settings: TrainSettings, config: ModelConfig, cursors?: readonly Cursor[]): BatchSource
  /** The held-out batches that every evaluation measures: the same for every seed, so that runs compare. */
  validation(settings: TrainSettings, config: ModelConfig): Promise<Delivery[]>
}

export interface DocumentDataOptions {
  /** Paths of the corpora, where a thread may open them again to make batches ahead. */
  readonly paths?: readonly string[]
  /** Held out as a whole, in place of a share of the documents. */
  readonly validation?: Corpus
}

export function documentData(corpora: readonly MixedCorpus[], { paths, validation: heldOut }: DocumentDataOptions = {}): RunData {
  const [{ corpus: first }] = corpora
  return {
    hash: mixtureHash(corpora),
    vocabulary: first.vocabulary,
    tokenizerFile: first.tokenizerFile,
    shards: corpora.flatMap(({ corpus }) =>
      corpora.length === 1 ? corpus.shards : corpus.shards.map((name) => `${corpus.folder}/${name}`),
    ),
    inputs: paths ?? corpora.map(({ corpus }) => corpus.folder),
    tokens: corpora.reduce((sum, { corpus }) => sum + corpus.tokens, 0),
    documents: corpora.reduce((sum, { corpus }) => sum + corpus.documents, 0),
    labels: [],
    train(settings, config, cursors) {
      const options = { ...loaderOptions(settings, 'train'), ...(heldOut && { validationShare: 0 }) }
      const objective = tokenObjective(settings, config, first)
      if (!paths) return documentSource(corpora, options, objective, cursors)
      const setup = corpora.map(({ weight }, index) => ({ path: paths[index], weight }))
      return prefetched({ corpora: setup, options, objective, cursors, ahead: 2 * settings.passes + 2 })
    },
    async validation(settings, config) {
      if (settings.validationShare === 0 && !heldOut) return []
      const options = { ...loaderOptions(settings, 'validation'), seed: 0, epochs: 1, ...(heldOut && { validationShare: 1 }) }
      const parts = heldOut ? [{ corpus: heldOut, weight: 1 }] : corpora
      const source = documentSource(parts, options, tokenObjective({ ...settings, seed: 0 }, config, first))
      return await takeTokens(source, settings.evaluationTokens)
    },
  }
}

function loaderOptions(settings: TrainSettings, split: 'train' | 'validation'): LoaderOptions {
  const { rows, length, packing, seed, validationShare, windowTokens } = settings
  return { rows, length, packing, seed, validationShare, windowTokens, split }
}

function tokenObjective(settings: TrainSettings, config: ModelConfig, { vocabulary }: Corpus): TokenObjective {
  const { objective, hiddenShare: share, meanSpan, maskToken, sentinel, targetLength, seed } = settings
  const { endOfText, size: vocabularySize } = vocabulary
  if (objective === 'masked') assertInVocabulary('mask-token', maskToken, 0, config)
  if (objective === 'spans') assertInVocabulary('sentinel', sentinel, SENTINELS - 1, config)
  if (objective === 'masked') return { kind: 'masked', share, maskToken, endOfText, vocabularySize, seed }
  if (objective !== 'spans') return { kind: 'causal' }
  const startToken = startTokenOf(config)
  return { kind: 'spans', share, meanSpan, sentinel, sentinels: SENTINELS, startToken, endOfText, targetLength, seed }
}

/** A token that the objective itself writes must be one that the model has. */
function assertInVocabulary(option: string, token: number, lowest: number, { vocabularySize }: ModelConfig): void {
  if (token >= lowest && token < vocabularySize) return
  throw new SluiceError('SLUICE_TRAIN_OPTIONS', `token ${token} is none that this model can have as its --${option}`, {
    fix: `give --${option} from ${lowest} to ${vocabularySize - 1}, or leave it out`,
  })
}

const startTokenOf = (config: ModelConfig) => (config.architecture === 'encoder-decoder' ? config.startToken : 0)

export interface ExampleData {
  readonly examples: OpenedExamples
  /** In place of a share of the examples. */
  readonly heldOut: OpenedExamples | undefined
  /** File or folder. */
  readonly path: string
  readonly vocabulary: Corpus['vocabulary']
  readonly tokenizerFile: string
}

export function exampleData({ examples, heldOut, path, vocabulary, tokenizerFile }: ExampleData): RunData {
  const { source, ordinals, labelNames } = examples.examples
  const split = ({ validationShare }: TrainSettings) =>
    heldOut ? { train: examples.examples, validation: heldOut.examples } : splitExamples(examples, validationShare)
  const loaderOptions = ({ rows, length, targetLength, seed }: TrainSettings, config: ModelConfig) => ({
    ...{ rows, length, targetLength, seed },
    startToken: startTokenOf(config),
  })
  return {
    hash: examples.hash,
    vocabulary,
    tokenizerFile,
    shards: [basename(path)],
    inputs: [path],
    tokens: source.tokens.length,
    documents: ordinals.length,
    labels: labelNames,
    train: (settings, config, cursors) => exampleSource(split(settings).train, loaderOptions(settings, config), cursors),
    validation: (settings, config) => {
      const options = { ...loaderOptions(settings, config), seed: 0, epochs: 1 }
      return takeTokens(exampleSource(split(settings).validation, options), settings.evaluationTokens)
    },
  }
}

/** Batches until the measurement has read its tokens. */
async function takeTokens(source: BatchSource, most: number): Promise<Delivery[]> {
  const taken: Delivery[] = []
  for (let tokens = 0; tokens < most; ) {
    const delivery = await source.next()
    if (!delivery) break
    taken.push(delivery)
    tokens += delivery.batch.kind === 'tokens' ? delivery.targetCount : tokenCount(delivery.batch)
  }
  return taken
}
