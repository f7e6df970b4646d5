// HTML to a flat tree: nodes in document order, so that every walk is a loop and no page is too deep. One pass, linear time.
// Tokens as in html.spec.whatwg.org §13.2.5; of tree construction only what decides where text lies: implied end tags,
// scopes, the head's end. No adoption agency: a misnested inline end tag is ignored where a block stands between.

import { NameTable } from './name-table.ts'
import { decodeReferences } from './references.ts'
import {
  BLOCK,
  CLOSES_P,
  ESCAPABLE_RAW_TEXT,
  IN_HEAD,
  OTHER,
  RAW_TEXT,
  SCOPE,
  TAG_COUNT,
  TAG_NAMES,
  TEXT,
  tagId,
  tagSet,
  VOID,
} from './tags.ts'

/** Nodes in document order; node 0 is a root above everything. The subtree of node i is [i, end[i]). */
export interface HtmlTree {
  readonly count: number
  /** Number of the element's name; TEXT for text. */
  readonly tag: Uint8Array
  readonly parent: Int32Array
  readonly end: Int32Array
  /** Of text nodes; '' elsewhere. */
  readonly text: readonly string[]
  /** Kept attributes of elements: names in lower case, values decoded. */
  readonly attributes: readonly (Attributes | undefined)[]
  /** 1 on text inside a link. */
  readonly isLink: Uint8Array
}

export type Attributes = Readonly<Record<string, string>>

/** Deeper elements become empty ones; their text goes into the element above. Browsers stop at 512 as well. */
const MAX_DEPTH = 512

const KEPT_ATTRIBUTES = new Set(
  (
    'class id role style hidden aria-hidden itemprop itemtype href rel content name property datetime pubdate lang xml:lang type http-equiv ' +
    'data-testid data-component shadowrootmode start'
  ).split(' '),
)

const P = tagId('p')
const A = tagId('a')
const HEAD = tagId('head')
const HTML = tagId('html')
const BODY = tagId('body')
const LI = tagId('li')
const DT = tagId('dt')
const DD = tagId('dd')
const OPTION = tagId('option')
const TABLE = tagId('table')
const TR = tagId('tr')
const TD = tagId('td')
const TH = tagId('th')
const CELLS = tagSet('td th')
const SECTIONS = tagSet('thead tbody tfoot')
const ROWS = tagSet('tr')
const ITEMS = tagSet('li')
const ITEM_SCOPE = tagSet('ul ol menu dir table td th html object template')
const TERMS = tagSet('dt dd')
const TERM_SCOPE = tagSet('dl table td th html object template')
const TABLE_SCOPE = tagSet('table html template')
const P_SCOPE = tagSet('html table td th caption object template button')
const PARAGRAPHS = tagSet('p')
const SCRIPT = tagId('script')
/** The parts of a table: their end tags go to the innermost table. */
const TABLE_PARTS = tagSet('tr td th thead tbody tfoot caption')

/** Parses a whole page. Never throws; any string is a page. */
export function parseHtml(html: string): HtmlTree {
  const builder = new TreeBuilder()
  tokenize(html, builder)
  return builder.finish()
}

class TreeBuilder {
  private capacity = 1024
  private count = 1
  private tag = new Uint8Array(this.capacity)
  private parent = new Int32Array(this.capacity)
  private end = new Int32Array(this.capacity)
  private isLink = new Uint8Array(this.capacity)
  private readonly text: string[] = ['']
  private readonly attributes: (Attributes | undefined)[] = [undefined]
  private readonly stack = new Int32Array(MAX_DEPTH + 1)
  private depth = 0
  /** Open elements of each name on the stack. */
  private readonly open = new Int32Array(TAG_COUNT)
  /** Elements of each name that were too deep to open, and wait for their end tag. */
  private readonly unopened = new Int32Array(TAG_COUNT)
  private link = -1

  constructor() {
    this.tag[0] = HTML
    this.parent[0] = -1
  }

