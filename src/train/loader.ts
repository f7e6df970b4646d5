// The loader: an endless stream of batches from token shards, at a position that fits in a few numbers. Which tokens row
// n holds depends on the corpus, the seed and n only, never on the batch size or on how often the run was stopped.

import { SluiceError } from '../core/errors.ts'
import { sampleFraction } from '../core/identity.ts'
import type { Corpus, RowGroup } from '../tokens/corpus.ts'
import {
  BatchBuilder,
  bestFitInto,
  concatenateInto,
  type PackedBatch,
  type Packing,
  planBestFit,
  type RowPlan,
  setLastTarget,
} from './pack.ts'
import { planWindows } from './shuffle.ts'
import { loadWindow, type Window } from './window.ts'

/** Where the next row begins. Plain JSON: it is stored in every checkpoint. */
export interface Cursor {
  /** Rows given out so far, over all epochs. */
  readonly rows: number
  readonly epoch: number
  /** Ordinal of the window in its epoch. */
  readonly window: number
  /** Concatenating: tokens into the window. Best-fit: rows into the window's plan. */
  readonly at: number
}

export const firstCursor: Cursor = { rows: 0, epoch: 0, window: 0, at: 0 }

export interface LoaderOptions {
  /** Rows a batch. */
  readonly rows: number
  /** Tokens a row. */
  readonly length: number
  readonly packing: Packing
  readonly seed: number
  /** Share of the documents, by a hash of their ids, that is held out. */
  readonly validationShare: number
  readonly split: 'train' | 'validation'
  /** Tokens that are shuffled together and held in memory. */
  readonly windowTokens: number
  /** Ends after so many; endless where absent. */
  readonly epochs?: number
}

export class TokenLoader {
  readonly #corpus: Corpus
  readonly #options: LoaderOptions
  #position: Cursor
  #windows: RowGroup[][]
  #loaded: { readonly window: Window; readonly plan: RowPlan } | undefined
  #tokensThisEpoch = 0

  constructor(corpus: Corpus, options: LoaderOptions, cursor: Cursor = firstCursor) {
    this.#corpus = corpus
    this.#options = options
    this.#position = cursor
    this.#windows = this.#planEpoch()
    // A cursor past the start has read tokens of its epoch: only a whole epoch without any is an error.
    this.#tokensThisEpoch = cursor.rows
  }

  /** Give this to a new loader with the same corpus and options, and it goes on with the next batch. */
  get cursor(): Cursor {
    return this.#position
  }

  /**
   * The next batch; undefined after the last epoch. The last batch of a bounded loader is filled up with padding.
   *
   * @throws SluiceError where a shard cannot be read, or the split holds no document
   */
  async next(): Promise<PackedBatch | undefined> {
    const { rows, length } = this.#options
    const batch = new BatchBuilder(rows, length)
    await this.fill(batch)
    return batch.filled === 0 ? undefined : batch.finish(this.#corpus.vocabulary.endOfText)
  }

  /**
   * Fills rows up to `batch.until`; false where the last epoch ended before that.
   *
   * @throws SluiceError as `next`
   */
  async fill(batch: BatchBuilder): Promise<boolean> {
    const { length, packing } = this.#options
    const { endOfText } = this.#corpus.vocabulary
    const isBestFit = packing === 'best-fit'
    const before = batch.filled
    // The target of a batch's last token may lie in the next window, so the end of a window is left at once.
    while (!batch.isFull) {
      const current = await this.#currentWindow()
      if (!current) break
      const { window, plan } = current
      const { at } = this.#position
      const next = isBestFit ? bestFitInto(batch, window, plan, at, endOfText) : concatenateInto(batch, window, at, packing === 'documents')
      this.#position = { ...this.#position, at: next }
      if (next < (isBestFit ? plan.rows : window.tokens.length)) continue
      this.#leaveWindow()
      const following = await this.#currentWindow()
      if (following && !isBestFit) setLastTarget(batch, following.window)
    }
    this.#position = { ...this.#position, rows: this.#position.rows + Math.ceil((batch.filled - before) / length) }
    return batch.isFull
  }

  async #currentWindow() {
    while (!this.#loaded) {
      const { epoch, window: ordinal } = this.#position
      if (this.#options.epochs !== undefined && epoch >= this.#options.epochs) return undefined
      if (ordinal >= this.#windows.length) {
        this.#startNextEpoch()
        continue
      }
      const { seed, split, validationShare, length, packing } = this.#options
      const isHeldOut = (id: string) => sampleFraction(id, 'validation') < validationShare
      const selects = split === 'validation' ? isHeldOut : (id: string) => !isHeldOut(id)
      const window = await loadWindow(this.#corpus, this.#windows[ordinal], selects, seed, epoch, 1 + ordinal)
      this.#tokensThisEpoch += window.tokens.length
      if (window.tokens.length === 0) this.#leaveWindow()
      else this.#loaded = { window, plan: planBestFit(packing === 'best-fit' ? window.starts : new Uint32Array(1), length) }
    }
    return this.#loaded
  }

  #leaveWindow(): void {
    this.#loaded = undefined
    this.#position = { ...this.#position, window: this.#position.window + 1, at: 0 }
  }

  #startNextEpoch(): void {
    if (this.#tokensThisEpoch === 0 && this.#options.epochs === undefined)
      throw new SluiceError('SLUICE_TRAIN_CORPUS_EMPTY', `no document of the corpus belongs to the ${this.#options.split} split`, {
        where: { corpus: this.#corpus.folder, documents: this.#corpus.documents, validationShare: this.#options.validationShare },
        fix: 'train on more documents, or hold out a smaller share',
      })
    this.#tokensThisEpoch = 0
    this.#position = { ...this.#position, epoch: this.#position.epoch + 1, window: 0, at: 0 }
    this.#windows = this.#planEpoch()
  }

  #planEpoch(): RowGroup[][] {
    return planWindows(this.#corpus.rowGroups, this.#options.seed, this.#position.epoch, this.#options.windowTokens)
  }
}
