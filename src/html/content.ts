// Finds the main content of a page: takes out what reads as navigation, sharing, advertising or teasers, then picks the
// subtree whose sentences outweigh its links. General signals only; no site is named here.

import { ARTICLE_TEXT, BOILERPLATE, BYLINE, CAPTION, COMMENTS, CONSENT, CONTENT, DOUBTFUL } from './hints.ts'
import type { Measures } from './measure.ts'
import { BLOCK, TEXT, tagId, tagSet } from './tags.ts'
import type { HtmlTree } from './tree.ts'

export type Mode = 'balanced' | 'precision' | 'recall'

export interface ContentOptions {
  readonly limits: Limits
  readonly comments: boolean
  /** The page is a thread: what its names call comments are its posts. */
  readonly isDiscussion: boolean
}

/** A subtree and what is left out of it. */
export interface Content {
  readonly root: number
  /** u8[tree.count], 1 where the subtree is left out. */
  readonly isOut: Uint8Array
  /** Comment sections beside the root, where they are wanted. */
  readonly comments: readonly number[]
}

/** How sure a mode must be before it takes something out. */
export interface Limits {
  /** Largest share of the page's sentences in a part that is named as boilerplate. */
  readonly boilerplateShare: number
  /** Most characters of sentences in a part whose name is doubtful; -1 keeps them all. */
  readonly doubtfulCharacters: number
  /** Link density from which a part is a list of links. */
  readonly linkDensity: number
  /** Whether the element named as the article's text is taken alone. */
  readonly prefersNamed: boolean
  /** Share of the root's sentences that an inner element must hold to be taken in its place; above 1 none is. */
  readonly heartShare: number
  readonly keepsCaptions: boolean
  readonly keepsBylines: boolean
}

export const LIMITS: Readonly<Record<Mode, Limits>> = {
  precision: {
    boilerplateShare: 0.4,
    doubtfulCharacters: 200,
    linkDensity: 0.5,
    prefersNamed: true,
    heartShare: 0.85,
    keepsCaptions: false,
    keepsBylines: false,
  },
  balanced: {
    boilerplateShare: 0.35,
    doubtfulCharacters: 150,
    linkDensity: 0.6,
    prefersNamed: true,
    heartShare: 0.95,
    keepsCaptions: false,
    keepsBylines: false,
  },
  recall: {
    boilerplateShare: 0.2,
    doubtfulCharacters: -1,
    linkDensity: 0.75,
    prefersNamed: false,
    heartShare: 2,
    keepsCaptions: true,
    keepsBylines: true,
  },
}

const NAVIGATION = tagSet('nav footer aside menu search')
const HEADINGS = tagSet('h1 h2 h3 h4 h5 h6')
const TABLE_PARTS = tagSet('table caption thead tbody tfoot tr td th')
const ARTICLE = tagId('article')
const MAIN = tagId('main')
const BODY = tagId('body')
const FORM = tagId('form')
const HEADER = tagId('header')
const FIGCAPTION = tagId('figcaption')
const H1 = tagId('h1')
const NOT_ROOT = tagSet(
  'p h1 h2 h3 h4 h5 h6 li dt dd tr tbody thead tfoot table ul ol dl blockquote pre figure figcaption form header footer nav aside th',
)
const TEASER = tagSet('div section article li a figure td')
const LINK_LIST = tagSet('div section ul ol dl table p h2 h3 h4 h5 h6 figure form header aside article')
/** A table may list links and still be what the page is about. */
const TABLE_LINK_DENSITY = 0.85
const TABLE = tagId('table')
const P = tagId('p')

/** Plain text below this is a crumb: a label, a button, a date. */
const SENTENCE_CHARACTERS = 40
/** Sentences that make a page of their own, beside which boilerplate needs no benefit of the doubt. */
const ENOUGH_CHARACTERS = 200

/**
 * The main content.
 *
 * @param openings first words of the page's text as its description or JSON-LD have them: the element whose text starts
 *   like one of them is surely content
 */
