// Packing documents into training rows. Three ways:
// - concatenate: rows are cut from one endless stream, attention crosses document borders (GPT-2, llm.c);
// - documents: the same rows, but a position sees its own document only;
// - best-fit: no document is cut that fits a row (Ding et al. 2024, arxiv.org/abs/2404.10830), padding where nothing fits.
// None loses a token: in each, every token of the corpus is an input exactly once an epoch.

import { countTargets, type TokenBatch } from '../model/batch.ts'
import { documentAt, type Window } from './window.ts'

export const packings = ['concatenate', 'documents', 'best-fit'] as const
export type Packing = (typeof packings)[number]

export interface PackedBatch extends TokenBatch {
  /** Positions whose target counts. */
  readonly targetCount: number
  /** Which documents the batch was made of: shard, row, shard, row, … in order of appearance. */
  readonly documents: readonly number[]
}

/** Pieces that best-fit looks through: bounds both the time and how far a document may move from its place. */
const POOL_PIECES = 256

/** A batch being filled, row by row from the left. */
export class BatchBuilder {
  readonly rows: number
  readonly length: number
  readonly ids: Int32Array
  readonly targets: Int32Array
  readonly lo: Int32Array
  readonly documents: number[] = []
  /** Positions filled so far; rows × length when full. */
  filled = 0
  /** Where the one that fills stops: the end of a row. */
  until: number
  /** Added to the ordinals of shards: which corpus of a mixture fills. */
  firstShard = 0

  constructor(rows: number, length: number) {
    this.rows = rows
    this.length = length
    this.ids = new Int32Array(rows * length)
    this.targets = new Int32Array(rows * length).fill(-1)
    this.lo = new Int32Array(rows * length)
    this.until = rows * length
  }

  get isFull(): boolean {
    return this.filled === this.until
  }

  /** Fills the open row with a token that sees only itself and counts nowhere. */
  padRow(token: number): void {
    while (this.filled % this.length !== 0) this.#pad(token)
  }

  /** Pads the rows that the corpus did not fill. */
  finish(padding: number): PackedBatch {
    while (this.filled < this.ids.length) this.#pad(padding)
    const { rows, length, ids, targets, lo, documents } = this
    return { kind: 'tokens', rows, length, ids, targets, lo, targetCount: countTargets(targets), documents }
  }

  #pad(token: number): void {
    this.ids[this.filled] = token
    this.lo[this.filled] = this.filled % this.length
    this.filled++
  }

  noteDocument(shardOfCorpus: number, row: number): void {
    const n = this.documents.length
    const shard = this.firstShard + shardOfCorpus
    if (n < 2 || this.documents[n - 1] !== row || this.documents[n - 2] !== shard) this.documents.push(shard, row)
  }
}

/**
 * Copies tokens from position `at` of the window until the batch is filled or the window ends, and returns the position
 * after the last one. The target of the window's last token is left at −1: the next window knows it (`setLastTarget`).
 */
export function concatenateInto(batch: BatchBuilder, window: Window, at: number, seesOwnDocumentOnly: boolean): number {
  const { tokens, mask, starts } = window
  const { ids, targets, lo, length } = batch
  const end = Math.min(tokens.length, at + batch.until - batch.filled)
  let document = documentAt(window, at)
  while (at < end) {
    const stop = Math.min(end, starts[document + 1])
    batch.noteDocument(window.shard[document], window.row[document])
    let filled = batch.filled
    for (let i = at; i < stop; i++, filled++) {
      ids[filled] = tokens[i]
      if (i + 1 < tokens.length && (mask === undefined || mask[i + 1] === 1)) targets[filled] = tokens[i + 1]
      const column = filled % length
      lo[filled] = seesOwnDocumentOnly ? Math.max(0, column - (i - starts[document])) : 0
    }
    batch.filled = filled
    at = stop
    document++
  }
  return at
}

/** Gives the token before a window its target, the window's first token. */
export function setLastTarget(batch: BatchBuilder, window: Window): void {
  if (batch.filled > 0 && (window.mask === undefined || window.mask[0] === 1)) batch.targets[batch.filled - 1] = window.tokens[0]
}

