// Sentences of a text, as datatrove 0.10 sees them: spaCy's sentencizer on the words of words.ts. A sentence ends behind
// a word that is one terminal mark, and the punctuation words after it. "e.g." and "..." are words of their own kind and end nothing.

import { TERMINAL_PUNCTUATION } from './characters.ts'
import { splitChunks } from './words.ts'

/** Marks that datatrove knows as terminal and spaCy 3.8 does not, most of them newer than Unicode 11. */
const unknownToSpacy = new Set('\u061d؞࠷࠹࠽࠾។៕៖៙៚\u1b7d\u1b7e\u2e53\u2e54𐽕𐽖𐽗𐽘𐽙\u{10f86}\u{10f87}\u{10f88}\u{10f89}𑥄𑥆𑻷𑻸\u{11f43}\u{11f44}𖺘')
const terminalWords = new Set([...TERMINAL_PUNCTUATION].filter((mark) => !unknownToSpacy.has(mark)))
const isPunctuation = /^\p{P}+$/u

/**
 * The text cut where sentences end: the slices, joined, give it. The blank after a sentence opens the next one; the last
 * slice runs to the end. The empty text is one empty slice.
 */
export function splitSentences(text: string): string[] {
  const slices: string[] = []
  let start = 0
  for (const end of sentenceEnds(text)) {
    slices.push(text.slice(start, end))
    start = end
  }
  slices.push(text.slice(start))
  return slices
}

/** Offsets at which a sentence ends, other than the end of the text; ascending, in UTF-16 units. */
export function sentenceEnds(text: string): number[] {
  const { chunks, starts } = splitChunks(text)
  const ends: number[] = []
  let seenTerminal = false
  let position = 0
  for (let c = 0; c < chunks.length; c++) {
    // Blanks other than a single space are a word to the reference, and no punctuation.
    if (seenTerminal && isBlankWord(text, position, starts[c])) {
      ends.push(position)
      seenTerminal = false
    }
    let wordStart = starts[c]
    for (const word of chunks[c].words) {
      if (terminalWords.has(word)) seenTerminal = true
      else if (seenTerminal && !isPunctuation.test(word)) {
        ends.push(position)
        seenTerminal = false
      }
      wordStart += word.length
      position = wordStart
    }
  }
  if (seenTerminal && position < text.length && isBlankWord(text, position, text.length)) ends.push(position)
  return ends
}

function isBlankWord(text: string, start: number, end: number): boolean {
  return end - start !== 1 || text.charCodeAt(start) !== 32
}