export function findContent(tree: HtmlTree, measures: Measures, options: ContentOptions, openings: readonly string[]): Content {
  const limits = options.isDiscussion ? { ...options.limits, prefersNamed: false } : options.limits
  const value = blockValues(tree, measures)
  const isOut = Uint8Array.from(measures.isDead)
  const isOpening = openingPath(tree, measures, openings)
  const comments = options.comments || (options.isDiscussion && commentShare(tree, measures, value) > 0.5)
  takeOutBoilerplate(tree, measures, value, isOpening, isOut, comments, limits)
  const isList = takeOutTeasers(tree, measures, value, isOut)
  spreadOut(tree, isOut)
  const root = bestRoot(tree, measures, subtreeSums(tree, value, isOut), isOpening, isOut, limits)
  takeOutLinkLists(tree, measures, isOut, root, limits.linkDensity, isList)
  return { root, isOut, comments: comments ? commentSections(tree, measures, isOut, root) : [] }
}

/**
 * All that a page says but for its navigation, its frame and what its readers say: for pages of many parts, which have no
 * one text. Lists of links stay within the page's main element.
 */
export function wholePage(tree: HtmlTree, measures: Measures, keepsComments: boolean): Content {
  const value = blockValues(tree, measures)
  const isOut = Uint8Array.from(measures.isDead)
  const comments = keepsComments && commentShare(tree, measures, value) > 0.5
  takeOutBoilerplate(tree, measures, measures.characters, new Uint8Array(tree.count), isOut, comments, LIMITS.recall)
  spreadOut(tree, isOut)
  const characters = subtreeSums(tree, measures.characters, isOut)
  let root = 0
  for (let node = 1; node < tree.count; node++) {
    if (tree.tag[node] === MAIN && isOut[node] === 0 && characters[node] > characters[root] * 0.5) root = node
  }
  if (root === 0) takeOutMenus(tree, measures, isOut)
  return { root, isOut, comments: [] }
}
/** Share of the page's sentences that lie in what is named comments: most of them where these are the posts of a thread. */
function commentShare(tree: HtmlTree, measures: Measures, value: Float64Array): number {
  let all = 0
  let inside = 0
  for (let node = 1, end = 0; node < tree.count; node++) {
    const sentences = measures.isDead[node] === 1 ? 0 : Math.max(0, value[node])
    if (node >= end && (measures.hint[node] & COMMENTS) !== 0 && BLOCK[tree.tag[node]] === 1 && tree.tag[node] !== BODY)
      end = tree.end[node]
    all += sentences
    if (node < end) inside += sentences
  }
  return all === 0 ? 0 : inside / all
}

/** The outermost elements named as comments that do not overlap the root. */
function commentSections(tree: HtmlTree, measures: Measures, isOut: Uint8Array, root: number): number[] {
  const sections: number[] = []
  for (let node = 1; node < tree.count; node++) {
    if (node === root || isOut[node] === 1) node = tree.end[node] - 1
    else if ((measures.hint[node] & COMMENTS) !== 0 && !(node < root && root < tree.end[node])) {
      sections.push(node)
      node = tree.end[node] - 1
    }
  }
  return sections
}

/** What a block's own text is worth: sentences count, links cost, crumbs are worth nothing. */
function blockValues(tree: HtmlTree, measures: Measures): Float64Array {
  const value = new Float64Array(tree.count)
  for (let node = 1; node < tree.count; node++) {
    const characters = measures.characters[node]
    if (characters === 0) continue
    const links = measures.linkCharacters[node]
    const plain = characters - links
    let worth = 0
    if (plain >= SENTENCE_CHARACTERS && HEADINGS[tree.tag[node]] === 0) worth = measures.hasMark[node] === 1 ? plain : plain * 0.4
    value[node] = worth - (links > plain ? links : links * 0.2)
  }
  return value
}

/** Marks what lies inside of something left out. */
function spreadOut(tree: HtmlTree, isOut: Uint8Array): void {
  const { count, parent } = tree
  for (let node = 1; node < count; node++) if (isOut[parent[node]] === 1) isOut[node] = 1
}

/** Sums over subtrees of what is not left out, where `isOut` is spread. */
function subtreeSums(tree: HtmlTree, value: Float64Array, isOut: Uint8Array): Float64Array {
  const { count, parent } = tree
  const sum = new Float64Array(count)
  for (let node = count - 1; node > 0; node--) {
    if (isOut[node] === 1) continue
    const all = sum[node] + value[node]
    sum[node] = all
    sum[parent[node]] += all
  }
  return sum
}

