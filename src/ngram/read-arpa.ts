// ARPA files of n-gram models, plain, gzip or zstd, into the kernel's tables. The lines of n-grams are parsed by the kernel;
// what frames them is parsed here, as strictly as KenLM does.

import { SluiceError } from '../core/errors.ts'
import type { ByteSource } from '../io/byte-source.ts'
import { decompress } from '../io/decompress.ts'
import {
  allocateModel,
  finishVocabulary,
  instantiateNgram,
  LINES_BYTES,
  MAXIMUM_ORDER,
  type NgramKernel,
  type NgramModel,
  setWords,
  type Tables,
  wordsOf,
} from './memory.ts'

/** Of a table per entry: looking up what is not there takes two or three steps. */
const BUCKETS_PER_ENTRY = 1.5
/** Room for n-grams that a pruned model lacks although longer ones end with them. */
const SPARE_BUCKETS = 64
const GROWTHS = 4
/** log10 of p(<unk>) in a model without it, as KenLM has it. */
const MISSING_UNKNOWN = -100

const FULL = 3
const problems: Readonly<Record<number, string>> = {
  1: 'a line is no n-gram: a probability, the words and, below the highest order, a backoff are wanted',
  2: 'an n-gram has a word that is none of the 1-grams',
  4: 'an n-gram is there whose first words are no n-gram of their own',
  5: 'a probability is above 1: its logarithm is positive',
  6: 'an n-gram is there twice',
}

/** @throws SluiceError `SLUICE_NGRAM_ARPA`, `SLUICE_NGRAM_TOO_LARGE`, `SLUICE_STREAM_…` */
export async function readArpa(source: ByteSource, file: string): Promise<NgramModel> {
  for (let growth = 0, bucketsPerEntry = BUCKETS_PER_ENTRY; growth < GROWTHS; growth++, bucketsPerEntry *= 2) {
    const model = await readOnce(source, file, bucketsPerEntry)
    if (model) return model
  }
  throw new SluiceError('SLUICE_NGRAM_ARPA', 'most n-grams that longer ones end with are missing from the model', {
    where: { file },
    fix: 'prune it with thresholds that do not fall with the order',
  })
}

/** @returns undefined where a table was too small for what had to be made up */
async function readOnce(source: ByteSource, file: string, bucketsPerEntry: number): Promise<NgramModel | undefined> {
  const reader = new ArpaReader(source, file)
  const comments = await readComments(reader)
  const counts = await readCounts(reader)
  const [words, ...longer] = counts
  const buckets = (entries: number) => Math.ceil(entries * bucketsPerEntry) + SPARE_BUCKETS
  const tables = allocateModel({ words, vocabularyBuckets: buckets(words), buckets: longer.map(buckets) }, file)
  const kernel = instantiateNgram(tables.memory)
  setWords(tables, 1) // <unk> is 0 whether or not it is there
  new DataView(tables.memory.buffer, tables.unigrams, 8).setFloat32(0, MISSING_UNKNOWN, true)
  for (const [i, count] of counts.entries()) {
    await readHeading(reader, `\\${i + 1}-grams:`)
    if (!(await readSection(reader, kernel, tables, i + 1, count))) return undefined
    if (i === 0 && !finishVocabulary(tables, kernel, wordsOf(tables))) throw reader.wrong('the model has no <s> or no </s>')
  }
  await readHeading(reader, '\\end\\')
  return { memory: tables.memory, order: counts.length, comments }
}

async function readComments(reader: ArpaReader): Promise<string[]> {
  const comments: string[] = []
  for (let line = await reader.line(); line !== '\\data\\'; line = await reader.line()) {
    if (line === undefined || !(line.trim() === '' || line.startsWith('#')))
      throw reader.wrong('this is no ARPA file: it does not begin with \\data\\')
    if (line.startsWith('#')) comments.push(line.slice(1).trim())
  }
  return comments
}

