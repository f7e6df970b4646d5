// Evaluation sets as contamination is looked for in them: their examples' texts, as n-grams of plain words, numbered.
// Brown et al. 2020 (GPT-3), appendix C, arxiv.org/abs/2005.14165: 13-grams; a set of short examples gets shorter ones.

import { globSync } from 'node:fs'
import { extname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import { SluiceError, systemCode } from '../core/errors.ts'
import { fileVersion } from '../core/file-version.ts'
import { readLines } from '../io/lines.ts'
import { openBytes } from '../io/open-bytes.ts'
import { plainWords } from './plain-words.ts'

export const evaluationSetOption = z.strictObject({
  files: z
    .union([z.string(), z.array(z.string()).min(1)])
    .describe('files, or patterns: JSON lines, or text of one example a line; gzip and zstd are fine'),
  fields: z.array(z.string()).min(1).optional().describe('names of the JSON fields that count, at any depth; all texts where left out'),
})
export type EvaluationSetOption = z.output<typeof evaluationSetOption>

/** Paths, sorted. What the plan hash needs to notice a change stands behind each. */
export function evaluationFiles(name: string, { files }: EvaluationSetOption): { path: string; version: string }[] {
  const patterns = typeof files === 'string' ? [files] : files
  return patterns.flatMap((pattern) => {
    const paths = /[*?[{]/.test(pattern) ? globSync(pattern).sort() : [pattern]
    if (paths.length === 0) throw unreadable(name, pattern, 'no file is called so')
    return paths.map((path) => ({ path, version: versionOf(name, path) }))
  })
}

function versionOf(name: string, path: string): string {
  try {
    return fileVersion(path)
  } catch (cause) {
    throw unreadable(name, path, systemCode(cause) ?? 'unknown error', cause)
  }
}

function unreadable(name: string, path: string, why: string, cause?: unknown): SluiceError {
  return new SluiceError('SLUICE_EVALUATION_UNREADABLE', `cannot read the evaluation set ${name}: ${path} (${why})`, {
    where: { file: path },
    fix: 'give the path of a file of JSON lines, or of text with one example a line',
    cause,
  })
}

/** The texts of each example. */
export async function* readExamples(name: string, option: EvaluationSetOption): AsyncGenerator<string[]> {
  const fields = option.fields && new Set(option.fields)
  for (const { path } of evaluationFiles(name, option)) {
    const isJson = /^\.(jsonl|json|ndjson)$/.test(extname(path.replace(/\.(gz|zst)$/, '')))
    const source = await openBytes(pathToFileURL(path).href)
    const damaged = ({ message, offset }: { message: string; offset: number }) => {
      throw unreadable(name, `${path}, byte ${offset}`, message)
    }
    for await (const { lines } of readLines(source, { maxLineBytes: 64 << 20, damaged })) {
      for (const { bytes, offset } of lines) {
        const line = bytes.toString('utf8')
        if (line.trim() === '') continue
        yield isJson ? textsOf(parseJson(line, name, `${path}, byte ${offset}`), fields) : [line]
      }
    }
  }
}

function parseJson(line: string, name: string, where: string): unknown {
  try {
    return JSON.parse(line)
  } catch (cause) {
    throw unreadable(name, where, 'a line is no JSON', cause)
  }
}

/** All strings of a value in order; with fields, those under one of these names. */
function textsOf(value: unknown, fields: ReadonlySet<string> | undefined): string[] {
  if (typeof value === 'string') return fields ? [] : [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => textsOf(inner, fields?.has(key) ? undefined : fields))
}

export interface NgramRules {
  /** Longest n-gram. */
  readonly ngramWords: number
  /** Shortest, for sets of short examples. */
  readonly minNgramWords: number
}

export interface EvaluationSet {
  readonly name: string
  /** Words an n-gram: the length that all but the shortest twentieth of the examples have, within the rules. */
  readonly ngramWords: number
  /** First example of the set among those of all sets. */
  readonly firstExample: number
  readonly examples: number
  /** Examples that are shorter than an n-gram: they cannot be found. */
  readonly tooShort: number
}

export function ngramWordsFor(exampleWords: readonly number[], { ngramWords, minNgramWords }: NgramRules): number {
  const sorted = exampleWords.toSorted((a, b) => a - b)
  const fifthPercentile = sorted[Math.floor(sorted.length / 20)] ?? ngramWords
  return Math.min(ngramWords, Math.max(minNgramWords, fifthPercentile))
}

/**
 * All n-grams of all sets, each once, with the texts that hold it. An example has one or more texts (a question, an answer),
 * and is found where one of them is; n-grams lie within one text.
 */
export class EvaluationIndex {
  readonly sets: EvaluationSet[] = []
  readonly wordIds = new Map<string, number>()
  /** One table for each length of n-grams. */
  readonly tables = new Map<number, NgramTable>()
  /** Distinct n-grams of each text: [texts]. */
  readonly textNgrams: number[] = []
  /** The example that a text belongs to: [texts] ascending. */
  readonly textExamples: number[] = []
  /** Texts that hold an n-gram: [n-grams] each ascending. */
  readonly ngramTexts: number[][] = []
  /** Of all sets. */
  examples = 0

  addSet(name: string, examples: readonly (readonly string[])[], rules: NgramRules): void {
    const words = examples.map((texts) => texts.map((text) => Int32Array.from(plainWords(text), (word) => this.#wordId(word))))
    const lengths = words.map((texts) => texts.reduce((sum, { length }) => sum + length, 0))
    const ngramWords = ngramWordsFor(lengths, rules)
    const table = this.tables.get(ngramWords) ?? new NgramTable(ngramWords)
    this.tables.set(ngramWords, table)
    const firstExample = this.examples
    for (const texts of words) this.#addExample(texts, table)
    const tooShort = lengths.filter((length) => length < ngramWords).length
    this.sets.push({ name, ngramWords, firstExample, examples: examples.length, tooShort })
  }

  /** The set that an example belongs to. */
  setOf(example: number): EvaluationSet {
    const set = this.sets.findLast(({ firstExample }) => firstExample <= example)
    if (!set) throw new RangeError(`there is no example ${example}`)
    return set
  }

  #wordId(word: string): number {
    const known = this.wordIds.get(word)
    if (known !== undefined) return known
    this.wordIds.set(word, this.wordIds.size)
    return this.wordIds.size - 1
  }

  /** Texts that are shorter than an n-gram count only where all are: then as one text. */
  #addExample(texts: readonly Int32Array[], table: NgramTable): void {
    const example = this.examples++
    const long = texts.filter(({ length }) => length >= table.words)
    for (const words of long.length > 0 ? long : [joined(texts)]) {
      const text = this.textExamples.push(example) - 1
      const ngrams = new Set<number>()
      table.add(words, this.ngramTexts.length, (ngram) => {
        if (ngram === this.ngramTexts.length) this.ngramTexts.push([])
        if (ngrams.has(ngram)) return
        ngrams.add(ngram)
        this.ngramTexts[ngram].push(text)
      })
      this.textNgrams.push(ngrams.size)
    }
  }
}

function joined(texts: readonly Int32Array[]): Int32Array {
  return Int32Array.from(texts.flatMap((words) => [...words]))
}

const base = 0x9e3779b1 | 0
/** Numbers of a slot: hash, place + 1 (0 where the slot is free), n-gram. */
const slotSize = 4

/** N-grams of one length by a rolling hash of their words' numbers; equal ones are told from alike by the words themselves. */
export class NgramTable {
  readonly words: number
  /** base^(words − 1): what the oldest word of a window counts. */
  readonly #highest: number
  /** Open addressing, at most half full. */
  #slots = new Int32Array(slotSize << 12)
  #used = 0
  /** All examples' words, one after another; a place is a position in it. */
  #stream = new Int32Array(1 << 12)
  #length = 0

  constructor(words: number) {
    this.words = words
    let highest = 1
    for (let i = 1; i < words; i++) highest = Math.imul(highest, base)
    this.#highest = highest
  }

  /**
   * Adds the n-grams of a text.
   *
   * @param next number of the next n-gram that is new; each new one raises it by one
   * @param visit sees the number of each n-gram in order
   */
  add(ids: Int32Array, next: number, visit: (ngram: number) => void): void {
    const first = this.#length
    this.#append(ids)
    let fresh = next
    this.#roll(ids, ids.length, (hash, start) => {
      const slot = this.#slotOf(hash, ids, start)
      const isNew = this.#slots[slot + 1] === 0
      const ngram = isNew ? fresh++ : this.#slots[slot + 2]
      if (isNew) this.#fill(slot, hash, first + start, ngram)
      visit(ngram)
    })
  }

  /**
   * Visits the known n-grams of a text: their number, and the position of their first word.
   *
   * @param ids word numbers, −1 for words of no example
   */
  search(ids: Int32Array, count: number, visit: (ngram: number, start: number) => void): void {
    this.#roll(ids, count, (hash, start) => {
      const slot = this.#slotOf(hash, ids, start)
      if (this.#slots[slot + 1] !== 0) visit(this.#slots[slot + 2], start)
    })
  }

  #roll(ids: Int32Array, count: number, visit: (hash: number, start: number) => void): void {
    const n = this.words
    const highest = this.#highest
    let hash = 0
    let run = 0
    for (let i = 0; i < count; i++) {
      const id = ids[i]
      if (id < 0) {
        run = 0
        hash = 0
        continue
      }
      if (run >= n) hash = (hash - Math.imul(ids[i - n] + 1, highest)) | 0
      hash = (Math.imul(hash, base) + id + 1) | 0
      if (++run >= n) visit(hash, i - n + 1)
    }
  }

  /** The slot of an n-gram, or the free one where the search for it ended. */
  #slotOf(hash: number, ids: Int32Array, start: number): number {
    const slots = this.#slots
    let slot = firstSlot(hash, slots.length)
    while (slots[slot + 1] !== 0 && !(slots[slot] === hash && this.#isEqual(slots[slot + 1] - 1, ids, start)))
      slot = (slot + slotSize) & (slots.length - 1)
    return slot
  }

  #isEqual(place: number, ids: Int32Array, start: number): boolean {
    const stream = this.#stream
    for (let i = 0; i < this.words; i++) if (stream[place + i] !== ids[start + i]) return false
    return true
  }

  #fill(slot: number, hash: number, place: number, ngram: number): void {
    this.#slots.set([hash, place + 1, ngram], slot)
    if (++this.#used * 2 * slotSize <= this.#slots.length) return
    const old = this.#slots
    const slots = new Int32Array(old.length * 2)
    for (let from = 0; from < old.length; from += slotSize) {
      if (old[from + 1] === 0) continue
      let to = firstSlot(old[from], slots.length)
      while (slots[to + 1] !== 0) to = (to + slotSize) & (slots.length - 1)
      slots.set(old.subarray(from, from + slotSize), to)
    }
    this.#slots = slots
  }

  #append(ids: Int32Array): void {
    if (this.#length + ids.length > this.#stream.length) {
      const grown = new Int32Array(Math.max(2 * this.#stream.length, this.#length + ids.length))
      grown.set(this.#stream)
      this.#stream = grown
    }
    this.#stream.set(ids, this.#length)
    this.#length += ids.length
  }
}

function firstSlot(hash: number, length: number): number {
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) & (length - slotSize)
}