// ---- boilerplate ----

function takeOutBoilerplate(
  tree: HtmlTree,
  measures: Measures,
  value: Float64Array,
  isOpening: Uint8Array,
  isOut: Uint8Array,
  comments: boolean,
  limits: Limits,
): void {
  const { tag, count, parent } = tree
  const isAnchor = anchorPaths(tree, measures, isOpening)
  spreadOut(tree, isOut)
  const sentences = subtreeSums(
    tree,
    value.map((worth) => Math.max(0, worth)),
    isOut,
  )
  const characters = subtreeSums(tree, measures.characters, isOut)
  const linkCharacters = subtreeSums(tree, measures.linkCharacters, isOut)
  const all = sentences[0] || 1
  for (let node = 1; node < count; node++) {
    if (isOut[parent[node]] === 1) isOut[node] = 1
    const name = tag[node]
    // Hints on inline elements, on rows and cells, say more about their style than about their part.
    if (isOut[node] === 1 || BLOCK[name] === 0 || name === BODY || name === MAIN || TABLE_PARTS[name] === 1) continue
    const part: Part = {
      tag: name,
      hint: measures.hint[node],
      share: sentences[node] / all,
      sentences: sentences[node],
      elsewhere: all - sentences[node],
      isAnchor: isAnchor[node] === 1,
      isLinked: linkCharacters[node] > characters[node] * 0.4,
    }
    if (isBoilerplate(part, limits, comments)) isOut[node] = 1
  }
}

interface Part {
  readonly tag: number
  readonly hint: number
  /** Of the page's sentences. */
  readonly share: number
  /** Characters of sentences inside and outside. */
  readonly sentences: number
  readonly elsewhere: number
  /** Holds what is surely the article. */
  readonly isAnchor: boolean
  readonly isLinked: boolean
}

function isBoilerplate(part: Part, limits: Limits, comments: boolean): boolean {
  const { tag, hint, share } = part
  const isMinor = share < limits.boilerplateShare || (!part.isAnchor && share < 0.75 && part.elsewhere > ENOUGH_CHARACTERS)
  if (NAVIGATION[tag] === 1 && isMinor) return true
  if (tag === FIGCAPTION && share < 0.3 && !limits.keepsCaptions) return true
  if ((tag === FORM && share < 0.2) || (tag === HEADER && share < 0.1)) return true
  if (hint === 0) return false
  if ((hint & CONSENT) !== 0 && (!part.isAnchor || isMinor)) return true
  if ((hint & COMMENTS) !== 0 && !part.isAnchor) return !comments && (share < 0.5 || (share < 0.9 && part.elsewhere > ENOUGH_CHARACTERS))
  if ((hint & BOILERPLATE) !== 0 && (tag !== ARTICLE || share < 0.1))
    return (hint & (CONTENT | ARTICLE_TEXT)) !== 0 ? share < 0.15 : isMinor
  if ((hint & CAPTION) !== 0) return share < 0.15 && !limits.keepsCaptions
  if ((hint & BYLINE) !== 0) return !limits.keepsBylines && part.sentences < 300 && share < 0.2
  if ((hint & DOUBTFUL) === 0 || (hint & ARTICLE_TEXT) !== 0 || limits.doubtfulCharacters < 0) return false
  return share < 0.1 && (part.sentences < limits.doubtfulCharacters || part.isLinked)
}

/** 1 on the elements above what is surely the article: its opening, its named container, the page's heading. */
function anchorPaths(tree: HtmlTree, measures: Measures, isOpening: Uint8Array): Uint8Array {
  const path = Uint8Array.from(isOpening)
  for (let node = 1; node < tree.count; node++) {
    if (measures.isDead[node] === 1) continue
    if (tree.tag[node] === H1 || (measures.hint[node] & (ARTICLE_TEXT | COMMENTS)) === ARTICLE_TEXT) markPath(tree, node, path)
  }
  return path
}

