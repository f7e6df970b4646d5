// Content as a list of blocks in reading order: what the last decisions are made on, and what is written out.

import { isItalic, StyledLine, styleOf } from './styled-line.ts'
import { BLOCK, TEXT, tagId, tagSet } from './tags.ts'
import type { HtmlTree } from './tree.ts'

export type BlockKind = 'paragraph' | 'heading' | 'item' | 'row' | 'code'

export interface Block {
  readonly kind: BlockKind
  /** One line, but for `code`. Cells of a row are separated by tabs. */
  readonly text: string
  /** The same with marks for emphasis and code, where Markdown was asked for; else equal to `text`. */
  readonly markdown: string
  /** Heading level 1 to 6; depth of the list for items, from 1. */
  readonly level: number
  /** Depth of quotation. */
  readonly quote: number
  /** Number of an item in an ordered list; 0 elsewhere. */
  readonly ordinal: number
  /** The first row of a table. */
  readonly isTableStart: boolean
  /** Characters inside links. */
  readonly linkCharacters: number
  /** All of it stands in italics. */
  readonly isItalic: boolean
  /** The block element it was made from. */
  readonly node: number
}

const BR = tagId('br')
const HR = tagId('hr')
const PRE = tagId('pre')
const LI = tagId('li')
const DD = tagId('dd')
const OL = tagId('ol')
const TR = tagId('tr')
const TABLE = tagId('table')
const BLOCKQUOTE = tagId('blockquote')
const CELLS = tagSet('td th')
const LISTS = tagSet('ul ol menu dir')
const HEADINGS = tagSet('h1 h2 h3 h4 h5 h6')
/** What a data table's cell does not hold. */
const LAYOUT = tagSet('table ul ol h1 h2 h3 h4 h5 h6 form pre blockquote article section figure')

/**
 * The blocks of a subtree.
 *
 * @param isOut u8[tree.count], 1 where a subtree is left out
 * @param isMarkdown whether the blocks carry marks for emphasis and code
 */
export function blocksOf(tree: HtmlTree, root: number, isOut: Uint8Array, isMarkdown = false): Block[] {
  const writer = new BlockWriter(tree, root, isOut, isMarkdown)
  writer.walk()
  return writer.blocks
}

class BlockWriter {
  readonly blocks: Block[] = []
  private readonly tree: HtmlTree
  private readonly root: number
  private readonly isOut: Uint8Array
  // Inherited context per node, indexed from the root.
  private readonly block: Int32Array
  private readonly list: Uint16Array
  private readonly quote: Uint16Array
  private readonly heading: Uint8Array
  private readonly items: Int32Array
  private readonly style: Uint8Array
  private readonly styled: StyledLine | undefined
  private line = ''
  private linkCharacters = 0
  private uprightCharacters = 0
  private current: number
  /** The `pre` that the walk is inside of, or was last. */
  private pre = 0
  private preEnd = -1
  /** End of the data table that the walk is inside of. */
  private tableEnd = -1
  private isTableStart = false
  private isItalic = false
  private itemPending = -1

  constructor(tree: HtmlTree, root: number, isOut: Uint8Array, isMarkdown: boolean) {
    this.tree = tree
    this.root = root
    this.isOut = isOut
    const size = tree.end[root] - root
    this.block = new Int32Array(size)
    this.list = new Uint16Array(size)
    this.quote = new Uint16Array(size)
    this.heading = new Uint8Array(size)
    this.items = new Int32Array(size)
    this.style = new Uint8Array(size)
    if (isMarkdown) this.styled = new StyledLine()
    this.current = root
    this.block[0] = root
  }

  walk(): void {
    const { tree, root, isOut } = this
    for (let node = root; node < tree.end[root]; node++) {
      if (isOut[node] === 1) {
        if (BLOCK[tree.tag[node]] === 1) this.flush()
        node = tree.end[node] - 1
        continue
      }
      if (node > root) this.inherit(node)
      if (tree.tag[node] === TEXT) this.addText(node)
      else this.enter(node)
    }
    this.flush()
  }

  private inherit(node: number): void {
    const { root, tree } = this
    const at = node - root
    const above = tree.parent[node] - root
    const tag = tree.tag[node]
    this.block[at] = this.isBlock(tag, node) ? node : this.block[above]
    this.list[at] = this.list[above] + LISTS[tag]
    this.quote[at] = this.quote[above] + (tag === BLOCKQUOTE ? 1 : 0)
    this.style[at] = this.style[above] | styleOf(tag)
    this.heading[at] = HEADINGS[tag] === 1 ? tag - HEADING_BASE : this.heading[above]
  }

  /** Inside a data table the row is the block. */
  private isBlock(tag: number, node: number): boolean {
    if (tag === TEXT || BLOCK[tag] === 0) return false
    return node >= this.tableEnd || tag === TR || tag === TABLE
  }

