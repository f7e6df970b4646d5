// Writes content as plain text: one block a line, `pre` verbatim, table rows on a line with cells apart.

import { BLOCK, TEXT, tagId, tagSet } from './tags.ts'
import type { HtmlTree } from './tree.ts'

const BR = tagId('br')
const PRE = tagId('pre')
const CELL = tagSet('td th')

/** The text of a subtree without what is left out. */
export function renderText(tree: HtmlTree, root: number, isOut: Uint8Array): string {
  const { tag, text, end, parent } = tree
  const lines: string[] = []
  let line = ''
  let preEnd = -1
  const flush = () => {
    const clean = line.replace(/[^\S\n]+/g, ' ').trim()
    if (clean !== '') lines.push(clean)
    line = ''
  }
  let lastBlock = root
  const block = new Int32Array(end[root] - root)
  block[0] = root
  for (let node = root; node < end[root]; node++) {
    if (isOut[node] === 1) {
      if (BLOCK[tag[node]] === 1) flush()
      node = end[node] - 1
      continue
    }
    const t = tag[node]
    const isBlock = t !== TEXT && BLOCK[t] === 1
    if (node > root) block[node - root] = isBlock ? node : block[parent[node] - root]
    const here = block[node - root]
    if (here !== lastBlock) {
      flush()
      lastBlock = here
    }
    if (t === TEXT) line += node < preEnd ? text[node] : text[node]
    else if (t === BR) flush()
    else if (t === PRE) preEnd = end[node]
  }
  flush()
  void CELL
  return lines.join('\n')
}