/** 1 on the elements above the texts that start as one of the openings does. */
function openingPath(tree: HtmlTree, measures: Measures, openings: readonly string[]): Uint8Array {
  const path = new Uint8Array(tree.count)
  const starts = openings
    .map((opening) => opening.trim().slice(0, OPENING_CHARACTERS))
    .filter((start) => start.length === OPENING_CHARACTERS)
  if (starts.length === 0) return path
  for (let node = 1; node < tree.count; node++) {
    if (tree.tag[node] !== TEXT || measures.isDead[node] === 1 || tree.text[node].length < OPENING_CHARACTERS) continue
    const text = tree.text[node].trimStart()
    if (starts.some((start) => text.startsWith(start))) markPath(tree, tree.parent[node], path)
  }
  return path
}

const OPENING_CHARACTERS = 30

function markPath(tree: HtmlTree, from: number, path: Uint8Array): void {
  for (let node = from; node > 0 && path[node] === 0; node = tree.parent[node]) path[node] = 1
}

// ---- teasers ----

/**
 * Takes out repeated items that advertise other pages: three or more alike siblings, each with a link that carries a
 * headline and little text of its own. Where they are most of the page, the page is a list and they stay.
 *
 * @returns true where the page is a list
 */
function takeOutTeasers(tree: HtmlTree, measures: Measures, value: Float64Array, isOut: Uint8Array): boolean {
  spreadOut(tree, isOut)
  const sums = subtreeSums(tree, value, isOut)
  const characters = subtreeSums(tree, measures.characters, isOut)
  const linkCharacters = subtreeSums(tree, measures.linkCharacters, isOut)
  const isTeaser = (node: number) => {
    const links = linkCharacters[node]
    return links >= 15 && characters[node] - links < 350 && links * 6 > characters[node]
  }
  const found: number[] = []
  let sum = 0
  for (let node = 1; node < tree.count; node++) {
    if (isOut[node] === 1) node = tree.end[node] - 1
    else if (linkCharacters[node] >= 45) {
      for (const group of alikeChildren(tree, node, isOut)) {
        const teasers = group.filter(isTeaser)
        if (teasers.length < 3 || teasers.length < group.length * 0.7) continue
        for (const teaser of teasers) {
          found.push(teaser)
          sum += Math.max(0, sums[teaser])
        }
      }
    }
  }
  if (sum > sums[0] * 0.6) return true
  for (const node of found) isOut[node] = 1
  return false
}

