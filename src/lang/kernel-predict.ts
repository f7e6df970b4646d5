// Predictions by the kernel, for models that lie in shared memory: reading a text and adding its rows take a fraction of what
// predict.ts takes with n-grams of words. One a thread; what threads share is read only.

import { allocateShared, createScratch, type InMemory, instantiateFastText, type Scratch } from './fasttext-memory.ts'
import type { FastTextModel } from './fasttext-model.ts'
import { createRanker, type Prediction, type RankLabels } from './label-scores.ts'
import { FastTextPredictor } from './predict.ts'

export interface Predictor {
  /**
   * As the reference's command line for one line of text; line breaks inside count as blanks.
   *
   * @param most how many labels at most, from 1
   * @param smallest labels with a lower score are left out
   * @returns best first; empty where no row of the model belongs to the text
   */
  predict(text: string, most: number, smallest: number): Prediction[]
}

export function createPredictor(model: FastTextModel): Predictor {
  return model.memory === null ? new FastTextPredictor(model) : new KernelPredictor(model.memory, model)
}

const NEWLINE = 10
const SPACE = 32
const FIRST_TEXT_BYTES = 1 << 16

export type KernelModel = Pick<FastTextModel, 'settings' | 'labels' | 'counts' | 'wordCount' | 'output'>

export class KernelPredictor implements Predictor {
  readonly #memory: WebAssembly.Memory
  readonly #model: KernelModel
  readonly #kernel: ReturnType<typeof instantiateFastText>
  readonly #rank: RankLabels
  readonly #encoder = new TextEncoder()
  readonly #hidden: Float64Array
  /** A byte more on each side than a text may have. */
  #text: Uint8Array
  #scratch: Scratch

  constructor(memory: WebAssembly.Memory, model: KernelModel) {
    this.#memory = memory
    this.#model = model
    this.#kernel = instantiateFastText(memory)
    this.#rank = createRanker(model)
    this.#hidden = new Float64Array(model.settings.dim)
    this.#text = allocateShared(memory)(FIRST_TEXT_BYTES)
    this.#scratch = createScratch(memory, model, boundsOf(model.settings, FIRST_TEXT_BYTES))
  }

  predict(text: string, most: number, smallest: number): Prediction[] {
    this.#makeRoom(3 * text.length + 3)
    const bytes = this.#text
    const end = 1 + this.#encoder.encodeInto(text, bytes.subarray(1)).written
    for (let at = bytes.indexOf(NEWLINE, 1); at > 0 && at < end; at = bytes.indexOf(NEWLINE, at + 1)) bytes[at] = SPACE
    bytes[end] = NEWLINE
    const { address, hidden, rowCount } = this.#scratch
    this.#kernel.readLine(address, bytes.byteOffset + 1, bytes.byteOffset + end + 1)
    if (rowCount() === 0) return []
    this.#kernel.averageLine(address)
    this.#hidden.set(hidden)
    return this.#rank(this.#hidden, most, smallest)
  }

  /** Buffers are not given back, but each is twice the one before. */
  #makeRoom(bytes: number): void {
    if (bytes <= this.#text.length) return
    const size = Math.max(bytes, 2 * this.#text.length)
    this.#text = allocateShared(this.#memory)(size)
    this.#scratch = createScratch(this.#memory, this.#model, boundsOf(this.#model.settings, size))
  }
}

/** What a text of so many bytes can have at most. */
function boundsOf({ wordNgrams, minn, maxn }: InMemory['settings'], bytes: number) {
  const tokens = Math.ceil(bytes / 2) + 1
  const perCharacter = maxn === 0 ? 0 : maxn - Math.max(1, minn) + 1
  return { tokens, rows: tokens * wordNgrams + 2 * bytes * perCharacter }
}
