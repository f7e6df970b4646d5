// A line of Markdown being written: emphasis and code marks hug the words they are for, whatever way the page nests its
// elements, and neighbours of one style share their marks.

import { TAG_COUNT, tagId } from './tags.ts'

const ITALIC = 1
const BOLD = 2
const CODE = 4

const STYLES = new Uint8Array(TAG_COUNT)
for (const name of ['em', 'i']) STYLES[tagId(name)] = ITALIC
for (const name of ['strong', 'b']) STYLES[tagId(name)] = BOLD
for (const name of ['code', 'kbd', 'samp', 'tt']) STYLES[tagId(name)] = CODE

/** The style that an element adds to its text: bits to be united with those above it. */
export function styleOf(tag: number): number {
  return STYLES[tag]
}

export function isItalic(style: number): boolean {
  return (style & ITALIC) !== 0
}

/** Every mark is its own mirror image: it opens and closes. */
function markOf(style: number, text: string): string {
  if ((style & CODE) !== 0) return text.includes('`') ? '' : '`'
  return (style & BOLD ? '**' : '') + (style & ITALIC ? '*' : '')
}

export class StyledLine {
  private text = ''
  /** The mark that is open. */
  private mark = ''
  /** Blanks that wait for the next word, so that no mark stands beside one. */
  private blanks = ''

  add(text: string, style: number): void {
    const words = text.trim()
    if (words === '') {
      this.blanks += text
      return
    }
    const start = text.length - text.trimStart().length
    const mark = markOf(style, words)
    const blanks = this.blanks + text.slice(0, start)
    this.text += mark === this.mark ? blanks : this.mark + blanks + mark
    this.text += words
    this.mark = mark
    this.blanks = text.slice(start + words.length)
  }

  /** Ends the style and adds a separator: a line break, a cell's tab. */
  separate(separator: string): void {
    this.text += this.mark + separator
    this.mark = ''
    this.blanks = ''
  }

  /** The line, which then starts anew. */
  take(): string {
    const line = this.text + this.mark
    this.text = ''
    this.mark = ''
    this.blanks = ''
    return line
  }
}
