// What a run's inputs are: corpora of token shards, mixed by weight, or files of examples, which a tokenizer turns into tokens.

import { existsSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { SluiceError } from '../core/errors.ts'
import { isRemote } from '../io/inputs.ts'
import { type Corpus, openCorpus } from '../tokens/corpus.ts'
import { EXAMPLE_FILES } from './example-records.ts'
import { type ExampleOptions, openExamples } from './examples.ts'
import { assertOneVocabulary, type MixedCorpus } from './mixture.ts'
import type { Objective } from './objective.ts'
import { documentData, exampleData, type RunData } from './run-data.ts'

/** What the trainer needs of a tokenizer. Who calls has it: the trainer reads token ids alone. */
export interface TextTokenizer {
  readonly hash: string
  readonly vocabularySize: number
  readonly endOfText: number
  /** What the tokenizer itself puts around a text; empty for one that adds nothing. */
  readonly frame: { readonly before: readonly number[]; readonly after: readonly number[] }
  readonly encode: (text: string) => ArrayLike<number>
  /** [vocabulary] bytes of text behind each token. */
  readonly tokenBytes: ArrayLike<number>
}

/** Whether these are texts with labels or targets, and not shards of tokens. */
export async function areExamples(paths: readonly string[], objective: Objective | undefined): Promise<boolean> {
  if (objective !== undefined) return objective === 'pairs' || objective === 'classify'
  for (const path of paths) if (!isOfExamples(path) && !(await isFolderOfExamples(path))) return false
  return true
}

/** By its name: a Parquet file may be either. */
const isOfExamples = (name: string) => EXAMPLE_FILES.some((ending) => ending !== '.parquet' && name.endsWith(ending))

async function isFolderOfExamples(path: string): Promise<boolean> {
  if (isRemote(path) || !(await stat(path).catch(() => undefined))?.isDirectory()) return false
  const names = await readdir(path)
  return names.some(isOfExamples) && !names.some((name) => name.endsWith('.parquet'))
}

/**
 * Corpora from `path` or `path=weight`; without weights, each has its tokens.
 *
 * @throws SluiceError `SLUICE_TRAIN_OPTIONS` where some have a weight and others none, or one holds examples, `SLUICE_TRAIN_CORPUS_EMPTY`, `SLUICE_TRAIN_VOCABULARIES`, and those of `openCorpus`
 */
export async function openMixture(inputs: readonly string[]): Promise<{ corpora: MixedCorpus[]; paths: string[] }> {
  const named = inputs.map(parseInput)
  const weighted = named.filter(({ weight }) => weight !== undefined).length
  if (weighted > 0 && weighted < named.length)
    throw new SluiceError('SLUICE_TRAIN_OPTIONS', 'some corpora have a weight and others have none', {
      fix: 'give each one: web=0.7 code=0.3',
    })
  const corpora: MixedCorpus[] = []
  for (const { path, weight } of named) {
    const corpus = await openShards(path)
    corpora.push({ corpus, weight: weight ?? corpus.tokens })
  }
  assertOneVocabulary(corpora)
  return { corpora, paths: named.map(({ path }) => path) }
}

async function openShards(path: string): Promise<Corpus> {
  if (isOfExamples(path))
    throw new SluiceError('SLUICE_TRAIN_OPTIONS', `${path} holds examples, token shards are wanted here`, {
      fix: 'train on the shards first, and on the examples alone afterwards: sluice train examples.jsonl --init <folder of that run>',
    })
  const corpus = await openCorpus(path)
  if (corpus.tokens > 0) return corpus
  throw new SluiceError('SLUICE_TRAIN_CORPUS_EMPTY', 'the token shards hold no token', {
    where: { corpus: path },
    fix: 'look at the run that made them: sluice audit says what was dropped and why',
  })
}

function parseInput(input: string): { path: string; weight?: number } {
  const match = /^(.+)=(\d+(?:\.\d+)?|\.\d+)$/.exec(input)
  if (!match || existsSync(input)) return { path: input }
  const weight = Number(match[2])
  if (weight > 0) return { path: match[1], weight }
  throw new SluiceError('SLUICE_TRAIN_OPTIONS', `the weight of ${match[1]} is ${match[2]}`, {
    fix: 'leave out what is not to be trained on',
  })
}

export async function openDocumentData(
  { corpora, paths }: { readonly corpora: readonly MixedCorpus[]; readonly paths: readonly string[] },
  validation: string | undefined,
): Promise<RunData> {
  if (validation === undefined) return documentData(corpora, { paths })
  const heldOut = await openShards(validation)
  assertOneVocabulary([...corpora, { corpus: heldOut, weight: 1 }])
  return documentData(corpora, { paths, validation: heldOut })
}

export interface ExampleInputs {
  readonly path: string
  readonly validation: string | undefined
  readonly tokenizer: TextTokenizer
  readonly tokenizerFile: string
  readonly options: Omit<ExampleOptions, 'encode'>
  /** What a text to be classified begins with, where the tokenizer has nothing of its own: the encoder's mask, a place made to be filled from the rest. */
  readonly firstToken: number
  readonly onNotice?: (line: string) => void
}

/** @throws SluiceError as `openExamples` */
export async function openExampleData(inputs: ExampleInputs): Promise<RunData> {
  const { path, validation, tokenizer, tokenizerFile, onNotice } = inputs
  const options = { ...inputs.options, encode: framed(inputs) }
  const examples = await openExamples(path, options)
  const heldOut =
    validation === undefined ? undefined : await openExamples(validation, { ...options, labelNames: examples.examples.labelNames })
  for (const [reason, count] of Object.entries(examples.refused)) onNotice?.(`${count} records of ${basename(path)} left out: ${reason}`)
  if (examples.cutTokens > 0) onNotice?.(`${examples.cutTokens} tokens of ${basename(path)} cut off: longer than a row`)
  const vocabulary = { hash: tokenizer.hash, size: tokenizer.vocabularySize, endOfText: tokenizer.endOfText }
  return exampleData({ examples, heldOut, path, vocabulary, tokenizerFile })
}

function framed({ tokenizer, firstToken, options }: ExampleInputs): (text: string) => number[] {
  const { before, after } = exampleFrame(tokenizer, options.kind, firstToken)
  return (text) => [...before, ...Array.from(tokenizer.encode(text)), ...after]
}

/** What stands around a text of an example: what the tokenizer itself puts there, or else an end, and a place that labels are read from. */
export function exampleFrame(
  { frame, endOfText }: Pick<TextTokenizer, 'frame' | 'endOfText'>,
  kind: ExampleOptions['kind'],
  firstToken: number,
): TextTokenizer['frame'] {
  if (frame.before.length + frame.after.length > 0) return frame
  return { before: kind === 'label' ? [firstToken] : [], after: [endOfText] }
}
