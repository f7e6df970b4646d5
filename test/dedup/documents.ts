// Documents for tests, made of nothing but their texts.

import type { Document } from '../../src/core/document.ts'

/** Ids are their ordinals. */
export function documentsOf(texts: readonly string[]): Document[] {
  return texts.map((text, i) => ({ id: String(i), source: 'file:///test', offset: i, length: 0, metadata: {}, text }))
}

/** The list cut into partitions before each of these ordinals; empty partitions are possible. */
export function cutAt<T>(list: readonly T[], cuts: readonly number[]): T[][] {
  const bounds = [0, ...[...cuts].sort((a, b) => a - b), list.length]
  return bounds.slice(1).map((end, i) => list.slice(bounds[i], end))
}
