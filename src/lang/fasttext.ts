// Reads fastText models and predicts labels: Joulin et al. 2016, arxiv.org/abs/1607.01759 and 1612.03651 (quantized). Labels
// and scores are those of the C++ program (0.9.2) to rounding. Supervised models with hierarchical softmax, the kind of
// lid.176; others are refused by name. A word's vector is summed once and remembered: that is most of the work.

import { SluiceError } from '../core/errors.ts'

export interface FastTextModel {
  readonly labels: readonly string[]
  /** Scores by label, without its prefix, best first; those under `smallest` are left out. Empty where the model knows nothing of the text. */
  readonly predict: (text: string, smallest: number) => Map<string, number>
}

/** @throws SluiceError `SLUICE_FASTTEXT_UNSUPPORTED`, `SLUICE_FASTTEXT_DAMAGED` */
export function readFastText(file: Uint8Array<ArrayBuffer>, name: string): FastTextModel {
  try {
    const { options, dictionary, input, output } = readModel(new Reader(file), name)
    const features = new Features(options, dictionary, input)
    const tree = buildTree(dictionary.labelCounts)
    return {
      labels: dictionary.labels,
      predict: (text, smallest) => predict(features.mean(text), dictionary.labels, tree, output, smallest),
    }
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new SluiceError('SLUICE_FASTTEXT_DAMAGED', `${name} ends before its model does`, {
      where: { file: name },
      fix: 'fetch the model again',
      cause,
    })
  }
}

// ---- the file ----

interface Options {
  readonly dimensions: number
  readonly buckets: number
  readonly shortestGram: number
  readonly longestGram: number
}

interface Dictionary {
  readonly words: ReadonlyMap<string, number>
  readonly labels: readonly string[]
  readonly labelCounts: readonly number[]
  /** Rows of the hashed n-grams that a quantized model kept, by hash; undefined: all are there. */
  readonly keptGrams?: ReadonlyMap<number, number>
}

/** Adds row `row` of a matrix to a vector. */
type AddRow = (row: number, vector: Float32Array) => void

const LABEL = '__label__'
const END_OF_LINE = '</s>'
const MAGIC = 793712314
const HIERARCHICAL_SOFTMAX = 1
const SUPERVISED = 3

class Reader {
  readonly #bytes: Uint8Array<ArrayBuffer>
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  #skip(bytes: number): number {
    this.#at += bytes
    return this.#at - bytes
  }

  byte = () => this.#view.getUint8(this.#skip(1))
  int = () => this.#view.getInt32(this.#skip(4), true)
  long = () => Number(this.#view.getBigInt64(this.#skip(8), true))

  string(): string {
    const end = this.#bytes.indexOf(0, this.#at)
    if (end < 0) throw new RangeError('unterminated string')
    const text = Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + this.#at, end - this.#at).toString()
    this.#at = end + 1
    return text
  }

  bytes(length: number): Uint8Array {
    const copy = this.#bytes.slice(this.#at, this.#at + length)
    if (copy.length < length) throw new RangeError('too few bytes')
    this.#at += length
    return copy
  }

  floats = (length: number) => new Float32Array(this.bytes(length * 4).buffer)
}

function readModel(reader: Reader, name: string) {
  if (reader.int() !== MAGIC) throw unsupported(name, 'is no fastText model')
  if (reader.int() !== 12) throw unsupported(name, 'is of another version than 12')
  const [dimensions, , , , , wordNgrams, loss, kind, buckets, shortestGram, longestGram] = Array.from({ length: 12 }, reader.int)
  reader.bytes(8)
  if (kind !== SUPERVISED || loss !== HIERARCHICAL_SOFTMAX) throw unsupported(name, 'is not a supervised model with hierarchical softmax')
  if (wordNgrams > 1) throw unsupported(name, 'uses n-grams of words')
  const dictionary = readDictionary(reader)
  const isQuantized = reader.byte() === 1
  const input = isQuantized ? readQuantized(reader) : readDense(reader).addRow
  if (reader.byte() === 1 && isQuantized) throw unsupported(name, 'has a quantized output layer')
  const options: Options = { dimensions, buckets, shortestGram, longestGram }
  return { options, dictionary, input, output: readDense(reader) }
}

