// A window: the documents of a few row groups, permuted and laid end to end in one typed array. It is what packing reads.

import { LARGEST_U16_VOCABULARY } from '../../schemas/tokens.ts'
import type { Corpus, RowGroup, TokenRows } from '../tokens/corpus.ts'
import { permutation } from './shuffle.ts'

export interface Window {
  /** [n] tokens of all documents, one after another; every document ends in the end-of-text token. */
  readonly tokens: Uint16Array | Uint32Array
  /** [n] 1 where the loss counts on predicting that token; absent where it counts everywhere. */
  readonly mask?: Uint8Array
  /** [documents + 1] where each document starts in `tokens`; the last entry is n. */
  readonly starts: Uint32Array
  /** [documents] which shard of the corpus each came from. */
  readonly shard: Uint32Array
  /** [documents] its row in that shard. */
  readonly row: Uint32Array
}

/**
 * Reads row groups and lays out the documents that `selects` admits in the order of the seed words. A document that does
 * not end in the end-of-text token gets one.
 */
export async function loadWindow(
  corpus: Corpus,
  groups: readonly RowGroup[],
  selects: (id: string) => boolean,
  ...seed: readonly number[]
): Promise<Window> {
  const parts: TokenRows[] = []
  for (const group of groups) parts.push(await corpus.readRows(group))
  const picked = pickDocuments(parts, selects)
  return layOut(corpus, groups, parts, picked, permutation(picked.part.length, ...seed))
}

interface Picked {
  readonly part: number[]
  readonly index: number[]
}

function pickDocuments(parts: readonly TokenRows[], selects: (id: string) => boolean): Picked {
  const picked: Picked = { part: [], index: [] }
  for (let part = 0; part < parts.length; part++) {
    const { ids, tokens } = parts[part]
    for (let index = 0; index < ids.length; index++) {
      if (tokens[index].length === 0 || !selects(ids[index])) continue
      picked.part.push(part)
      picked.index.push(index)
    }
  }
  return picked
}

function layOut(corpus: Corpus, groups: readonly RowGroup[], parts: readonly TokenRows[], picked: Picked, order: Uint32Array): Window {
  const { endOfText, size } = corpus.vocabulary
  const starts = new Uint32Array(order.length + 1)
  const shard = new Uint32Array(order.length)
  const row = new Uint32Array(order.length)
  for (let document = 0; document < order.length; document++) {
    const part = picked.part[order[document]]
    const index = picked.index[order[document]]
    const source = parts[part].tokens[index]
    starts[document + 1] = starts[document] + source.length + (source[source.length - 1] === endOfText ? 0 : 1)
    shard[document] = groups[part].shard
    row[document] = groups[part].firstRow + index
  }
  const n = starts[order.length]
  const tokens = size <= LARGEST_U16_VOCABULARY ? new Uint16Array(n) : new Uint32Array(n)
  const mask = parts.some(({ masks }) => masks.some((ofDocument) => ofDocument)) ? new Uint8Array(n).fill(1) : undefined
  for (let document = 0; document < order.length; document++) {
    const part = parts[picked.part[order[document]]]
    const index = picked.index[order[document]]
    const ofDocument = part.masks[index]
    tokens[starts[document + 1] - 1] = endOfText
    tokens.set(part.tokens[index], starts[document])
    if (mask && ofDocument) mask.set(ofDocument, starts[document])
  }
  return { tokens, mask, starts, shard, row }
}

/** The document that holds a token position: the last whose start is at or before it. */
export function documentAt(window: Window, position: number): number {
  let low = 0
  let high = window.starts.length - 2
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (window.starts[middle] <= position) low = middle
    else high = middle - 1
  }
  return low
}
