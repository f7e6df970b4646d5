// The last decisions, on blocks in reading order: the title and the byline before the first sentence go, furniture goes,
// so do lines that are links only, notes in italics at the end, and headings that nothing follows any more.

import type { Block } from './blocks.ts'
import type { Mode } from './content.ts'
import { isFurniture, isLabel } from './furniture.ts'

/** The blocks without what frames the text. */
export function trimBlocks(blocks: readonly Block[], title: string | undefined, mode: Mode | 'whole'): Block[] {
  const kept = withoutCopies(blocks.filter((block) => isText(block, mode)))
  return kept.slice(startOfText(kept, title), mode === 'recall' || mode === 'whole' ? kept.length : endOfText(kept))
}

const LONG_CHARACTERS = 100
/** One long block that comes again may be a refrain; so many in the same order are a copy, made for another width of the screen. */
const COPIED_BLOCKS = 3

function withoutCopies(blocks: readonly Block[]): Block[] {
  const first = new Map<string, number>()
  const kept: Block[] = []
  for (let i = 0; i < blocks.length; i++) {
    const { text } = blocks[i]
    if (text.length >= LONG_CHARACTERS) {
      const length = copyLength(blocks, i, first.get(text))
      if (length > 0) {
        i += length - 1
        continue
      }
      if (!first.has(text)) first.set(text, i)
    }
    kept.push(blocks[i])
  }
  return kept
}

/** How many blocks from `at` say again what those from `original` say; 0 where they are too few for a copy. */
function copyLength(blocks: readonly Block[], at: number, original: number | undefined): number {
  if (original === undefined) return 0
  let length = 0
  let long = 0
  while (at + length < blocks.length && original + length < at && blocks[at + length].text === blocks[original + length].text) {
    if (blocks[at + length].text.length >= LONG_CHARACTERS) long++
    length++
  }
  return long >= COPIED_BLOCKS ? length : 0
}

function isText(block: Block, mode: Mode | 'whole'): boolean {
  if (block.kind === 'code' || block.kind === 'row') return true
  if (isLabel(block.text, block.kind !== 'paragraph')) return false
  return mode === 'recall' || !(isFurniture(block.text) || (mode !== 'whole' && isLink(block)))
}

/** A line that is one link. Links in lists may be what a list is about. */
function isLink(block: Block): boolean {
  return block.kind === 'paragraph' && block.linkCharacters >= block.text.length * 0.9 && block.text.length > 0
}

/** Index of the first block that is text: behind the title, dates and names. */
function startOfText(blocks: readonly Block[], title: string | undefined): number {
  const wanted = keyOf(title ?? '')
  let from = 0
  for (let i = 0; i < blocks.length && i < 12; i++) {
    const block = blocks[i]
    if (
      (wanted !== '' && isSameTitle(keyOf(block.text), wanted)) ||
      (block.kind === 'heading' && block.level === 1) ||
      BARE_URL.test(block.text)
    )
      from = i + 1
    else if (block.kind === 'heading' || block.text.length >= 80 || /[.!?:…。"”]$/.test(block.text)) break
    else if (i === from && isByline(block.text)) from = i + 1
  }
  return from
}

const BARE_URL = /^https?:\/\/\S+$/

function isSameTitle(text: string, title: string): boolean {
  if (text.length <= 5) return false
  return text === title || (text.length > 15 && (title.startsWith(text) || (text.startsWith(title) && text.length < title.length * 1.5)))
}

function keyOf(text: string): string {
  return text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '')
}

const BYLINE_WORDS = /^(?:by|von|par|por|di|door|af|av|text|stand)\b/i
const DATE = /\b(?:19|20)\d\d\b|\d{1,2}[:.]\d{2}|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}/
const READING_TIME = /\b\d+\s*(?:min|minutes?|minuten|minutos?)\b/i

function isByline(text: string): boolean {
  return text.length < 80 && (BYLINE_WORDS.test(text) || DATE.test(text) || READING_TIME.test(text))
}

/** Behind the last block that is text: not a heading, not a note about the author in italics. */
function endOfText(blocks: readonly Block[]): number {
  let end = blocks.length
  while (end > 0 && (blocks[end - 1].kind === 'heading' || isNote(blocks, end) || isCrumb(blocks, end))) end--
  return end
}

/** A short line by itself that ends like no sentence: a tag, a name, a button. Two at most: verses end so as well. */
function isCrumb(blocks: readonly Block[], end: number): boolean {
  const { kind, text, node } = blocks[end - 1]
  if (end <= 4 || blocks.length - end >= 2 || node === blocks[end - 2].node) return false
  return kind === 'paragraph' && text.length < 50 && !/\p{P}$/u.test(text)
}

function isNote(blocks: readonly Block[], end: number): boolean {
  const block = blocks[end - 1]
  return end > 4 && block.kind === 'paragraph' && block.quote === 0 && block.text.length < 600 && block.isItalic && blocks.length - end < 3
}