function unsupported(file: string, what: string): SluiceError {
  return new SluiceError('SLUICE_FASTTEXT_UNSUPPORTED', `${file} ${what}`, {
    where: { file },
    fix: 'use a model such as lid.176.ftz or lid.176.bin',
  })
}

function readDictionary(reader: Reader): Dictionary {
  const entries = reader.int()
  reader.int()
  reader.int()
  reader.long()
  const kept = reader.long()
  const words = new Map<string, number>()
  const labels: string[] = []
  const labelCounts: number[] = []
  for (let i = 0; i < entries; i++) {
    const text = reader.string()
    const count = reader.long()
    if (reader.byte() === 0) words.set(text, i)
    else {
      labels.push(text.slice(LABEL.length))
      labelCounts.push(count)
    }
  }
  if (kept < 0) return { words, labels, labelCounts }
  const keptGrams = new Map<number, number>()
  for (let i = 0; i < kept; i++) keptGrams.set(reader.int(), reader.int())
  return { words, labels, labelCounts, keptGrams }
}

function readDense(reader: Reader): { addRow: AddRow; values: Float32Array; columns: number } {
  const rows = reader.long()
  const columns = reader.long()
  const values = reader.floats(rows * columns)
  const addRow: AddRow = (row, vector) => {
    for (let i = 0, at = row * columns; i < columns; i++) vector[i] += values[at++]
  }
  return { addRow, values, columns }
}

/** Product quantization: a row is some bytes, each the number of a piece of vector; its norm, where kept apart, is one more. */
function readQuantized(reader: Reader): AddRow {
  const hasNorms = reader.byte() === 1
  const rows = reader.long()
  reader.long()
  const codes = reader.bytes(reader.int())
  const { pieces, width, lastWidth, centroids } = readQuantizer(reader)
  const normCodes = hasNorms ? reader.bytes(rows) : undefined
  const norms = hasNorms ? readQuantizer(reader).centroids : undefined
  return (row, vector) => {
    const norm = normCodes && norms ? norms[normCodes[row]] : 1
    for (let piece = 0; piece < pieces; piece++) {
      const isLast = piece === pieces - 1
      const code = codes[row * pieces + piece]
      let from = piece * 256 * width + code * (isLast ? lastWidth : width)
      const end = piece * width + (isLast ? lastWidth : width)
      for (let i = piece * width; i < end; i++) vector[i] += norm * centroids[from++]
    }
  }
}

function readQuantizer(reader: Reader) {
  const dimensions = reader.int()
  const pieces = reader.int()
  const width = reader.int()
  const lastWidth = reader.int()
  return { pieces, width, lastWidth, centroids: reader.floats(dimensions * 256) }
}

// ---- text to vector ----

const REMEMBERED_WORDS = 1 << 16
const blank = /[ \n\r\t\v\f\0]+/

/** Sum of a word's own vector and those of its n-grams, and how many they are. */
interface WordSum {
  readonly sum: Float32Array
  readonly count: number
}

class Features {
  readonly #options: Options
  readonly #dictionary: Dictionary
  readonly #addRow: AddRow
  #remembered = new Map<string, WordSum>()

  constructor(options: Options, dictionary: Dictionary, addRow: AddRow) {
    this.#options = options
    this.#dictionary = dictionary
    this.#addRow = addRow
  }

