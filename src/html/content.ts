// Finds the main content of a page: takes out what reads as navigation, sharing, advertising or teasers, then picks the
// subtree whose sentences outweigh its links. General signals only; no site is named here.

import { ARTICLE_TEXT, BOILERPLATE, BYLINE, CAPTION, COMMENTS, CONTENT, DOUBTFUL } from './hints.ts'
import { type Measures, measure, sumUp } from './measure.ts'
import { BLOCK, TEXT, tagId, tagSet } from './tags.ts'
import type { HtmlTree } from './tree.ts'

export interface ContentOptions {
  readonly mode: 'balanced' | 'precision' | 'recall'
  readonly comments: boolean
}

export interface Content {
  readonly root: number
  /** u8[tree.count], 1 where the subtree is left out. */
  readonly isOut: Uint8Array
  readonly measures: Measures
}

const NAVIGATION = tagSet('nav footer aside menu search')
const HEADINGS = tagSet('h1 h2 h3 h4 h5 h6')
const BIG_HEADINGS = tagSet('h1 h2 h3')
const ARTICLE = tagId('article')
const MAIN = tagId('main')
const BODY = tagId('body')
const FORM = tagId('form')
const HEADER = tagId('header')
const H1 = tagId('h1')
const TABLE_PARTS = tagSet('table caption thead tbody tfoot tr td th')
const FIGCAPTION = tagId('figcaption')
const P = tagId('p')
const A = tagId('a')
const NOT_ROOT = tagSet(
  'p h1 h2 h3 h4 h5 h6 li dt dd tr tbody thead tfoot table ul ol dl blockquote pre figure figcaption form header footer nav aside th',
)
const TEASER = tagSet('div section article li a figure td')

/** A text below this is a crumb: a label, a button, a date. */
const SENTENCE_CHARACTERS = 40

/** @param opening first words of the article as the page's description has them; '' where unknown */
export function findContent(tree: HtmlTree, options: ContentOptions, opening = ''): Content {
  const measures = measure(tree)
  const value = blockValues(tree, measures)
  const isOut = Uint8Array.from(measures.isDead)
  takeOutBoilerplate(tree, measures, value, anchorPaths(tree, measures, opening), isOut, options)
  takeOutTeasers(tree, measures, value, isOut)
  const root = bestRoot(tree, measures, subtreeSums(tree, value, isOut), opening, isOut)
  takeOutLinkLists(tree, measures, isOut, root)
  return { root, isOut, measures }
}

/** What a block's own text is worth: sentences count, links cost, crumbs are worth nothing. */
function blockValues(tree: HtmlTree, measures: Measures): Float64Array {
  const value = new Float64Array(tree.count)
  for (let node = 1; node < tree.count; node++) {
    const chars = measures.chars[node]
    if (chars === 0) continue
    const links = measures.linkChars[node]
    const plain = chars - links
    let worth = 0
    if (plain >= SENTENCE_CHARACTERS && HEADINGS[tree.tag[node]] === 0) worth = measures.marks[node] > 0 ? plain : plain * 0.4
    value[node] = worth - (links > plain ? links : links * 0.2)
  }
  return value
}

/** Sums over subtrees of what is not left out; marks below a mark are set on the way. */
function subtreeSums(tree: HtmlTree, value: ArrayLike<number>, isOut: Uint8Array): Float64Array {
  const sum = new Float64Array(tree.count)
  for (let node = 1; node < tree.count; node++) {
    if (isOut[tree.parent[node]] === 1) isOut[node] = 1
    if (isOut[node] === 0) sum[node] = value[node]
  }
  sumUp(tree, sum)
  return sum
}

