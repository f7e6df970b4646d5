// Trains an interpolated modified Kneser-Ney model on text, out of core: counts (counts.ts), adjusted counts and discounts
// (adjust.ts), probabilities (estimate.ts), an ARPA file. The model is that of KenLM's lmplz on the same lines.

import { randomBytes } from 'node:crypto'
import { mkdir, rename, rm } from 'node:fs/promises'
import { SluiceError } from '../core/errors.ts'
import { CompressedFile } from '../io/compressed-file.ts'
import { diskError } from '../io/disk-errors.ts'
import { adjustCounts, type Discounts } from './adjust.ts'
import { type Bounds, NgramCounter } from './counts.ts'
import { type EstimatedOrder, estimate, floatOf, recordsOf } from './estimate.ts'

export interface NgramTraining {
  /** 1 to 6. */
  readonly order: number
  /** As lmplz's --prune: an n-gram that occurs at most so often is left out, by order; the last counts for all that follow. */
  readonly prune: readonly number[]
  /** Discounts where the text gives none; without them, that is an error. */
  readonly fallback?: Discounts
  readonly memoryBytes: number
  readonly signal: AbortSignal
  /** Lines that begin the file: how to make text into what the model was trained on. */
  readonly comments: readonly string[]
}

export interface NgramSummary {
  readonly tokens: number
  /** n-grams in the model, by order. */
  readonly ngrams: readonly number[]
  readonly discounts: readonly Discounts[]
}

/**
 * @param texts every line of each is a sentence
 * @param path of the ARPA file, gzip where it ends in .gz; it appears whole or not at all. Temporary files stand beside it
 * @throws SluiceError `SLUICE_NGRAM_DISCOUNT`, `SLUICE_NGRAM_PRUNE`, `SLUICE_NGRAM_NO_TEXT`, `SLUICE_DISK_FULL`
 */
export async function trainNgram(texts: AsyncIterable<string>, path: string, training: NgramTraining): Promise<NgramSummary> {
  const { order, prune, fallback, memoryBytes, signal } = training
  if (prune.some((threshold, i) => i > 0 && threshold < prune[i - 1]) || prune.length > order)
    throw new SluiceError('SLUICE_NGRAM_PRUNE', `the thresholds ${prune.join(', ')} cannot prune a model of order ${order}`, {
      fix: 'give at most one an order, none smaller than the one before: an n-gram’s end would be missing',
    })
  const folder = `${path}.${randomBytes(4).toString('hex')}.tmp`
  try {
    await mkdir(folder)
    const bounds: Bounds = { folder, memoryBytes, signal }
    const counter = new NgramCounter(order, bounds)
    for await (const text of texts) {
      signal.throwIfAborted()
      counter.add(text)
    }
    if (counter.tokens === 0) throw new SluiceError('SLUICE_NGRAM_NO_TEXT', 'there is no word to train on', { fix: 'name files with text' })
    const adjusted = await adjustCounts(counter, { order, folder, prune, fallback })
    const estimated = await estimate(adjusted, bounds)
    await writeArpa(`${folder}/model`, path.endsWith('.gz') ? 'gz' : 'none', counter.words, estimated, training.comments)
    await rename(`${folder}/model`, path)
    return { tokens: counter.tokens, ngrams: adjusted.map(({ kept }) => kept), discounts: adjusted.map(({ discounts }) => discounts) }
  } catch (error) {
    throw diskError(error, path)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

// ---- ARPA ----

const CHUNK_CHARACTERS = 1 << 20

async function writeArpa(
  path: string,
  compression: 'gz' | 'none',
  words: readonly string[],
  orders: readonly EstimatedOrder[],
  comments: readonly string[],
): Promise<void> {
  const file = await CompressedFile.create(path, compression)
  let text = comments.map((comment) => `# ${comment}\n`).join('')
  text += `\\data\\\n${orders.map(({ kept }, i) => `ngram ${i + 1}=${kept}\n`).join('')}\n`
  for (const [i, order] of orders.entries()) {
    text += `\\${i + 1}-grams:\n`
    for (const line of arpaLines(order, i + 1, words, orders[i + 1]?.backoffs)) {
      text += line
      if (text.length < CHUNK_CHARACTERS) continue
      await file.write(Buffer.from(text))
      text = ''
    }
    text += '\n'
  }
  await file.write(Buffer.from(`${text}\\end\\\n`))
  await file.close()
}

/** @param backoffFile absent for the highest order */
function* arpaLines(
  { probabilities }: EstimatedOrder,
  n: number,
  words: readonly string[],
  backoffFile: string | undefined,
): Generator<string> {
  const backoffs = backoffFile === undefined ? undefined : recordsOf(backoffFile)
  let backoff = backoffs?.next()
  for (const { records, at } of recordsOf(probabilities)) {
    let line = `${printFloat(Math.min(0, Math.fround(Math.log10(floatOf(records[at + n])))))}\t${words[records[at + n - 1]]}`
    for (let i = n - 2; i >= 0; i--) line += ` ${words[records[at + i]]}`
    if (backoffs && backoff) {
      while (!backoff.done && isBefore(backoff.value.records, backoff.value.at, records, at, n)) backoff = backoffs.next()
      const isContext = !backoff.done && !isBefore(records, at, backoff.value.records, backoff.value.at, n)
      line += `\t${isContext ? printFloat(Math.fround(Math.log10(floatOf(backoff.value.records[backoff.value.at + n])))) : '0'}`
    }
    yield `${line}\n`
  }
}

function isBefore(a: Uint32Array, atA: number, b: Uint32Array, atB: number, words: number): boolean {
  for (let i = 0; i < words; i++) if (a[atA + i] !== b[atB + i]) return a[atA + i] < b[atB + i]
  return false
}

/** The shortest decimal that is this single-precision number. */
function printFloat(value: number): string {
  for (const scale of [1e6, 1e7]) {
    const rounded = Math.round(value * scale) / scale
    if (Math.fround(rounded) === value) return String(rounded)
  }
  for (const digits of [7, 8]) {
    const rounded = Number(value.toPrecision(digits))
    if (Math.fround(rounded) === value) return String(rounded)
  }
  return String(Number(value.toPrecision(9)))
}