/** Groups of three or more children with the same name and class. */
function alikeChildren(tree: HtmlTree, node: number, isOut: Uint8Array): number[][] {
  const groups = new Map<string, number[]>()
  for (let child = node + 1; child < tree.end[node]; child = tree.end[child]) {
    if (TEASER[tree.tag[child]] === 0 || isOut[child] === 1 || tree.end[child] - child < 3) continue
    const key = `${tree.tag[child]} ${tree.attributes[child]?.class ?? ''}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [child])
    else group.push(child)
  }
  return [...groups.values()].filter((group) => group.length >= 3)
}

// ---- the root ----

function bestRoot(tree: HtmlTree, measures: Measures, sum: Float64Array, isOpening: Uint8Array, isOut: Uint8Array, limits: Limits): number {
  let best = 0
  let bestScore = Number.NEGATIVE_INFINITY
  for (let node = 0; node < tree.count; node++) {
    const name = tree.tag[node]
    if (isOut[node] === 1 || (node > 0 && (BLOCK[name] === 0 || NOT_ROOT[name] === 1))) continue
    const hint = measures.hint[node]
    let score = sum[node]
    if (name === ARTICLE || name === MAIN) score *= 1.1
    if ((hint & CONTENT) !== 0) score *= 1.1
    if ((hint & ARTICLE_TEXT) !== 0) score *= 1.5
    if (isOpening[node] === 1) score *= 1.5
    // Of equals the inner one.
    if (score >= bestScore) {
      best = node
      bestScore = score
    }
  }
  const named = limits.prefersNamed ? namedWithin(tree, measures, sum, best, isOut) : undefined
  return named ?? heartOf(tree, sum, best, isOut, limits.heartShare)
}

/** The innermost element that holds nearly all of what the root holds: what lies around it is its frame. */
function heartOf(tree: HtmlTree, sum: Float64Array, root: number, isOut: Uint8Array, share: number): number {
  let heart = root
  for (let node = root + 1; node < tree.end[root]; node++) {
    const name = tree.tag[node]
    if (isOut[node] === 0 && BLOCK[name] === 1 && NOT_ROOT[name] === 0 && sum[node] >= sum[root] * share && node < tree.end[heart])
      heart = node
  }
  return heart
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
    const name = tree.tag[node]
    if ((measures.hint[node] & ARTICLE_TEXT) === 0 || NOT_ROOT[name] === 1 || BLOCK[name] === 0) continue
    if (sum[node] < 100 || sum[node] < sum[root] * 0.1) continue
    // Two beside each other: parts of one text, or several texts.
    if (found !== undefined && node >= tree.end[found]) return undefined
    if (sum[node] >= 250 && sum[node] >= sum[root] * 0.35) found = node
    else other ??= node
  }
  return other === undefined || (found !== undefined && other > found && other < tree.end[found]) ? found : undefined
}

// ---- lists of links ----

/** A link of a menu has a word or two: on average, and at most. */
const MENU_LINK_CHARACTERS = 25
const LONGEST_MENU_LINK = 45

/** Takes out what is links only, and short ones: menus, not lists of what the page is about. Where nearly all is, nothing goes. */
function takeOutMenus(tree: HtmlTree, measures: Measures, isOut: Uint8Array): void {
  spreadOut(tree, isOut)
  const characters = subtreeSums(tree, measures.characters, isOut)
  const linkCharacters = subtreeSums(tree, measures.linkCharacters, isOut)
  const { links, longest } = linksOf(tree, isOut)
  const menus: number[] = []
  let sum = 0
  for (let node = 1; node < tree.count; node++) {
    const all = linkCharacters[node]
    if (isOut[node] === 1 || LINK_LIST[tree.tag[node]] === 0 || HEADINGS[tree.tag[node]] === 1 || links[node] < 3) continue
    if (all <= characters[node] * LIMITS.recall.linkDensity || characters[node] >= characters[0] * 0.5) continue
    if (all >= links[node] * MENU_LINK_CHARACTERS || longest[node] > LONGEST_MENU_LINK) continue
    menus.push(node)
    sum += characters[node]
    node = tree.end[node] - 1
  }
  if (sum < characters[0] * 0.8) for (const menu of menus) isOut[menu] = 1
}

/** How many links there are in each subtree, and the length of the longest. */
function linksOf(tree: HtmlTree, isOut: Uint8Array): { links: Float64Array; longest: Float64Array } {
  const links = new Float64Array(tree.count)
  const longest = new Float64Array(tree.count)
  for (let node = tree.count - 1; node > 0; node--) {
    if (isOut[node] === 1) continue
    const length = tree.isLink[node] === 1 ? tree.text[node].trim().length : 0
    if (length > 1) {
      links[node] = 1
      longest[node] = length
    }
    links[tree.parent[node]] += links[node]
    longest[tree.parent[node]] = Math.max(longest[tree.parent[node]], longest[node])
  }
  return { links, longest }
}

/** @param keepsHeadings on a list, the headings are the links that it lists */
function takeOutLinkLists(
  tree: HtmlTree,
  measures: Measures,
  isOut: Uint8Array,
  root: number,
  density: number,
  keepsHeadings: boolean,
): void {
  spreadOut(tree, isOut)
  const characters = subtreeSums(tree, measures.characters, isOut)
  const linkCharacters = subtreeSums(tree, measures.linkCharacters, isOut)
  const all = characters[root]
  for (let node = root + 1; node < tree.end[root]; node++) {
    if (isOut[tree.parent[node]] === 1) isOut[node] = 1
    const name = tree.tag[node]
    if (isOut[node] === 1 || LINK_LIST[name] === 0 || characters[node] === 0 || (keepsHeadings && HEADINGS[name] === 1)) continue
    const limit = name === TABLE ? TABLE_LINK_DENSITY : density
    // A paragraph that says something besides is no list, whatever hangs on its links.
    if (name === P && characters[node] - linkCharacters[node] > 2 * SENTENCE_CHARACTERS) continue
    if (linkCharacters[node] > characters[node] * limit && characters[node] < all * 0.5) isOut[node] = 1
  }
}
