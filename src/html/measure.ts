// Numbers per node that every later decision reads: visible text, link text, sentence marks, and the block each text lies in.

import { BOILERPLATE, COMMENTS, HIDDEN, hintOf } from './hints.ts'
import { BLOCK, TEXT, tagSet } from './tags.ts'
import type { HtmlTree } from './tree.ts'

export interface Measures {
  /** Hint bits of the element itself. */
  readonly hint: Uint8Array
  /** 1 where nothing of the subtree is ever read: scripts, hidden elements, form controls. */
  readonly isDead: Uint8Array
  /** Nearest block at or above the node. */
  readonly block: Int32Array
  /** Characters of visible text directly in a block, or in the subtree after `sumUp`. */
  readonly chars: Int32Array
  readonly linkChars: Int32Array
  /** Sentence marks and commas. */
  readonly marks: Int32Array
}

const DEAD = tagSet(
  'head script style noscript template iframe noembed noframes svg math object embed video audio canvas map button input select textarea ' +
    'option optgroup progress meter datalist dialog meta link base title param track source',
)

/** Measures all nodes; text counts are those of the node alone, on its block. */
export function measure(tree: HtmlTree): Measures {
  const { count, tag, parent, text, attributes, isLink } = tree
  const hint = new Uint8Array(count)
  const isDead = new Uint8Array(count)
  const block = new Int32Array(count)
  const chars = new Int32Array(count)
  const linkChars = new Int32Array(count)
  const marks = new Int32Array(count)
  for (let node = 1; node < count; node++) {
    const above = parent[node]
    const isText = tag[node] === TEXT
    if (isDead[above] === 1) {
      isDead[node] = 1
      continue
    }
    if (!isText) {
      const own = attributes[node]
      if (own !== undefined) hint[node] = hintOf(own)
      if ((DEAD[tag[node]] === 1 && !(own?.shadowrootmode !== undefined)) || (hint[node] & HIDDEN) !== 0) isDead[node] = 1
      block[node] = BLOCK[tag[node]] === 1 ? node : block[above]
      continue
    }
    const at = block[above]
    block[node] = at
    const length = visibleLength(text[node])
    chars[at] += length
    if (isLink[node] === 1) linkChars[at] += length
    else marks[at] += countMarks(text[node])
  }
  return { hint, isDead, block, chars, linkChars, marks }
}

/** Adds every node's numbers to its parent's, bottom up. */
export function sumUp(tree: HtmlTree, values: Int32Array | Float64Array): void {
  const { count, parent } = tree
  for (let node = count - 1; node > 0; node--) values[parent[node]] += values[node]
}

/** Length with runs of blanks counted as one, none at the ends. */
function visibleLength(text: string): number {
  let length = 0
  let wasSpace = true
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    const isSpace = code === 32 || (code >= 9 && code <= 13) || code === 160
    if (!isSpace) length += wasSpace && length > 0 ? 2 : 1
    wasSpace = isSpace
  }
  return length
}

function countMarks(text: string): number {
  let found = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    // , . ! ? ; and their full-width, Arabic and Devanagari kin
    if (code === 44 || code === 46 || code === 33 || code === 63 || code === 59) found++
    else if (code > 0x600 && MARKS.has(code)) found++
  }
  return found
}

const MARKS = new Set([...'。，、！？；．،؛؟۔।…'].map((mark) => mark.charCodeAt(0)))

export const BOILERPLATE_HINTS = BOILERPLATE | COMMENTS