  /** Mean over the first line's words and n-grams; undefined where the model has none of them. */
  mean(text: string): Float32Array | undefined {
    const sum = new Float32Array(this.#options.dimensions)
    let count = 0
    for (const word of [...text.split(blank), END_OF_LINE]) {
      if (word === '') continue
      const part = this.#word(word)
      count += part.count
      for (let i = 0; i < sum.length; i++) sum[i] += part.sum[i]
    }
    if (count === 0) return undefined
    for (let i = 0; i < sum.length; i++) sum[i] /= count
    return sum
  }

  #word(word: string): WordSum {
    const known = this.#remembered.get(word)
    if (known !== undefined) return known
    const made = this.#sumWord(word)
    if (word.length > 32) return made
    if (this.#remembered.size >= REMEMBERED_WORDS) this.#remembered = new Map()
    // A slice would keep the whole text alive; a copy one unit longer keeps only itself.
    this.#remembered.set(`${word} `.slice(0, -1), made)
    return made
  }

  #sumWord(word: string): WordSum {
    const sum = new Float32Array(this.#options.dimensions)
    const id = this.#dictionary.words.get(word)
    let count = 0
    const add = (row: number) => {
      this.#addRow(row, sum)
      count++
    }
    if (id !== undefined) add(id)
    const isLabel = id === undefined && word.startsWith(LABEL)
    if (word !== END_OF_LINE && !isLabel) this.#addGrams(`<${word}>`, add)
    return { sum, count }
  }

  /** n-grams of characters, hashed over their UTF-8 bytes: FNV-1a, with bytes taken as signed. */
  #addGrams(word: string, add: (row: number) => void): void {
    const { shortestGram, longestGram, buckets } = this.#options
    const { words, keptGrams } = this.#dictionary
    const bytes = Buffer.from(word)
    for (let start = 0; start < bytes.length; start++) {
      if ((bytes[start] & 0xc0) === 0x80) continue
      let hash = 2166136261
      for (let end = start, length = 1; end < bytes.length && length <= longestGram; length++) {
        do {
          hash = Math.imul(hash ^ ((bytes[end++] << 24) >> 24), 16777619)
        } while (end < bytes.length && (bytes[end] & 0xc0) === 0x80)
        if (length < shortestGram || (length === 1 && (start === 0 || end === bytes.length))) continue
        const bucket = (hash >>> 0) % buckets
        const row = keptGrams ? keptGrams.get(bucket) : bucket
        if (row !== undefined) add(words.size + row)
      }
    }
  }
}

// ---- vector to labels ----

interface Tree {
  /** Children of inner node i + labels; leaves, the labels, come first. */
  readonly left: Int32Array
  readonly right: Int32Array
}

/** Huffman's tree over the labels' counts, which fall: ties as in the C++ program. */
function buildTree(counts: readonly number[]): Tree {
  const leaves = counts.length
  const weights = new Float64Array(2 * leaves - 1).fill(1e15)
  weights.set(counts)
  const left = new Int32Array(leaves - 1)
  const right = new Int32Array(leaves - 1)
  let leaf = leaves - 1
  let node = leaves
  const lightest = () => (leaf >= 0 && weights[leaf] < weights[node] ? leaf-- : node++)
  for (let i = 0; i < leaves - 1; i++) {
    left[i] = lightest()
    right[i] = lightest()
    weights[leaves + i] = weights[left[i]] + weights[right[i]]
  }
  return { left, right }
}

function predict(
  mean: Float32Array | undefined,
  labels: readonly string[],
  tree: Tree,
  output: { values: Float32Array; columns: number },
  smallest: number,
): Map<string, number> {
  const found: [string, number][] = []
  const least = logarithm(smallest)
  const visit = (node: number, score: number, vector: Float32Array): void => {
    if (score < least) return
    if (node < labels.length) {
      found.push([labels[node], Math.exp(score)])
      return
    }
    const inner = node - labels.length
    let dot = 0
    for (let i = 0, at = inner * output.columns; i < output.columns; i++) dot += vector[i] * output.values[at++]
    const share = 1 / (1 + Math.exp(-dot))
    visit(tree.left[inner], score + logarithm(1 - share), vector)
    visit(tree.right[inner], score + logarithm(share), vector)
  }
  if (mean !== undefined) visit(2 * labels.length - 2, 0, mean)
  return new Map(found.sort((a, b) => b[1] - a[1]))
}

/** The C++ program keeps logarithms finite so; scores may exceed 1 by as little. */
function logarithm(x: number): number {
  return Math.log(x + 1e-5)
}