async function readCounts(reader: ArpaReader): Promise<number[]> {
  const counts: number[] = []
  for (let line = await reader.line(); line !== undefined && line.trim() !== ''; line = await reader.line()) {
    const match = /^ngram (\d+) ?= ?(\d{1,15})\s*$/.exec(line)
    if (!match || Number(match[1]) !== counts.length + 1) throw reader.wrong(`"ngram ${counts.length + 1}=…" was expected`)
    counts.push(Number(match[2]))
  }
  if (counts.length === 0 || counts.length > MAXIMUM_ORDER)
    throw reader.wrong(`the model's order is ${counts.length}, 1 to ${MAXIMUM_ORDER} can be read`)
  return counts
}

async function readHeading(reader: ArpaReader, heading: string): Promise<void> {
  let line = await reader.line()
  while (line !== undefined && line.trim() === '') line = await reader.line()
  if (line?.trimEnd() !== heading) throw reader.wrong(line === undefined ? `the file ends before ${heading}` : `${heading} was expected`)
}

/** @returns false where a table was too small */
async function readSection(reader: ArpaReader, kernel: NgramKernel, tables: Tables, n: number, count: number): Promise<boolean> {
  const target = new Uint8Array(tables.memory.buffer, tables.end, LINES_BYTES)
  for (let left = count; left > 0; ) {
    const lines = await reader.lines(LINES_BYTES)
    if (lines.length === 0) throw reader.wrong(`${left} more ${n}-grams were announced`)
    target.set(lines)
    const bytes = kernel.addLines(n, tables.end, tables.end + lines.length, left) - tables.end
    reader.advance(bytes, kernel.linesOf())
    left -= kernel.linesOf()
    const problem = kernel.problemOf()
    if (problem === FULL) return false
    if (problem !== 0) throw reader.wrong(lines[bytes] === 10 ? `${left} more ${n}-grams were announced` : problems[problem], 1)
  }
  return true
}

/** The decompressed file, by the line or by as many whole lines as there are at hand. */
class ArpaReader {
  readonly #file: string
  readonly #chunks: AsyncIterator<Buffer>
  #buffer = Buffer.alloc(0)
  #line = 0

  constructor(source: ByteSource, file: string) {
    this.#file = file
    this.#chunks = chunksOf(source, file)
  }

  /** Without its line feed; undefined at the end. */
  async line(): Promise<string | undefined> {
    const lines = await this.lines(Number.POSITIVE_INFINITY)
    if (lines.length === 0) return undefined
    const end = lines.indexOf(10)
    const line = lines.toString('utf8', 0, end).replace(/\r$/, '')
    this.advance(end + 1, 1)
    return line
  }

  /** Whole lines, each with its line feed, of at most so many bytes in all; empty at the end. */
  async lines(maximumBytes: number): Promise<Buffer> {
    while (true) {
      const end = this.#buffer.subarray(0, maximumBytes).lastIndexOf(10) + 1
      if (end > 0) return this.#buffer.subarray(0, end)
      if (this.#buffer.length >= maximumBytes) throw this.wrong('a line is longer than any n-gram', 1)
      const { value, done } = await this.#chunks.next()
      if (!done) this.#buffer = Buffer.concat([this.#buffer, value])
      else if (this.#buffer.length === 0) return this.#buffer
      else this.#buffer = Buffer.concat([this.#buffer, Buffer.from('\n')])
    }
  }

  advance(bytes: number, lines: number): void {
    this.#buffer = this.#buffer.subarray(bytes)
    this.#line += lines
  }

  /** @param ahead lines between the last one that was taken and the wrong one */
  wrong(message: string, ahead = 0): SluiceError {
    return new SluiceError('SLUICE_NGRAM_ARPA', message, {
      where: { file: this.#file, line: this.#line + ahead },
      fix: 'make the file again, or fetch it again',
    })
  }
}

async function* chunksOf(source: ByteSource, file: string): AsyncGenerator<Buffer> {
  const damages: SluiceError[] = []
  for await (const { chunk } of decompress(source, ({ code, message, offset }) =>
    damages.push(new SluiceError(code, message, { where: { file, byte: offset } })),
  ))
    yield chunk
  if (damages.length > 0) throw damages[0]
}
