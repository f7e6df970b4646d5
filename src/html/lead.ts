// The lead: the sentence or two under the headline that many sites set apart from the article's own text, and repeat as
// the page's description. It is found by that repetition.

import type { Block } from './blocks.ts'
import type { Measures } from './measure.ts'
import { TEXT, tagSet } from './tags.ts'
import type { HtmlTree } from './tree.ts'

/** As much of the description must open the lead. */
const START_CHARACTERS = 40
/** A lead is a sentence. */
const LEAD_CHARACTERS = 60

const ELSEWHERE = tagSet('nav footer aside li figcaption')

/** The lead that stands in the page before `root`, the last one where there are several; undefined where there is none. */
export function leadBefore(tree: HtmlTree, measures: Measures, root: number, description: string): Block | undefined {
  const start = oneLine(description).slice(0, START_CHARACTERS)
  if (start.length < START_CHARACTERS) return undefined
  for (let node = root - 1; node > 0; node--) {
    if (tree.tag[node] !== TEXT || measures.isDead[node] === 1 || tree.isLink[node] === 1 || tree.text[node].length < LEAD_CHARACTERS)
      continue
    const text = oneLine(tree.text[node])
    if (text.length >= LEAD_CHARACTERS && text.startsWith(start) && !isElsewhere(tree, node)) return paragraph(text, node)
  }
  return undefined
}

function isElsewhere(tree: HtmlTree, from: number): boolean {
  for (let node = tree.parent[from]; node > 0; node = tree.parent[node]) if (ELSEWHERE[tree.tag[node]] === 1) return true
  return false
}

function paragraph(text: string, node: number): Block {
  return {
    kind: 'paragraph',
    text,
    markdown: text,
    level: 0,
    quote: 0,
    ordinal: 0,
    isTableStart: false,
    linkCharacters: 0,
    isItalic: false,
    node,
  }
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}
