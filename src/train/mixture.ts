// Several corpora as one stream of rows. Row n comes from the corpus that is furthest behind its share of the n rows before,
// so that the shares hold to within a row at any length, and a position is the position in each corpus.

import { createHash } from 'node:crypto'
import { SluiceError } from '../core/errors.ts'
import type { Corpus } from '../tokens/corpus.ts'
import { type Cursor, firstCursor, type LoaderOptions, TokenLoader } from './loader.ts'
import { BatchBuilder, type PackedBatch } from './pack.ts'

export interface MixedCorpus {
  readonly corpus: Corpus
  /** Share of the rows, in proportion to those of the others. */
  readonly weight: number
}

export class MixedLoader {
  readonly #sources: readonly { readonly loader: TokenLoader; readonly share: number; readonly firstShard: number }[]
  readonly #options: LoaderOptions
  readonly #padding: number
  readonly #ended = new Set<TokenLoader>()

  /** @param cursors one a corpus; the start where absent */
  constructor(corpora: readonly MixedCorpus[], options: LoaderOptions, cursors?: readonly Cursor[]) {
    const total = corpora.reduce((sum, { weight }) => sum + weight, 0)
    let firstShard = 0
    this.#sources = corpora.map(({ corpus, weight }, index) => {
      const source = { loader: new TokenLoader(corpus, options, cursors?.[index] ?? firstCursor), share: weight / total, firstShard }
      firstShard += corpus.shards.length
      return source
    })
    this.#options = options
    this.#padding = corpora[0].corpus.vocabulary.endOfText
  }

  /** Give these to a new loader with the same corpora and options, and it goes on with the next batch. */
  get cursors(): Cursor[] {
    return this.#sources.map(({ loader }) => loader.cursor)
  }

  /**
   * The next batch, with shards counted over all corpora; undefined after the last epoch of each.
   *
   * @throws SluiceError as `TokenLoader.next`
   */
  async next(): Promise<PackedBatch | undefined> {
    const { rows, length } = this.#options
    const batch = new BatchBuilder(rows, length)
    while (batch.filled < rows * length) {
      const source = this.#nextSource()
      if (!source) break
      batch.until = this.#sources.length === 1 ? rows * length : batch.filled + length
      batch.firstShard = source.firstShard
      if (!(await source.loader.fill(batch))) {
        this.#ended.add(source.loader)
        batch.padRow(this.#padding)
      }
    }
    return batch.filled === 0 ? undefined : batch.finish(this.#padding)
  }

  #nextSource() {
    const open = this.#sources.filter(({ loader }) => !this.#ended.has(loader))
    const total = this.#sources.reduce((sum, { loader }) => sum + loader.cursor.rows, 0)
    let next: (typeof open)[number] | undefined
    let furthest = Number.NEGATIVE_INFINITY
    for (const source of open) {
      const behind = source.share * (total + 1) - source.loader.cursor.rows
      if (behind <= furthest) continue
      next = source
      furthest = behind
    }
    return next
  }
}

/** Of a mixture: one corpus alone has its own. */
export function mixtureHash(corpora: readonly MixedCorpus[]): string {
  if (corpora.length === 1) return corpora[0].corpus.hash
  return createHash('sha256')
    .update(JSON.stringify(corpora.map(({ corpus, weight }) => [corpus.hash, weight])))
    .digest('hex')
}

/** @throws SluiceError `SLUICE_TRAIN_VOCABULARIES` where equal ids would not mean the same */
export function assertOneVocabulary(corpora: readonly MixedCorpus[]): void {
  const [{ corpus: first }] = corpora
  const other = corpora.find(({ corpus }) => corpus.vocabulary.hash !== first.vocabulary.hash)?.corpus
  if (!other) return
  throw new SluiceError('SLUICE_TRAIN_VOCABULARIES', 'the corpora were made with different tokenizers: equal ids would not mean the same', {
    where: { [first.folder]: first.vocabulary.hash.slice(0, 12), [other.folder]: other.vocabulary.hash.slice(0, 12) },
    fix: 'tokenize both with one tokenizer',
  })
}