  addText(text: string): void {
    if (this.open[HEAD] > 0 && text.trim() !== '') this.closeHead()
    const node = this.add(TEXT, text, undefined)
    this.end[node] = node + 1
    if (this.link >= 0) this.isLink[node] = 1
  }

  openElement(tag: number, attributes: Attributes | undefined): void {
    if (tag === HTML || tag === BODY) {
      this.openOnce(tag, attributes)
      return
    }
    if (this.open[HEAD] > 0 && IN_HEAD[tag] === 0) this.closeHead()
    this.closeImplied(tag)
    const node = this.add(tag, '', attributes)
    this.end[node] = node + 1
    if (VOID[tag] === 1) return
    this.push(node, tag)
    if (tag === A) this.link = attributes?.href === undefined ? -1 : node
  }

  /** A text-only element (script, style, title) with its content. */
  addRaw(tag: number, attributes: Attributes | undefined, content: string): void {
    if (this.open[HEAD] > 0 && IN_HEAD[tag] === 0) this.closeHead()
    const node = this.add(tag, content, attributes)
    this.end[node] = node + 1
  }

  closeElement(tag: number): void {
    if (tag === HTML || tag === BODY || VOID[tag] === 1) return
    if (this.unopened[tag] > 0) {
      this.unopened[tag]--
      return
    }
    if (tag === A) this.link = -1
    if (this.open[tag] === 0) return
    this.popTo(ONLY[tag], barrierOf(tag))
  }

  finish(): HtmlTree {
    while (this.depth > 0) this.pop()
    this.end[0] = this.count
    const { count, text, attributes } = this
    return {
      count,
      tag: this.tag.subarray(0, count),
      parent: this.parent.subarray(0, count),
      end: this.end.subarray(0, count),
      isLink: this.isLink.subarray(0, count),
      text,
      attributes,
    }
  }

  /** The second `<body>` or `<html>` of a page adds nothing to the tree. */
  private openOnce(tag: number, attributes: Attributes | undefined): void {
    if (tag === BODY && this.open[HEAD] > 0) this.closeHead()
    if (this.open[tag] > 0 || (tag === HTML && this.depth > 0)) return
    const node = this.add(tag, '', attributes)
    this.push(node, tag)
  }

  private closeImplied(tag: number): void {
    if (CLOSES_P[tag] === 1 && this.open[P] > 0) this.popTo(PARAGRAPHS, P_SCOPE)
    if (tag === LI) this.popTo(ITEMS, ITEM_SCOPE)
    else if (tag === DT || tag === DD) this.popTo(TERMS, TERM_SCOPE)
    else if (tag === OPTION && this.open[OPTION] > 0) this.popTo(ONLY[OPTION], SCOPE)
    else if (tag === TD || tag === TH) this.popTo(CELLS, ROW_SCOPE)
    else if (tag === TR) this.popTo(ROWS, TABLE_SCOPE)
    else if (SECTIONS[tag] === 1) this.popTo(SECTIONS, TABLE_SCOPE)
    else if (tag === A && this.open[A] > 0) this.popTo(ONLY[A], INLINE_SCOPE)
  }

  private closeHead(): void {
    this.popTo(ONLY[HEAD], NOTHING)
  }

  /** Closes up to and including the innermost element of `wanted`, unless one of `barrier` comes first. */
  private popTo(wanted: Uint8Array, barrier: Uint8Array): void {
    for (let i = this.depth - 1; i >= 0; i--) {
      const tag = this.tag[this.stack[i]]
      if (wanted[tag] === 1) {
        while (this.depth > i) this.pop()
        return
      }
      if (barrier[tag] === 1) return
    }
  }

  private push(node: number, tag: number): void {
    if (this.depth === MAX_DEPTH) {
      this.unopened[tag]++
      return
    }
    this.stack[this.depth++] = node
    this.open[tag]++
  }

