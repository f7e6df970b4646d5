// What models are fed: one type of batch an architecture. Rows are packed: the interval [lo, hi) of each position says what it
// sees, so one row may hold several documents, and padding is a position that sees itself alone.
// A position is counted from its lo: every document begins at 0.

/** Rows of a decoder: each position predicts the token after it. */
export interface TokenBatch {
  readonly kind: 'tokens'
  readonly rows: number
  readonly length: number
  /** [rows·length] */
  readonly ids: Int32Array
  /** [rows·length], −1: no loss */
  readonly targets: Int32Array
  /** First visible position of each position, inside its row; the last one is itself. */
  readonly lo: Int32Array
}

/**
 * Rows of an encoder and the positions that its head looks at: masked tokens, each to be restored, or the first token of each
 * example, to be classified. Other positions cost no head.
 */
export interface PickedBatch {
  readonly kind: 'picked'
  readonly rows: number
  readonly length: number
  /** [rows·length] */
  readonly ids: Int32Array
  /** Visible positions of each position, inside its row: lo ≤ j < hi. */
  readonly lo: Int32Array
  readonly hi: Int32Array
  /** Segment of each position, for models with token types; 0 where absent. */
  readonly types?: Int32Array
  /** [picks] row·length + position */
  readonly picked: Int32Array
  /** [picks] the token, or the label; −1: no loss */
  readonly targets: Int32Array
}

/** Rows of an encoder-decoder: row r of the target side reads row r of the source side. */
export interface PairBatch {
  readonly kind: 'pairs'
  readonly rows: number
  readonly source: SourceSide
  readonly target: TargetSide
}

export interface SourceSide {
  readonly length: number
  /** [rows·length] */
  readonly ids: Int32Array
  /** Visible positions of each position, inside its row: lo ≤ j < hi. */
  readonly lo: Int32Array
  readonly hi: Int32Array
}

export interface TargetSide {
  readonly length: number
  /** [rows·length], shifted: the start token, then all but the last token of the target. */
  readonly ids: Int32Array
  /** [rows·length], −1: no loss */
  readonly targets: Int32Array
  /** First visible position of each position, inside its row of the target side; the last one is itself. */
  readonly lo: Int32Array
  /** Positions of the source row that each position reads: crossLo ≤ j < crossHi. */
  readonly crossLo: Int32Array
  readonly crossHi: Int32Array
}

export type Batch = TokenBatch | PickedBatch | PairBatch

/** At most `limit` tokens of a text: its first ones and its last one, for that is what closes it. */
export function cutInside(tokens: readonly number[], limit: number): readonly number[] {
  return tokens.length > limit ? [...tokens.slice(0, limit - 1), tokens[tokens.length - 1]] : tokens
}

/** Positions whose target counts. */
export function countTargets(targets: Int32Array): number {
  let count = 0
  for (let i = 0; i < targets.length; i++) if (targets[i] >= 0) count++
  return count
}

/** Tokens that a batch has room for, on both sides. */
export function tokenCount(batch: Batch): number {
  return batch.kind === 'pairs' ? batch.rows * (batch.source.length + batch.target.length) : batch.rows * batch.length
}