  private enter(node: number): void {
    const { tree } = this
    const tag = tree.tag[node]
    if (tag === TABLE && node >= this.tableEnd && isDataTable(tree, node, this.isOut)) {
      this.flush()
      this.tableEnd = tree.end[node]
      this.isTableStart = true
    }
    const here = this.block[node - this.root]
    if (here !== this.current) {
      this.flush()
      this.current = here
    }
    if (tag === LI || tag === DD) {
      this.itemPending = node
      this.items[tree.parent[node] < this.root ? 0 : tree.parent[node] - this.root]++
    }
    if (tag === BR || tag === HR) this.separate('\n')
    else if (tag === PRE && node >= this.preEnd) {
      this.pre = node
      this.preEnd = tree.end[node]
    } else if (CELLS[tag] === 1 && node < this.tableEnd) this.separate('\t')
    else if (node < this.tableEnd && BLOCK[tag] === 1) this.separate(' ')
  }

  private separate(separator: string): void {
    this.line += separator
    this.styled?.separate(separator)
  }

  private addText(node: number): void {
    const here = this.block[node - this.root]
    if (here !== this.current) {
      this.flush()
      this.current = here
    }
    const raw = this.tree.text[node]
    const text = node < this.preEnd ? raw : raw.replace(WIDE_BLANKS, ' ')
    const style = this.style[node - this.root]
    this.line += text
    this.styled?.add(text, style)
    if (this.tree.isLink[node] === 1) this.linkCharacters += text.trim().length
    if (!isItalic(style)) this.uprightCharacters += text.trim().length
  }

  private flush(): void {
    const line = this.line.replace(INVISIBLE, '')
    const styled = this.styled?.take().replace(INVISIBLE, '') ?? line
    const { linkCharacters } = this
    this.isItalic = this.uprightCharacters <= 2
    this.line = ''
    this.linkCharacters = 0
    this.uprightCharacters = 0
    if (line === '' || line.trim() === '') return
    const node = this.current
    if (node >= this.pre && node < this.preEnd) this.push('code', trimLines(line), trimLines(line), linkCharacters)
    else if (node < this.tableEnd && this.tree.tag[node] === TR) this.push('row', cellsOf(line), cellsOf(styled), linkCharacters)
    else this.pushLines(node, line, styled, linkCharacters / line.length)
  }

  private pushLines(node: number, lines: string, styledLines: string, linkDensity: number): void {
    const styled = styledLines === lines ? undefined : styledLines.split('\n')
    lines.split('\n').forEach((line, i) => {
      const text = line.replace(WIDE_BLANKS, ' ').trim()
      if (text === '') return
      const markdown = styled?.[i]?.replace(WIDE_BLANKS, ' ').trim() ?? text
      this.push(this.kindOf(node), text, markdown, Math.min(text.length, linkDensity * line.length))
    })
  }

  private kindOf(node: number): BlockKind {
    if (this.heading[node - this.root] > 0) return 'heading'
    return this.list[node - this.root] > 0 && this.itemPending >= 0 && node >= this.itemPending && node < this.tree.end[this.itemPending]
      ? 'item'
      : 'paragraph'
  }

  private push(kind: BlockKind, text: string, markdown: string, linkCharacters: number): void {
    const at = this.current - this.root
    const isItem = kind === 'item'
    const parent = isItem ? this.tree.parent[this.itemPending] : -1
    const isOrdered = parent >= this.root && this.tree.tag[parent] === OL
    this.blocks.push({
      kind,
      text,
      markdown: kind === 'heading' ? text : markdown,
      level: kind === 'heading' ? this.heading[at] : this.list[at],
      quote: this.quote[at],
      ordinal: isOrdered ? this.items[parent - this.root] + firstOrdinal(this.tree, parent) - 1 : 0,
      isTableStart: kind === 'row' && this.isTableStart,
      linkCharacters,
      isItalic: this.isItalic,
      node: this.current,
    })
    if (kind === 'row') this.isTableStart = false
    if (isItem) this.itemPending = -1
  }
}

const HEADING_BASE = tagId('h1') - 1

/** Where an ordered list starts to count. */
function firstOrdinal(tree: HtmlTree, list: number): number {
  const start = Number(tree.attributes[list]?.start ?? 1)
  return Number.isSafeInteger(start) && start >= 0 ? start : 1
}

/** A table whose cells hold values, not parts of the page. */
function isDataTable(tree: HtmlTree, table: number, isOut: Uint8Array): boolean {
  let rows = 0
  let cells = 0
  let characters = 0
  for (let node = table + 1; node < tree.end[table]; node++) {
    if (isOut[node] === 1) {
      node = tree.end[node] - 1
      continue
    }
    const tag = tree.tag[node]
    if (LAYOUT[tag] === 1) return false
    if (tag === TR) rows++
    else if (CELLS[tag] === 1) cells++
    else if (tag === TEXT) characters += tree.text[node].length
  }
  return rows > 0 && cells >= 2 && cells > rows && characters / cells < 300
}

/** Blanks that are not one space: a search for these leaves most lines as they are. */
const WIDE_BLANKS = /[^\S ]\s*| \s+/g

/** Control characters, soft hyphens and zero-width spaces. Joiners stay, they change letters. */
const INVISIBLE = /[\0-\x08\x0b\x0e-\x1f\x7f\u00ad\u200b\u2060\ufeff]+/g

function cellsOf(row: string): string {
  const cells = row.split('\t').slice(1)
  return cells.map((cell) => cell.replace(/\s+/g, ' ').trim()).join('\t')
}

function trimLines(code: string): string {
  return code
    .replaceAll('\u00a0', ' ')
    .replace(/^(?:[^\S\n]*\n)+/, '')
    .trimEnd()
}