/** How best-fit packs a window: row r holds the pieces `rowPieces[r]` to `rowPieces[r + 1]`. */
export interface RowPlan {
  readonly rows: number
  readonly rowPieces: Uint32Array
  /** [pieces] first token of each piece. */
  readonly from: Uint32Array
  /** [pieces] the token after its last. */
  readonly to: Uint32Array
  /** [pieces] its document in the window. */
  readonly document: Uint32Array
}

/**
 * Cuts documents into pieces of at most a row and packs them: a row starts with the oldest piece waiting, then takes the
 * longest that still fits, out of the next 256. Depends on lengths only, so a resumed run plans the same.
 */
export function planBestFit(starts: Uint32Array, length: number): RowPlan {
  const pieces = cutPieces(starts, length)
  const sizes = Uint32Array.from(pieces.from, (from, piece) => pieces.to[piece] - from)
  const { order, rowPieces } = fitRows(sizes, length)
  return {
    rows: rowPieces.length - 1,
    rowPieces: Uint32Array.from(rowPieces),
    from: Uint32Array.from(order, (piece) => pieces.from[piece]),
    to: Uint32Array.from(order, (piece) => pieces.to[piece]),
    document: Uint32Array.from(order, (piece) => pieces.document[piece]),
  }
}

/**
 * Which pieces share a row: the oldest that waits, then the longest that still fit, out of the next 256.
 *
 * @param beside a second size of each piece, and what the row has room for of it: the target side of pairs
 */
export function fitRows(
  sizes: Uint32Array,
  length: number,
  beside?: { readonly sizes: Uint32Array; readonly length: number },
): { order: number[]; rowPieces: number[] } {
  const order: number[] = []
  const rowPieces: number[] = [0]
  const pool: number[] = []
  let next = 0
  while (pool.length > 0 || next < sizes.length) {
    while (pool.length < POOL_PIECES && next < sizes.length) pool.push(next++)
    const first = pool.shift() ?? 0
    order.push(first)
    let space = length - sizes[first]
    let spaceBeside = beside ? beside.length - beside.sizes[first] : 0
    while (space > 0) {
      let best = -1
      for (let i = 0; i < pool.length; i++) {
        const size = sizes[pool[i]]
        if (size > space || (best >= 0 && size <= sizes[pool[best]])) continue
        if (beside && beside.sizes[pool[i]] > spaceBeside) continue
        best = i
      }
      if (best < 0) break
      const piece = pool[best]
      order.push(piece)
      space -= sizes[piece]
      if (beside) spaceBeside -= beside.sizes[piece]
      pool.splice(best, 1)
    }
    rowPieces.push(order.length)
  }
  return { order, rowPieces }
}

function cutPieces(starts: Uint32Array, length: number) {
  const from: number[] = []
  const to: number[] = []
  const document: number[] = []
  for (let d = 0; d + 1 < starts.length; d++) {
    for (let start = starts[d]; start < starts[d + 1]; start += length) {
      from.push(start)
      to.push(Math.min(start + length, starts[d + 1]))
      document.push(d)
    }
  }
  return { from, to, document }
}

/** Copies rows from `row` of the plan until the batch is full or the plan ends, and returns the row after the last one. */
export function bestFitInto(batch: BatchBuilder, window: Window, plan: RowPlan, row: number, padding: number): number {
  for (; row < plan.rows && !batch.isFull; row++) {
    for (let piece = plan.rowPieces[row]; piece < plan.rowPieces[row + 1]; piece++) copyPiece(batch, window, plan, piece)
    batch.padRow(padding)
  }
  return row
}

function copyPiece(batch: BatchBuilder, window: Window, plan: RowPlan, piece: number): void {
  const { tokens, mask, starts } = window
  const document = plan.document[piece]
  const end = starts[document + 1]
  const first = batch.filled % batch.length
  batch.noteDocument(window.shard[document], window.row[document])
  for (let i = plan.from[piece]; i < plan.to[piece]; i++) {
    batch.ids[batch.filled] = tokens[i]
    if (i + 1 < end && (mask === undefined || mask[i + 1] === 1)) batch.targets[batch.filled] = tokens[i + 1]
    batch.lo[batch.filled] = first
    batch.filled++
  }
}
