// Sentences of a text, as datatrove 0.10 sees them: spaCy's sentencizer on the words of words.ts. A sentence ends behind
// a word that is one terminal mark, and the punctuation words after it. "e.g." and "..." are one word each and end nothing.

import { tokenize } from './words.ts'

/**
 * The text cut where sentences end: the slices, joined, give it. The blank after a sentence opens the next one; the last
 * slice runs to the end. The empty text is one empty slice.
 */
export function splitSentences(text: string, language?: string): string[] {
  const slices: string[] = []
  let start = 0
  for (const end of tokenize(text, language).sentenceEnds) {
    slices.push(text.slice(start, end))
    start = end
  }
  slices.push(text.slice(start))
  return slices
}