  private pop(): void {
    const node = this.stack[--this.depth]
    this.open[this.tag[node]]--
    this.end[node] = this.count
    if (this.link === node) this.link = -1
  }

  private add(tag: number, text: string, attributes: Attributes | undefined): number {
    const node = this.count++
    if (node === this.capacity) this.grow()
    this.tag[node] = tag
    this.parent[node] = this.depth === 0 ? 0 : this.stack[this.depth - 1]
    this.text.push(text)
    this.attributes.push(attributes)
    return node
  }

  private grow(): void {
    this.capacity *= 2
    const { tag, parent, end, isLink } = this
    this.tag = new Uint8Array(this.capacity)
    this.tag.set(tag)
    this.parent = new Int32Array(this.capacity)
    this.parent.set(parent)
    this.end = new Int32Array(this.capacity)
    this.end.set(end)
    this.isLink = new Uint8Array(this.capacity)
    this.isLink.set(isLink)
  }
}

const ONLY = Array.from({ length: TAG_COUNT }, (_, tag) => {
  const set = new Uint8Array(TAG_COUNT)
  set[tag] = 1
  return set
})
const NOTHING = new Uint8Array(TAG_COUNT)
const TABLE_ROOT = tagSet('html template')
const ROW_SCOPE = tagSet('tr table html template')
/** An inline end tag does not reach through a block. */
const INLINE_SCOPE = BLOCK

/** What an end tag does not reach through. */
function barrierOf(tag: number): Uint8Array {
  if (tag === TABLE) return TABLE_ROOT
  if (TABLE_PARTS[tag] === 1) return TABLE_SCOPE
  return BLOCK[tag] === 1 ? SCOPE : INLINE_SCOPE
}

// ---- tokens ----

const QUOTE = 34
const APOSTROPHE = 39
const SLASH = 47
const EQUALS = 61
const GREATER = 62
const EXCLAMATION = 33
const QUESTION = 63

function isSpace(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13 && code !== 11)
}

function isLetter(code: number): boolean {
  const lower = code | 32
  return lower >= 97 && lower <= 122
}

function tokenize(html: string, builder: TreeBuilder): void {
  const length = html.length
  let position = 0
  while (position < length) {
    const less = nextMarkup(html, position)
    if (less > position) builder.addText(decodeReferences(html.slice(position, less)))
    if (less === length) return
    const code = html.charCodeAt(less + 1)
    if (code === SLASH) position = endTag(html, less + 2, builder)
    else if (code === EXCLAMATION) position = declaration(html, less)
    else if (code === QUESTION) position = after(html, '>', less + 2)
    else position = startTag(html, less + 1, builder)
  }
}

/** Next `<` that begins markup; the length where there is none. */
function nextMarkup(html: string, from: number): number {
  let less = html.indexOf('<', from)
  while (less >= 0) {
    const code = html.charCodeAt(less + 1)
    if (isLetter(code) || code === SLASH || code === EXCLAMATION || code === QUESTION) return less
    less = html.indexOf('<', less + 1)
  }
  return html.length
}

function after(html: string, what: string, from: number): number {
  const found = html.indexOf(what, from)
  return found < 0 ? html.length : found + what.length
}

function declaration(html: string, less: number): number {
  if (!html.startsWith('--', less + 2)) return after(html, '>', less + 2)
  if (html.startsWith('>', less + 4)) return less + 5
  if (html.startsWith('->', less + 4)) return less + 6
  return after(html, '-->', less + 4)
}

function endTag(html: string, start: number, builder: TreeBuilder): number {
  if (!isLetter(html.charCodeAt(start))) return after(html, '>', start)
  const nameEnd = endOfName(html, start)
  builder.closeElement(tagAt(html, start, nameEnd))
  return html.charCodeAt(nameEnd) === GREATER ? nameEnd + 1 : after(html, '>', nameEnd)
}

