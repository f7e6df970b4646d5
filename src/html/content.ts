// Finds the main content of a page: the subtree whose sentences outweigh its links and crumbs, then takes out of it what
// reads as navigation, sharing, related items. General signals only; no site is named here.

import { BOILERPLATE, CAPTION, COMMENTS, CONTENT, HIDDEN } from './hints.ts'
import { type Measures, measure, sumUp } from './measure.ts'
import { BLOCK, TEXT, tagId, tagSet } from './tags.ts'
import type { HtmlTree } from './tree.ts'

export interface ContentOptions {
  readonly mode: 'balanced' | 'precision' | 'recall'
  readonly comments: boolean
}

export interface Content {
  /** Root of the content. */
  readonly root: number
  /** 1 where the subtree is left out. */
  readonly isOut: Uint8Array
  readonly measures: Measures
}

const NAVIGATION = tagSet('nav footer aside menu search')
const HEADINGS = tagSet('h1 h2 h3 h4 h5 h6')
const ARTICLE = tagId('article')
const MAIN = tagId('main')
const FORM = tagId('form')
const HEADER = tagId('header')
const FIGURE = tagId('figure')
const FIGCAPTION = tagId('figcaption')
const BODY = tagId('body')
const TABLE_CELLS = tagSet('td th tr tbody thead tfoot table')

export function findContent(tree: HtmlTree, options: ContentOptions): Content {
  const measures = measure(tree)
  const { count, tag } = tree
  const value = blockValues(tree, measures)
  const total = Float64Array.from(value, (v) => Math.max(0, v))
  sumUp(tree, total)
  const isOut = Uint8Array.from(measures.isDead)
  markBoilerplate(tree, measures, total, isOut, options)
  const sum = new Float64Array(count)
  for (let node = 1; node < count; node++) {
    if (isOut[tree.parent[node]] === 1) isOut[node] = 1
    if (isOut[node] === 0) sum[node] = value[node]
  }
  sumUp(tree, sum)
  const root = bestRoot(tree, measures, sum)
  const { chars, linkChars } = subtreeText(tree, measures, isOut)
  prune(tree, measures, isOut, root, chars, linkChars)
  void tag
  return { root, isOut, measures }
}

/** What a block's own text is worth: sentences count, links and crumbs cost. */
function blockValues(tree: HtmlTree, measures: Measures): Float64Array {
  const value = new Float64Array(tree.count)
  for (let node = 1; node < tree.count; node++) {
    const chars = measures.chars[node]
    if (chars === 0) continue
    const links = measures.linkChars[node]
    const plain = chars - links
    const isSentence = measures.marks[node] > 0 && plain >= 40
    value[node] =
      (isSentence ? plain : HEADINGS[tree.tag[node]] === 1 ? 0 : plain >= 40 ? plain * 0.4 : -10) -
      (links > plain ? links * 1.0 : links * 0.2)
  }
  return value
}

function markBoilerplate(tree: HtmlTree, measures: Measures, total: Float64Array, isOut: Uint8Array, options: ContentOptions): void {
  const { tag, count } = tree
  const all = total[0]
  for (let node = 1; node < count; node++) {
    const t = tag[node]
    if (t === TEXT || isOut[node] === 1) continue
    const hint = measures.hint[node]
    const share = all === 0 ? 0 : total[node] / all
    if (t === BODY || t === MAIN || (t === ARTICLE && (hint & BOILERPLATE) === 0)) continue
    if (NAVIGATION[t] === 1 && share < 0.4) isOut[node] = 1
    else if ((hint & COMMENTS) !== 0 && !options.comments && share < 0.8) isOut[node] = 1
    else if ((hint & BOILERPLATE) !== 0 && share < ((hint & CONTENT) !== 0 ? 0.1 : 0.3)) isOut[node] = 1
    else if (t === FORM && share < 0.2) isOut[node] = 1
    else if (t === HEADER && share < 0.1) isOut[node] = 1
    if ((t === FIGCAPTION || (hint & CAPTION) !== 0) && share < 0.2) isOut[node] = 1
  }
}

function bestRoot(tree: HtmlTree, measures: Measures, sum: Float64Array): number {
  let best = 0
  let bestScore = Number.NEGATIVE_INFINITY
  for (let node = 0; node < tree.count; node++) {
    if (node > 0 && BLOCK[tree.tag[node]] === 0) continue
    if (TABLE_CELLS[tree.tag[node]] === 1 && tree.tag[node] !== tagId('td')) continue
    let score = sum[node]
    if (tree.tag[node] === ARTICLE || tree.tag[node] === MAIN) score *= 1.1
    if ((measures.hint[node] & CONTENT) !== 0) score *= 1.1
    if (score >= bestScore) {
      best = node
      bestScore = score
    }
  }
  return best
}

function subtreeText(tree: HtmlTree, measures: Measures, isOut: Uint8Array): { chars: Int32Array; linkChars: Int32Array } {
  const chars = new Int32Array(tree.count)
  const linkChars = new Int32Array(tree.count)
  for (let node = 1; node < tree.count; node++) {
    if (isOut[node] === 1) continue
    chars[node] = measures.chars[node]
    linkChars[node] = measures.linkChars[node]
  }
  sumUp(tree, chars)
  sumUp(tree, linkChars)
  return { chars, linkChars }
}

const PRUNABLE = tagSet('div section ul ol dl table p figure form header aside blockquote h2 h3 h4 h5 h6')

function prune(tree: HtmlTree, measures: Measures, isOut: Uint8Array, root: number, chars: Int32Array, linkChars: Int32Array): void {
  for (let node = root + 1; node < tree.end[root]; node++) {
    if (isOut[tree.parent[node]] === 1) isOut[node] = 1
    if (isOut[node] === 1 || PRUNABLE[tree.tag[node]] === 0 || chars[node] === 0) continue
    const density = linkChars[node] / chars[node]
    if (density > 0.6 && chars[node] < 2000) isOut[node] = 1
  }
  void FIGURE
  void HIDDEN
  void measures
}
