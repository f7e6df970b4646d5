// Takes out lines that consist of symbols: rules and separators. The counterpart of datatrove 0.10's symbol lines formatter.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { mapStage, type Stage } from '../src/core/stage.ts'
import { PUNCTUATION, strip, TERMINAL_PUNCTUATION } from '../src/text/characters.ts'
import { splitLines } from '../src/text/lines.ts'

export const symbolLinesOptions = z.strictObject({
  symbolsToRemove: z
    .array(z.string())
    .nullable()
    .default(null)
    .describe('characters that make a line of symbols; null: punctuation of all scripts'),
  replaceChar: z.string().default('').describe('what a run of such lines becomes: "\\n" leaves a paragraph break, the empty text nothing'),
})
export type SymbolLinesOptions = z.input<typeof symbolLinesOptions>
type Choices = z.output<typeof symbolLinesOptions>

/** Changes texts, drops nothing. Line breaks of all kinds become "\n", and the last one goes, as in the reference. */
export function symbolLines<T extends Document>(options: SymbolLinesOptions = {}): Stage<T> {
  const choices = symbolLinesOptions.parse(options)
  return mapStage<T, T>('symbolLines', {
    options: choices,
    prepare: () => (document) => {
      const text = removeSymbolLines(document.text, choices)
      return text === document.text ? document : { ...document, text }
    },
  })
}

export function removeSymbolLines(text: string, { symbolsToRemove, replaceChar }: Choices): string {
  const listed = symbolsToRemove && new Set(symbolsToRemove)
  const isSymbol = (character: string) =>
    listed ? listed.has(character) : PUNCTUATION.has(character) || TERMINAL_PUNCTUATION.has(character)
  const kept: string[] = []
  let isInside = false
  for (const line of splitLines(text)) {
    if (!isSymbolLine(line, isSymbol)) {
      kept.push(line)
      isInside = false
    } else {
      if (!isInside && replaceChar !== '') kept.push(replaceChar)
      isInside = true
    }
  }
  return kept.join('\n')
}

function isSymbolLine(line: string, isSymbol: (character: string) => boolean): boolean {
  if (strip(line) === '') return false
  for (const character of line) if (character !== ' ' && !isSymbol(character)) return false
  return true
}
