// The last decisions, on blocks in reading order: the title and the byline before the first sentence, advertising labels,
// calls to subscribe or share, headings that nothing follows any more.

import type { Block } from './blocks.ts'

/** The blocks without what frames the text. */
export function trimBlocks(blocks: readonly Block[], title: string | undefined): Block[] {
  const kept = blocks.filter((block) => !isLabel(block))
  const from = startOfText(kept, title)
  return dropEmptySections(kept.slice(from))
}

/** Index of the first block that is text: behind the title, dates and names. */
function startOfText(blocks: readonly Block[], title: string | undefined): number {
  const wanted = keyOf(title ?? '')
  let from = 0
  for (let i = 0; i < blocks.length && i < 12; i++) {
    const block = blocks[i]
    if (wanted !== '' && isSameTitle(keyOf(block.text), wanted)) from = i + 1
    else if (block.kind === 'heading' || block.text.length >= 80 || /[.!?:…。"”]$/.test(block.text)) break
    else if (i === from && isByline(block.text)) from = i + 1
  }
  return from
}

function isSameTitle(text: string, title: string): boolean {
  return (
    text.length > 5 &&
    (text === title || (text.length > 15 && (title.startsWith(text) || (text.startsWith(title) && text.length < title.length * 1.5))))
  )
}

function keyOf(text: string): string {
  return text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '')
}

const BYLINE_WORDS = /^(?:by|von|par|por|di|door|af|av|text|updated|published|posted|last updated|aktualisiert|veröffentlicht|stand)\b/i
const DATE = /\b(?:19|20)\d\d\b|\d{1,2}[:.]\d{2}|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}/
const READING_TIME = /\b\d+\s*(?:min|minutes?|minuten|minutos?)\b/i

function isByline(text: string): boolean {
  return text.length < 80 && (BYLINE_WORDS.test(text) || DATE.test(text) || READING_TIME.test(text))
}

const LABELS = new Set(
  (
    'advertisement|advert|adverts|ad|ads|anzeige|werbung|iklan|publicidad|publicité|publicite|pubblicità|advertentie|reklama|sponsored|sponsored links|sponsored content|' +
    'share|share this|share this article|share on facebook|share on twitter|tweet|email|print|facebook|twitter|whatsapp|pinterest|linkedin|reddit|teilen|drucken|' +
    "related|related articles|related posts|related stories|related topics|read more|read also|more|see also|you may also like|you might also like|don't miss|recommended|" +
    'trending|popular|most read|top stories|our latest stories|more stories|story continues below|story continues|article continues below|continue reading|' +
    'comments|leave a comment|leave a reply|0 comments|add comment|post a comment|tell us what you think|' +
    'subscribe|sign up|sign in|log in|register|follow us|newsletter|loading|close|menu|search|home|back to top|next|previous|caption|click to enlarge|view gallery|' +
    'this slideshow requires javascript|tags|topics|filed under|source|photo|image|video|about the author|weiterlesen|mehr zum thema|lesen sie auch|auch interessant|kommentare'
  ).split('|'),
)

/** A short line that is known to be furniture. */
function isLabel(block: Block): boolean {
  if (block.text.length > 40 || block.kind === 'code' || block.kind === 'row') return false
  return LABELS.has(block.text.toLowerCase().replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, ''))
}

/** A heading at the very end introduces nothing. */
function dropEmptySections(blocks: Block[]): Block[] {
  let end = blocks.length
  while (end > 0 && blocks[end - 1].kind === 'heading') end--
  return blocks.slice(0, end)
}