function takeOutBoilerplate(
  tree: HtmlTree,
  measures: Measures,
  value: Float64Array,
  isAnchor: Uint8Array,
  isOut: Uint8Array,
  options: ContentOptions,
): void {
  const { tag, count, parent } = tree
  const good = Float64Array.from(value, (worth, node) => (isOut[node] === 1 ? 0 : Math.max(0, worth)))
  sumUp(tree, good)
  const chars = subtreeSums(tree, measures.chars, isOut)
  const linkChars = subtreeSums(tree, measures.linkChars, isOut)
  const all = good[0] || 1
  for (let node = 1; node < count; node++) {
    const t = tag[node]
    if (isOut[parent[node]] === 1) isOut[node] = 1
    if (isOut[node] === 1 || BLOCK[t] === 0 || t === BODY || t === MAIN || TABLE_PARTS[t] === 1) continue
    const hint = measures.hint[node]
    const share = good[node] / all
    const isSmall = share < 0.35 || (isAnchor[node] === 0 && all - good[node] > 200)
    if (NAVIGATION[t] === 1) isOut[node] = Number(isSmall)
    else if (t === FIGCAPTION) isOut[node] = Number(share < 0.3)
    else if (t === FORM) isOut[node] = Number(share < 0.2)
    else if (t === HEADER) isOut[node] = Number(share < 0.1)
    if (isOut[node] === 1 || hint === 0) continue
    if ((hint & COMMENTS) !== 0 && !options.comments && isAnchor[node] === 0) {
      isOut[node] = Number(share < 0.5 || all - good[node] > 250)
    } else if ((hint & BOILERPLATE) !== 0 && (t !== ARTICLE || share < 0.1)) {
      isOut[node] = Number((hint & (CONTENT | ARTICLE_TEXT)) !== 0 ? share < 0.15 : isSmall)
    } else if ((hint & CAPTION) !== 0) isOut[node] = Number(share < 0.15)
    else if ((hint & BYLINE) !== 0) isOut[node] = Number(good[node] < 300 && share < 0.2)
    else if ((hint & DOUBTFUL) !== 0 && (hint & ARTICLE_TEXT) === 0) {
      isOut[node] = Number(share < 0.1 && (good[node] < 80 || linkChars[node] > chars[node] * 0.4))
    }
  }
}

/** 1 on the elements above what is surely the article: its opening, its named container, the page's heading. */
function anchorPaths(tree: HtmlTree, measures: Measures, opening: string): Uint8Array {
  const path = new Uint8Array(tree.count)
  const wanted = opening.trim().slice(0, 30)
  for (let node = 1; node < tree.count; node++) {
    if (measures.isDead[node] === 1) continue
    const isText = tree.tag[node] === TEXT
    const isSure = isText
      ? wanted.length === 30 && tree.text[node].length >= 30 && tree.text[node].trimStart().startsWith(wanted)
      : tree.tag[node] === H1 || (measures.hint[node] & (ARTICLE_TEXT | COMMENTS)) === ARTICLE_TEXT
    if (!isSure) continue
    for (let above = isText ? tree.parent[node] : node; above > 0 && path[above] === 0; above = tree.parent[above]) path[above] = 1
  }
  return path
}

/**
 * Takes out repeated items that advertise other pages: three or more alike siblings, each with a link that carries a
 * headline and little text of its own. Where they are most of the page, the page is a list and they stay.
 */
function takeOutTeasers(tree: HtmlTree, measures: Measures, value: Float64Array, isOut: Uint8Array): void {
  const { tag, end, attributes } = tree
  const sums = subtreeSums(tree, value, isOut)
  const chars = subtreeSums(tree, measures.chars, isOut)
  const linkChars = subtreeSums(tree, measures.linkChars, isOut)
  const found: number[] = []
  let foundSum = 0
  for (let node = 1; node < tree.count; node++) {
    if (isOut[node] === 1) {
      node = end[node] - 1
      continue
    }
    if (tag[node] === TEXT || end[node] - node < 9) continue
    const groups = new Map<string, number[]>()
    for (let child = node + 1; child < end[node]; child = end[child]) {
      if (TEASER[tag[child]] === 0 || isOut[child] === 1 || end[child] - child < 3) continue
      const key = `${tag[child]} ${attributes[child]?.class ?? ''}`
      const group = groups.get(key)
      if (group === undefined) groups.set(key, [child])
      else group.push(child)
    }
    for (const group of groups.values()) {
      if (group.length < 3) continue
      const teasers = group.filter(
        (child) => linkChars[child] >= 15 && chars[child] - linkChars[child] < 350 && linkChars[child] * 6 > chars[child],
      )
      if (teasers.length < 3 || teasers.length < group.length * 0.7) continue
      for (const child of teasers) {
        found.push(child)
        foundSum += Math.max(0, sums[child])
      }
    }
  }
  if (foundSum > sums[0] * 0.6) return
  for (const node of found) isOut[node] = 1
}

