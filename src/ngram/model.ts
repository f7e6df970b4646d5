// A language model of n-grams: loaded once a process from an ARPA or a KenLM binary file, asked by any thread. Scores are
// log10 probabilities, those of KenLM (Heafield 2011) on the same file.

import { z } from 'zod'
import { shareAcrossThreads } from '../core/share.ts'
import { readBytes } from '../io/byte-source.ts'
import { openFile } from '../io/file-source.ts'
import { localPath } from '../io/inputs.ts'
import { isKenlmBinary, readKenlmBinary } from './kenlm-binary.ts'
import {
  instantiateNgram,
  type NgramKernel,
  type NgramModel,
  releaseSlot,
  SLOT_END_SCORE,
  SLOT_TEXT,
  SLOT_TOKEN_SCORES,
  SLOT_TOKENS,
  SLOT_TOTAL_SCORE,
  SLOT_UNKNOWN,
  TEXT_BYTES,
  takeSlot,
} from './memory.ts'
import { readArpa } from './read-arpa.ts'

/** Of a text: each line is a sentence, <s> before it and </s> behind. */
export interface TextScore {
  /** log10 probability of all lines, </s> included. */
  readonly logProbability: number
  /** Words, and a </s> a line. */
  readonly tokens: number
  /** Words that the model does not know. */
  readonly unknown: number
}

export interface TokenScore {
  readonly logProbability: number
  readonly isUnknown: boolean
}

/** CCNet's definition (Wenzek et al. 2020): 10 to the mean negative logarithm, ends of lines counted as tokens. */
export function perplexityOf({ logProbability, tokens }: Pick<TextScore, 'logProbability' | 'tokens'>): number {
  return 10 ** (-logProbability / tokens)
}

const sharedModel = z.object({ memory: z.instanceof(WebAssembly.Memory), order: z.int(), comments: z.array(z.string()) })
const scorers = new Map<string, Promise<NgramScorer>>()

/**
 * The scorer of this thread for a model file, ARPA (also gzip or zstd) or KenLM binary. The model is in memory once.
 *
 * @throws SluiceError `SLUICE_FILE_MISSING`, `SLUICE_NGRAM_ARPA`, `SLUICE_NGRAM_BINARY`, `SLUICE_NGRAM_TOO_LARGE`
 */
export async function loadNgramScorer(file: string): Promise<NgramScorer> {
  const path = localPath(file)
  const { url, size, version } = await openFile(path, {})
  const key = JSON.stringify(['sluice-ngram', url, size, version])
  const loading = scorers.get(key) ?? shareAcrossThreads(key, () => readModel(path), isModel).then((model) => new NgramScorer(model))
  scorers.set(key, loading)
  loading.catch(() => scorers.delete(key)) // a file that is mended in the meantime is read again
  return await loading
}

function isModel(value: unknown): value is NgramModel {
  return sharedModel.safeParse(value).success
}

async function readModel(path: string): Promise<NgramModel> {
  const source = await openFile(path, {})
  return isKenlmBinary(await readBytes(source, 0, 256)) ? await readKenlmBinary(path) : await readArpa(source, path)
}

export class NgramScorer {
  readonly order: number
  readonly comments: readonly string[]
  readonly #memory: WebAssembly.Memory
  readonly #kernel: NgramKernel
  readonly #bytes: Uint8Array
  readonly #view: DataView

  constructor({ memory, order, comments }: NgramModel) {
    this.order = order
    this.comments = comments
    this.#memory = memory
    this.#kernel = instantiateNgram(memory)
    this.#bytes = new Uint8Array(memory.buffer)
    this.#view = new DataView(memory.buffer)
  }

  /** Words are what blanks separate (bytes 0, 9 to 13 and 32); a line feed ends a line. The empty text is one empty line. */
  scoreText(text: string): TextScore {
    return this.#inSlot((slot) => {
      for (const piece of pieces(utf8(text))) {
        this.#bytes.set(piece, slot + SLOT_TEXT)
        this.#kernel.score(slot, piece.length, false)
      }
      this.#kernel.endLine(slot)
      return {
        logProbability: this.#view.getFloat64(slot + SLOT_TOTAL_SCORE, true),
        tokens: this.#view.getUint32(slot + SLOT_TOKENS, true),
        unknown: this.#view.getUint32(slot + SLOT_UNKNOWN, true),
      }
    })
  }

  /** Scores of a line's words and, last, of its </s>. Line feeds count as blanks. */
  scoreTokens(line: string): TokenScore[] {
    return this.#inSlot((slot) => {
      const scores: TokenScore[] = []
      for (const piece of pieces(utf8(line.replaceAll('\n', ' ')))) {
        this.#bytes.set(piece, slot + SLOT_TEXT)
        const kept = this.#kernel.score(slot, piece.length, true)
        for (let at = slot + SLOT_TOKEN_SCORES; at < slot + SLOT_TOKEN_SCORES + 8 * kept; at += 8)
          scores.push({ logProbability: this.#view.getFloat32(at, true), isUnknown: this.#view.getUint32(at + 4, true) === 1 })
      }
      this.#kernel.endLine(slot)
      scores.push({ logProbability: this.#view.getFloat32(slot + SLOT_END_SCORE, true), isUnknown: false })
      return scores
    })
  }

  #inSlot<T>(work: (slot: number) => T): T {
    const slot = takeSlot(this.#memory)
    try {
      this.#kernel.begin(slot)
      return work(slot)
    } finally {
      releaseSlot(this.#memory, slot)
    }
  }
}

const scratch = Buffer.alloc(1 << 20)

/** Borrowed until the next call, where it fits: a buffer a document is work for the garbage collector. */
function utf8(text: string): Buffer {
  return 3 * text.length <= scratch.length ? scratch.subarray(0, scratch.write(text)) : Buffer.from(text)
}

/** What the kernel takes at once, cut at blanks. A word too long for that is unknown anyway, and counts as two or more. */
function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.length; ) {
    let end = Math.min(bytes.length, start + TEXT_BYTES)
    if (end < bytes.length) {
      while (end > start && !isBlank(bytes[end])) end--
      if (end === start) end = start + TEXT_BYTES
    }
    yield bytes.subarray(start, end)
    start = end
  }
}

function isBlank(byte: number): boolean {
  return byte === 32 || (byte >= 9 && byte <= 13) || byte === 0
}
