// A model in memory, and what its files are known by: github.com/facebookresearch/fastText, where FastText::saveModel writes
// .bin and .ftz. read-fasttext.ts reads them, write-fasttext.ts writes them.

import type { BucketRows } from './bucket-rows.ts'
import type { Matrix } from './matrix.ts'
import type { Loss } from './training-options.ts'
import type { WordTable } from './word-table.ts'

/** A supervised model, checked: every row that a text can name exists. */
export interface FastTextModel {
  readonly settings: ModelSettings
  /** Tokens of the training text. */
  readonly tokens: number
  /** Words, numbered from 0, then labels. */
  readonly dictionary: WordTable
  /** How often each entry was seen in training. The tree of the hierarchical softmax follows from those of the labels. */
  readonly counts: Float64Array
  readonly wordCount: number
  readonly labels: readonly string[]
  readonly ngramRows: BucketRows
  /** Rows of the words, then of the n-grams. */
  readonly input: Matrix
  readonly output: Matrix
  /** Where all of it lies, if threads can share it and kernels/wasm/fasttext.ts can work on it: then both matrices are dense. */
  readonly memory: WebAssembly.Memory | null
}

/** What a file says of how its model was trained and of how it reads text. */
export interface ModelSettings {
  readonly dim: number
  readonly window: number
  readonly epoch: number
  readonly minCount: number
  readonly neg: number
  /** Longest n-gram of words; 1: none. */
  readonly wordNgrams: number
  readonly loss: Loss
  readonly bucket: number
  /** Characters of the shortest and the longest n-gram of a word, its borders included; maxn 0: words only. */
  readonly minn: number
  readonly maxn: number
  readonly lrUpdateRate: number
  /** Sampling threshold of word vectors: without effect on labels. */
  readonly threshold: number
}

// ---- the files ----

export const MAGIC = 793712314
export const NEWEST_VERSION = 12
export const SUPERVISED = 3
export const LABEL_ENTRY = 1
/** By their numbers in the file. */
export const LOSSES: readonly (Loss | undefined)[] = [undefined, 'hs', 'ns', 'softmax', 'ova']
