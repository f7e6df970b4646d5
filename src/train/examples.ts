// Labelled texts and pairs of texts as tokens, in memory: what fine-tuning learns from. example-records.ts reads them; who calls
// has the tokenizer.

import { createHash } from 'node:crypto'
import { SluiceError } from '../core/errors.ts'
import { sampleFraction } from '../core/identity.ts'
import { cutInside } from '../model/batch.ts'
import { type ExampleKind, type RawExample, readRawExamples } from './example-records.ts'

/** Texts of tokens, end to end. */
export interface Sequences {
  readonly tokens: Int32Array
  /** [texts + 1] where each begins; the last entry is the end. */
  readonly starts: Uint32Array
}

export interface ExampleSet {
  readonly source: Sequences
  /** What is to be written from each source. */
  readonly target?: Sequences
  /** [examples] index into `labelNames`. */
  readonly labels?: Int32Array
  readonly labelNames: readonly string[]
  /** Where each came from: its ordinal in the input. */
  readonly ordinals: Uint32Array
}

export interface ExampleOptions {
  readonly kind: ExampleKind
  /** Tokens of a text with whatever the model expects around it. */
  readonly encode: (text: string) => ArrayLike<number>
  /** Tokens kept of a source, and of a target: the last one stays, which ends the text. */
  readonly length: number
  readonly targetLength: number
  /** Names of labels by index; those of the file, sorted, where absent. */
  readonly labelNames?: readonly string[]
}

export interface OpenedExamples {
  readonly examples: ExampleSet
  /** [examples] */
  readonly ids: readonly string[]
  /** Two sets of one hash hold the same. */
  readonly hash: string
  /** Tokens cut off at the length of a row. */
  readonly cutTokens: number
  /** Lines that were no examples, by reason. */
  readonly refused: Readonly<Record<string, number>>
}

/**
 * Reads and encodes all examples of a file or folder.
 *
 * @throws SluiceError `SLUICE_TRAIN_EXAMPLES` where none is usable or a label is unknown, and what reading the input throws
 */
export async function openExamples(path: string, options: ExampleOptions): Promise<OpenedExamples> {
  const { raw, records, refused } = await readRawExamples(path, options.kind)
  if (raw.length === 0)
    throw new SluiceError('SLUICE_TRAIN_EXAMPLES', `none of ${records} records is an example with a ${options.kind}`, {
      where: { input: path },
      fix:
        options.kind === 'label' ? 'give lines such as {"text": "…", "label": "good"}' : 'give lines such as {"input": "…", "target": "…"}',
    })
  return { ...encodeAll(raw, path, options), refused }
}

function encodeAll(raw: readonly RawExample[], path: string, options: ExampleOptions): Omit<OpenedExamples, 'refused'> {
  const { kind, encode, length, targetLength } = options
  const sources = new SequenceBuilder(length)
  const targets = new SequenceBuilder(targetLength)
  const labelNames = kind === 'label' ? (options.labelNames ?? labelsIn(raw, path)) : []
  const labelOf = new Map(labelNames.map((name, index) => [name, index]))
  const labels = new Int32Array(kind === 'label' ? raw.length : 0)
  for (const [index, { source, answer, ordinal }] of raw.entries()) {
    sources.add(encode(source))
    if (kind === 'pair') {
      targets.add(encode(answer))
      continue
    }
    const label = labelOf.get(answer)
    if (label === undefined)
      throw new SluiceError('SLUICE_TRAIN_EXAMPLES', `label ${answer} is none of ${labelNames.slice(0, 10).join(', ')}`, {
        where: { input: path, record: ordinal },
        fix: 'the labels are those of the training examples, or of the model that is fine-tuned',
      })
    labels[index] = label
  }
  const examples: ExampleSet = {
    source: sources.finish(),
    ...(kind === 'pair' ? { target: targets.finish() } : { labels }),
    labelNames,
    ordinals: Uint32Array.from(raw, ({ ordinal }) => ordinal),
  }
  return { examples, ids: raw.map(({ id }) => id), hash: hashOf(examples), cutTokens: sources.cut + targets.cut }
}

class SequenceBuilder {
  readonly #limit: number
  readonly #parts: Int32Array[] = []
  readonly #starts: number[] = [0]
  /** Tokens left out. */
  cut = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  add(tokens: ArrayLike<number>): void {
    const kept = Int32Array.from(cutInside(Array.from(tokens), this.#limit))
    this.cut += tokens.length - kept.length
    this.#parts.push(kept)
    this.#starts.push(this.#starts[this.#starts.length - 1] + kept.length)
  }

  finish(): Sequences {
    const starts = Uint32Array.from(this.#starts)
    const tokens = new Int32Array(starts[starts.length - 1])
    for (const [index, part] of this.#parts.entries()) tokens.set(part, starts[index])
    return { tokens, starts }
  }
}

function labelsIn(raw: readonly RawExample[], path: string): string[] {
  const names = [...new Set(raw.map(({ answer }) => answer))].sort()
  if (names.length > 1) return names
  throw new SluiceError('SLUICE_TRAIN_EXAMPLES', `all ${raw.length} examples have the label ${names[0]}: there is nothing to tell apart`, {
    where: { input: path },
    fix: 'give examples of two labels at least',
  })
}

function hashOf({ source, target, labels, labelNames }: ExampleSet): string {
  const hash = createHash('sha256').update(JSON.stringify(labelNames))
  for (const values of [source.tokens, source.starts, target?.tokens, target?.starts, labels]) if (values) hash.update(values)
  return hash.digest('hex')
}

/** The examples that a predicate on their ids admits. */
function selectExamples({ examples, ids }: OpenedExamples, selects: (id: string) => boolean): ExampleSet {
  const chosen = ids.map((_, index) => index).filter((index) => selects(ids[index]))
  const pick = ({ tokens, starts }: Sequences): Sequences => {
    const builder = new SequenceBuilder(Number.POSITIVE_INFINITY)
    for (const index of chosen) builder.add(tokens.subarray(starts[index], starts[index + 1]))
    return builder.finish()
  }
  const { source, target, labels, labelNames, ordinals } = examples
  return {
    source: pick(source),
    ...(target && { target: pick(target) }),
    ...(labels && { labels: Int32Array.from(chosen, (index) => labels[index]) }),
    labelNames,
    ordinals: Uint32Array.from(chosen, (index) => ordinals[index]),
  }
}

/** Held out by a hash of the id, as documents are. */
export function splitExamples(opened: OpenedExamples, validationShare: number): { train: ExampleSet; validation: ExampleSet } {
  const isHeldOut = (id: string) => sampleFraction(id, 'validation') < validationShare
  return { train: selectExamples(opened, (id) => !isHeldOut(id)), validation: selectExamples(opened, isHeldOut) }
}
