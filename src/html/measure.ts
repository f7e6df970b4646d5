// Numbers per node that every later decision reads: visible text, link text, sentence marks, and the block each text lies in.

import { HIDDEN, hintOf } from './hints.ts'
import { BLOCK, TEXT, tagId, tagSet } from './tags.ts'
import type { HtmlTree } from './tree.ts'

export interface Measures {
  /** Hint bits of the element itself. */
  readonly hint: Uint16Array
  /** 1 where nothing of the subtree is ever read: scripts, hidden elements, form controls. */
  readonly isDead: Uint8Array
  /** Nearest block at or above the node. */
  readonly block: Int32Array
  /** Characters of visible text directly in a block; runs of blanks count as one. */
  readonly characters: Float64Array
  readonly linkCharacters: Float64Array
  /** 1 on a block that has a comma or a sentence mark outside of links. */
  readonly hasMark: Uint8Array
}

const DEAD = tagSet(
  'head script style template iframe noembed noframes svg math object embed video audio canvas map button input select textarea ' +
    'option optgroup progress meter datalist dialog meta link base title param track source img picture area',
)

/** What of a page counts as shown, beside the plainly visible. */
interface Shown {
  readonly hidden: boolean
  readonly noscript: boolean
}

/** Text nodes from this length, outside of links, are sentences: enough to compare what is shown with what is not. */
const SENTENCE = 60
/** A page that shows less than this may have its text hidden until a script runs. */
const LITTLE = 1000

/**
 * Measures all nodes; text counts are those directly in a block, not in its subtree. A page that shows little by itself,
 * because its scripts would reveal the rest or replace it, is read as its `noscript` or its hidden elements have it.
 */
export function measure(tree: HtmlTree): Measures {
  const plain = measureShown(tree, { hidden: false, noscript: false })
  if (plain.noscriptSentences > plain.sentences) return measureShown(tree, { hidden: false, noscript: true })
  return plain.sentences < LITTLE && plain.hiddenSentences > 2 * plain.sentences
    ? measureShown(tree, { hidden: true, noscript: false })
    : plain
}

function measureShown(tree: HtmlTree, shown: Shown): Measures & Sentences {
  const { count, tag, parent, text, attributes, isLink } = tree
  const hint = new Uint16Array(count)
  const isDead = new Uint8Array(count)
  const block = new Int32Array(count)
  const characters = new Float64Array(count)
  const linkCharacters = new Float64Array(count)
  const hasMark = new Uint8Array(count)
  const sentences = new Float64Array(3)
  // Which of the three the text of each node goes to: shown, noscript, hidden; or neither.
  const kind = new Uint8Array(count)
  for (let node = 1; node < count; node++) {
    const above = parent[node]
    kind[node] = kind[above]
    const isText = tag[node] === TEXT
    if (isText && isLink[node] === 0 && text[node].length >= SENTENCE && kind[node] < NEVER) sentences[kind[node]] += text[node].length
    if (isDead[above] === 1) {
      isDead[node] = 1
      if (!isText && DEAD[tag[node]] === 1) kind[node] = NEVER
      continue
    }
    if (!isText) {
      const own = attributes[node]
      if (DEAD[tag[node]] === 1 && own?.shadowrootmode === undefined) {
        isDead[node] = 1
        kind[node] = NEVER
        continue
      }
      if (own !== undefined) hint[node] = hintOf(own)
      if (tag[node] === NOSCRIPT && !shown.noscript) kind[node] = IN_NOSCRIPT
      else if ((hint[node] & HIDDEN) !== 0 && !shown.hidden) kind[node] = IN_HIDDEN
      if (kind[node] !== 0) isDead[node] = 1
      block[node] = BLOCK[tag[node]] === 1 ? node : block[above]
      continue
    }
    const at = block[above]
    block[node] = at
    const length = visibleLength(text[node])
    if (length === 0) continue
    characters[at] += length
    if (isLink[node] === 1) linkCharacters[at] += length
    else if (hasMark[at] === 0 && MARK.test(text[node])) hasMark[at] = 1
  }
  const [seen, noscriptSentences, hiddenSentences] = sentences
  return { hint, isDead, block, characters, linkCharacters, hasMark, sentences: seen, noscriptSentences, hiddenSentences }
}

/** Characters of long texts. */
interface Sentences {
  readonly sentences: number
  readonly noscriptSentences: number
  readonly hiddenSentences: number
}

const NOSCRIPT = tagId('noscript')
const IN_NOSCRIPT = 1
const IN_HIDDEN = 2
const NEVER = 3

/** Length in letters, with runs of blanks counted as one, none at the ends. */
function visibleLength(text: string): number {
  let length = 0
  let wasSpace = false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code <= 32 || code === 160) {
      wasSpace = length > 0
      continue
    }
    // A Han character or a syllable says about as much as two letters.
    length += code >= 0x2e80 && code < 0xd800 ? 2 : 1
    if (wasSpace) length++
    wasSpace = false
  }
  return length
}

/** Commas and sentence marks, with their full-width, Arabic and Devanagari kin. */
const MARK = /[,.!?;。，、！？；．،؛؟۔।…]/
