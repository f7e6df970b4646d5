// Masked tokens: Devlin et al. 2019, arxiv.org/abs/1810.04805. Of the chosen positions, 80 % show the mask, 10 % a random
// token, 10 % the token itself. What is chosen is a function of the seed and the row's ordinal, so a resumed run chooses alike.

import type { PickedBatch } from '../model/batch.ts'
import type { PackedBatch } from './pack.ts'
import { randomUint32 } from './shuffle.ts'

export interface MaskOptions {
  /** Share of the tokens to be restored. */
  readonly share: number
  readonly maskToken: number
  /** Never chosen: it ends documents and pads rows. */
  readonly endOfText: number
  /** Tokens that may stand in for others: ids below this. */
  readonly vocabularySize: number
  readonly seed: number
}

/** Positions that a row may pick at most. */
export function mostPicks(length: number, { share }: Pick<MaskOptions, 'share'>): number {
  return Math.ceil(length * share)
}

/**
 * Packed rows with their intervals to both sides, a share of the tokens hidden.
 *
 * @param firstRow ordinal of the first row in the run
 */
export function maskTokens({ rows, length, ids, lo }: PackedBatch, firstRow: number, options: MaskOptions): PickedBatch {
  const shown = ids.slice()
  const picked: number[] = []
  const targets: number[] = []
  const candidates = new Int32Array(length)
  for (let row = 0; row < rows; row++) {
    const random = randomUint32(options.seed, firstRow + row, 0x6d61736b)
    let count = 0
    for (let i = row * length; i < (row + 1) * length; i++) if (ids[i] !== options.endOfText) candidates[count++] = i
    const picks = Math.round(count * options.share)
    for (let pick = 0; pick < picks; pick++) {
      const other = pick + (random() % (count - pick))
      const place = candidates[other]
      candidates[other] = candidates[pick]
      const way = random() % 10
      if (way < 8) shown[place] = options.maskToken
      else if (way === 8) shown[place] = random() % options.vocabularySize
      picked.push(place)
      targets.push(ids[place])
    }
  }
  return {
    kind: 'picked',
    rows,
    length,
    ids: shown,
    lo: lo.slice(),
    hi: endsOf(lo, rows, length),
    picked: Int32Array.from(picked),
    targets: Int32Array.from(targets),
  }
}

/** Where the document of each position ends in its row: positions of one document begin at the same place. */
function endsOf(lo: Int32Array, rows: number, length: number): Int32Array {
  const hi = new Int32Array(rows * length)
  for (let row = 0; row < rows; row++)
    for (let t = length - 1; t >= 0; t--) {
      const i = row * length + t
      hi[i] = t + 1 < length && lo[i + 1] === lo[i] ? hi[i + 1] : t + 1
    }
  return hi
}
