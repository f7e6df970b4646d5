// Words of languages that are written without spaces, by ICU's dictionaries (Intl.Segmenter): Chinese, Japanese, Thai, Lao,
// Khmer, Burmese; Tibetan falls into syllables at its own marks. Spaces are put where words end, and the text is then split by
// the same rules as any other, so that Latin words, numbers and punctuation in it are words as elsewhere.

import { isBlank } from './characters.ts'

/** As the language stage names them. */
const languages = ['zh', 'ja', 'th', 'lo', 'km', 'my', 'bo', 'dz', 'yue', 'wuu', 'lzh', 'nan', 'hak', 'gan']

export function isUnspaced(language: string | undefined): language is string {
  return language !== undefined && languages.includes(language)
}

export interface Spaced {
  readonly text: string
  /** Where in it a space was put, ascending. */
  readonly inserted: readonly number[]
}

/** Runs of the scripts without their punctuation; and Tibetan's mark between syllables, which stands for a space. */
const run =
  /[[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Thai}\p{scx=Lao}\p{scx=Khmer}\p{scx=Myanmar}\p{scx=Tibetan}]--[\p{P}\p{S}\p{Z}]]+|[་༌]/gv

const segmenters = new Map<string, Intl.Segmenter>()

export function spaceWords(text: string, language: string): Spaced {
  const segmenter = segmenterOf(language)
  const parts: string[] = []
  const inserted: number[] = []
  let length = 0
  const add = (part: string) => {
    parts.push(part)
    length += part.length
  }
  const separate = () => {
    if (parts[parts.length - 1]?.endsWith(' ') !== false) return
    inserted.push(length)
    add(' ')
  }
  let end = 0
  for (const { 0: found, index } of text.matchAll(run)) {
    if (index > end) {
      if (end > 0 && !blankAt(text, end)) separate()
      add(text.slice(end, index))
    }
    end = index + found.length
    if (found === '་' || found === '༌') {
      add(' ')
      continue
    }
    if (index > 0 && !blankAt(text, index - 1)) separate()
    for (const { segment, index: at } of segmenter.segment(found)) {
      if (at > 0) separate()
      add(segment)
    }
  }
  if (end > 0 && end < text.length && !blankAt(text, end)) separate()
  add(text.slice(end))
  return { text: parts.join(''), inserted }
}

function segmenterOf(language: string): Intl.Segmenter {
  let segmenter = segmenters.get(language)
  if (segmenter === undefined) {
    segmenter = new Intl.Segmenter(language, { granularity: 'word' })
    segmenters.set(language, segmenter)
  }
  return segmenter
}

function blankAt(text: string, index: number): boolean {
  return isBlank(text.charCodeAt(index))
}

/** Offsets in the spaced text as offsets in the original one; ascending. */
export function withoutSpaces(offsets: Int32Array, inserted: readonly number[]): Int32Array {
  let before = 0
  return offsets.map((offset) => {
    while (before < inserted.length && inserted[before] < offset) before++
    return offset - before
  })
}