function bestRoot(tree: HtmlTree, measures: Measures, sum: Float64Array, opening: string, isOut: Uint8Array): number {
  const isOpening = openingPath(tree, opening, isOut)
  let best = 0
  let bestScore = Number.NEGATIVE_INFINITY
  for (let node = 0; node < tree.count; node++) {
    const t = tree.tag[node]
    if (isOut[node] === 1 || (node > 0 && (BLOCK[t] === 0 || NOT_ROOT[t] === 1))) continue
    const hint = measures.hint[node]
    let score = sum[node]
    if (t === ARTICLE || t === MAIN) score *= 1.1
    if ((hint & CONTENT) !== 0) score *= 1.1
    if ((hint & ARTICLE_TEXT) !== 0) score *= 1.5
    if (isOpening[node] === 1) score *= 1.5
    if (score >= bestScore) {
      best = node
      bestScore = score
    }
  }
  return namedWithin(tree, measures, sum, best, isOut) ?? best
}

/** The one element inside the root that is named as an article's text, where it holds a good part of it. */
function namedWithin(tree: HtmlTree, measures: Measures, sum: Float64Array, root: number, isOut: Uint8Array): number | undefined {
  let found: number | undefined
  let other: number | undefined
  for (let node = root + 1; node < tree.end[root]; node++) {
    if (isOut[node] === 1) {
      node = tree.end[node] - 1
      continue
    }
    if ((measures.hint[node] & ARTICLE_TEXT) === 0 || NOT_ROOT[tree.tag[node]] === 1 || BLOCK[tree.tag[node]] === 0) continue
    if (sum[node] < 100 || sum[node] < sum[root] * 0.1) continue
    // Two beside each other: parts of one text, or several texts.
    if (found !== undefined && node >= tree.end[found]) return undefined
    if (sum[node] >= 250 && sum[node] >= sum[root] * 0.35) found = node
    else other ??= node
  }
  return other === undefined || (found !== undefined && other > found && other < tree.end[found]) ? found : undefined
}

/** 1 on the elements above the text that starts as the page's description does. */
function openingPath(tree: HtmlTree, opening: string, isOut: Uint8Array): Uint8Array {
  const path = new Uint8Array(tree.count)
  const wanted = opening.slice(0, 50).trim()
  if (wanted.length < 30) return path
  for (let node = 1; node < tree.count; node++) {
    if (tree.tag[node] !== TEXT || isOut[node] === 1 || tree.text[node].length < 30) continue
    if (!tree.text[node].trimStart().startsWith(wanted.slice(0, 30))) continue
    for (let above = tree.parent[node]; above > 0 && path[above] === 0; above = tree.parent[above]) path[above] = 1
  }
  return path
}

const PRUNABLE = tagSet('div section ul ol dl p h2 h3 h4 h5 h6 figure form header aside article')

/** Takes out what is mostly links within the content. */
function takeOutLinkLists(tree: HtmlTree, measures: Measures, isOut: Uint8Array, root: number): void {
  const chars = subtreeSums(tree, measures.chars, isOut)
  const linkChars = subtreeSums(tree, measures.linkChars, isOut)
  const all = chars[root]
  for (let node = root + 1; node < tree.end[root]; node++) {
    if (isOut[tree.parent[node]] === 1) isOut[node] = 1
    if (isOut[node] === 1 || PRUNABLE[tree.tag[node]] === 0 || chars[node] === 0) continue
    const density = linkChars[node] / chars[node]
    if (density > 0.6 && chars[node] < all * 0.5) isOut[node] = 1
  }
  void BIG_HEADINGS
  void P
  void A
}
