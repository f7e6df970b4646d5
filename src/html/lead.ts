// The lead: the sentence or two under the headline that many sites set apart from the article's own text. It is found by
// its name, or because the page's description repeats it.

import type { Block } from './blocks.ts'
import type { Measures } from './measure.ts'
import { TEXT, tagId, tagSet } from './tags.ts'
import type { HtmlTree } from './tree.ts'

/** As much of the description must open the lead. */
const START_CHARACTERS = 40
/** A lead is a sentence. */
const LEAD_CHARACTERS = 60

/** A lead is nearer than this to the text that it leads to. */
const NEAR_NODES = 1000

const H1 = tagId('h1')

const ELSEWHERE = tagSet('nav footer aside li figcaption')

const LEAD_NAME =
  /(?:^|[\s_-])(?:lead|lede|standfirst|dek|intro|abstract|excerpt|summary|subtitle|subheadline|subheading|chapo|chapeau|vorspann|anrisstext|sottotitolo|bajada|ingress|teaser-text|teasertext)(?:$|[\s_-])/i

/**
 * The lead that stands between the page's heading and `root`: what starts as the description does, or is named a lead.
 * The last one where there are several; undefined where there is none.
 */
export function leadBefore(tree: HtmlTree, measures: Measures, root: number, description: string): Block | undefined {
  const start = oneLine(description).slice(0, START_CHARACTERS)
  const from = Math.max(1, root - NEAR_NODES)
  let isUnderHeading = true
  for (let node = root - 1; node >= from && isUnderHeading; node--) {
    isUnderHeading = tree.tag[node] !== H1
    if (tree.tag[node] !== TEXT || measures.isDead[node] === 1 || tree.isLink[node] === 1 || tree.text[node].length < LEAD_CHARACTERS)
      continue
    const text = oneLine(tree.text[node])
    const isLead = (start.length === START_CHARACTERS && text.startsWith(start)) || isNamedLead(tree, node)
    if (text.length < LEAD_CHARACTERS || !isLead) continue
    if (!isElsewhere(tree, node)) return paragraph(text, node)
  }
  return undefined
}

function isNamedLead(tree: HtmlTree, text: number): boolean {
  let node = text
  for (let i = 0; i < 3 && node > 0; i++) {
    node = tree.parent[node]
    const attributes = tree.attributes[node]
    if (attributes !== undefined && (attributes.itemprop === 'description' || LEAD_NAME.test(attributes.class ?? ''))) return true
  }
  return false
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