function endOfName(html: string, start: number): number {
  let at = start
  for (;;) {
    const code = html.charCodeAt(at)
    if (code === GREATER || code === SLASH || isSpace(code) || Number.isNaN(code)) return at
    at++
  }
}

const TAG_TABLE = new NameTable(TAG_NAMES.map((name) => [name, tagId(name)]))

/** Number of the element whose name stands in [start, end). */
function tagAt(html: string, start: number, end: number): number {
  return TAG_TABLE.find(html, start, end) ?? OTHER
}

function startTag(html: string, start: number, builder: TreeBuilder): number {
  const nameEnd = endOfName(html, start)
  const tag = tagAt(html, start, nameEnd)
  const scan = attributeScan
  readAttributes(html, nameEnd, scan)
  // A tag that the page ends within is dropped, as browsers do.
  if (scan.position < 0) return html.length
  if (RAW_TEXT[tag] === 0) {
    builder.openElement(tag, scan.attributes)
    return scan.position
  }
  const close = endOfRawText(html, scan.position, html.slice(start, nameEnd))
  const isKept = ESCAPABLE_RAW_TEXT[tag] === 1 || (tag === SCRIPT && scan.attributes?.type !== undefined)
  const content = isKept ? html.slice(scan.position, close) : ''
  builder.addRaw(tag, scan.attributes, ESCAPABLE_RAW_TEXT[tag] === 1 ? decodeReferences(content) : content)
  return close === html.length ? close : after(html, '>', close)
}

function endOfRawText(html: string, from: number, name: string): number {
  const wanted = name.toLowerCase()
  let at = html.indexOf('</', from)
  while (at >= 0) {
    const end = at + 2 + name.length
    if (html.slice(at + 2, end).toLowerCase() === wanted && !isLetter(html.charCodeAt(end))) return at
    at = html.indexOf('</', at + 2)
  }
  return html.length
}

/** Result of `readAttributes`, reused: behind the tag's `>`, or -1 where the page ends first. */
const attributeScan: { position: number; attributes: Attributes | undefined } = { position: 0, attributes: undefined }

function readAttributes(html: string, from: number, scan: { position: number; attributes: Attributes | undefined }): void {
  let attributes: Record<string, string> | undefined
  let at = from
  scan.position = -1
  scan.attributes = undefined
  const length = html.length
  while (at < length) {
    const code = html.charCodeAt(at)
    if (code === GREATER) {
      scan.position = at + 1
      scan.attributes = attributes
      return
    }
    if (code === SLASH || isSpace(code)) {
      at++
      continue
    }
    const nameStart = at++
    at = endOfAttributeName(html, at)
    const nameEnd = at
    while (isSpace(html.charCodeAt(at))) at++
    let valueStart = at
    let valueEnd = at
    if (html.charCodeAt(at) === EQUALS) {
      do at++
      while (isSpace(html.charCodeAt(at)))
      const quote = html.charCodeAt(at)
      if (quote === QUOTE || quote === APOSTROPHE) {
        valueStart = at + 1
        valueEnd = html.indexOf(quote === QUOTE ? '"' : "'", valueStart)
        if (valueEnd < 0) return
        at = valueEnd + 1
      } else {
        valueStart = at
        while (at < length && html.charCodeAt(at) !== GREATER && !isSpace(html.charCodeAt(at))) at++
        valueEnd = at
      }
    }
    const name = ATTRIBUTE_TABLE.find(html, nameStart, nameEnd)
    if (name === undefined || attributes?.[name] !== undefined) continue
    attributes ??= {}
    attributes[name] = decodeReferences(html.slice(valueStart, valueEnd))
  }
}

function endOfAttributeName(html: string, from: number): number {
  let at = from
  for (;;) {
    const code = html.charCodeAt(at)
    if (code === GREATER || code === EQUALS || code === SLASH || isSpace(code) || Number.isNaN(code)) return at
    at++
  }
}

const ATTRIBUTE_TABLE = new NameTable([...KEPT_ATTRIBUTES].map((name) => [name, name]))
