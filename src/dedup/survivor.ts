// Which document of a group of duplicates stays: the one most preferred, and of equals the first in input order.

import { z } from 'zod'
import type { Document } from '../core/document.ts'

export const keepOption = z
  .union([
    z.enum(['first', 'longest', 'none']),
    z.strictObject({ highest: z.string().describe('annotation, or number in the metadata') }),
    z.strictObject({ subsets: z.array(z.string()).min(1).describe('names of subsets, the most preferred first') }),
  ])
  .default('first')
  .describe(
    'which of a group of duplicates stays: the first, the longest text, the highest value of an annotation, the one of a preferred subset, or none',
  )
export type Keep = z.output<typeof keepOption>

/** True where documents differ in how much they are preferred. */
export function hasPreference(keep: Keep): boolean {
  return keep !== 'first' && keep !== 'none'
}

/** Higher is better. A document without the value comes behind all that have one. */
export function preference(document: Document, keep: Keep): number {
  if (keep === 'longest') return document.text.length
  if (typeof keep === 'string') return 0
  if ('subsets' in keep) {
    const rank = keep.subsets.indexOf(document.subset ?? '')
    return rank === -1 ? Number.NEGATIVE_INFINITY : -rank
  }
  const value = document.annotations?.[keep.highest] ?? document.metadata[keep.highest]
  return typeof value === 'number' && !Number.isNaN(value) ? value : Number.NEGATIVE_INFINITY
}

const float = new Float64Array(1)
const bits = new Uint32Array(float.buffer)

/**
 * A number as two u32 words that sort descending: words[at] first. A double's bits sort like the number once its sign bit
 * is flipped, or all bits where it is negative.
 */
export function writeDescending(value: number, words: Uint32Array, at: number): void {
  float[0] = value === 0 ? 0 : value
  const isNegative = bits[1] >>> 31 === 1
  words[at] = isNegative ? bits[1] : ~(bits[1] ^ 0x80000000)
  words[at + 1] = isNegative ? bits[0] : ~bits[0]
}
