// Span corruption: Raffel et al. 2020, arxiv.org/abs/1910.10683 (T5). Spans of a document are replaced by sentinels in the
// source; the target lists each sentinel with what it stands for, and the end. The sentinels are counted down from one id,
// anew in each document. A function of the seed and the row's ordinal, as masking is.

import type { PairBatch } from '../model/batch.ts'
import type { PackedBatch } from './pack.ts'
import { PairRows } from './pair-rows.ts'
import { randomUint32 } from './shuffle.ts'

/** That a document may have, as in T5. */
export const SENTINELS = 100

export interface SpanOptions {
  /** Share of the tokens that are taken out. */
  readonly share: number
  /** Mean length of what is taken out at once, in tokens. */
  readonly meanSpan: number
  /** Id of the first sentinel; the others lie below it. */
  readonly sentinel: number
  readonly sentinels: number
  readonly startToken: number
  readonly endOfText: number
  /** Tokens of a target row. */
  readonly targetLength: number
  readonly seed: number
}

/** Room for the targets of a row: what is taken out, a sentinel a span, an end a document, of which a few share a row. */
export function targetRoom(length: number, { share, meanSpan }: Pick<SpanOptions, 'share' | 'meanSpan'>): number {
  return Math.ceil((length * share * (1 + 1 / meanSpan) + 12) / 8) * 8
}

/**
 * @param firstRow ordinal of the first row in the run
 */
export function corruptSpans({ rows, length, ids, lo }: PackedBatch, firstRow: number, options: SpanOptions): PairBatch {
  const out = new PairRows(rows, length, options.targetLength, options.startToken)
  for (let row = 0; row < rows; row++) {
    const random = randomUint32(options.seed, firstRow + row, 0x7370616e)
    for (let start = 0; start < length; ) {
      let end = start + 1
      while (end < length && lo[row * length + end] === lo[row * length + start]) end++
      const tokens = ids.subarray(row * length + start, row * length + end)
      const isPadding = tokens.length === 1 && tokens[0] === options.endOfText
      if (!isPadding) addDocument(out, row, tokens, options, random)
      start = end
    }
  }
  return out.finish()
}

function addDocument(out: PairRows, row: number, tokens: Int32Array, options: SpanOptions, random: () => number): void {
  // The end stays where it is: that a text ends is no secret to be filled in.
  const n = tokens[tokens.length - 1] === options.endOfText ? tokens.length - 1 : tokens.length
  const taken = Math.min(n - 1, Math.round(n * options.share))
  const spans = Math.min(options.sentinels, Math.max(1, Math.round(taken / options.meanSpan)), n - taken)
  if (taken < spans || spans < 1 || taken + spans + 1 > out.targetSpace(row)) {
    out.addSource(row, tokens) // too short to take anything out, or its target has no room: read, not written
    return
  }
  const takenLengths = randomParts(taken, spans, random)
  const keptLengths = randomParts(n - taken, spans, random)
  const source: number[] = []
  const target: number[] = []
  let at = 0
  for (let span = 0; span < spans; span++) {
    for (const stop = at + keptLengths[span]; at < stop; at++) source.push(tokens[at])
    source.push(options.sentinel - span)
    target.push(options.sentinel - span)
    for (const stop = at + takenLengths[span]; at < stop; at++) target.push(tokens[at])
  }
  for (; at < tokens.length; at++) source.push(tokens[at])
  target.push(options.endOfText)
  out.add(row, source, target)
}

/** A sum cut into so many parts of at least 1, every way alike: cuts are drawn from the places between. */
function randomParts(total: number, parts: number, random: () => number): number[] {
  const lengths: number[] = []
  let cutsLeft = parts - 1
  let length = 1
  for (let place = 1; place < total; place++) {
    if (random() % (total - place) < cutsLeft) {
      lengths.push(length)
      length = 0
      cutsLeft--
    }
    length++
  }
  lengths.push(length)
  return lengths
}
