// Added tokens in a text: those that must stand there as they are are looked for first, the others after normalization.

import type { AddedToken } from './definition.ts'

interface Finder {
  /** Finds the longest of the leftmost. */
  readonly expression: RegExp
  readonly tokens: ReadonlyMap<string, AddedToken>
}

export interface AddedTokenFinder {
  readonly raw: Finder | undefined
  readonly normalized: Finder | undefined
}

export function finderOf(tokens: readonly AddedToken[], normalize: (text: string) => string): AddedTokenFinder | undefined {
  if (tokens.length === 0) return undefined
  const normalized = tokens.filter((token) => token.normalized).map((token) => ({ ...token, content: normalize(token.content) }))
  return {
    raw: finder(tokens.filter((token) => !token.normalized)),
    normalized: finder(normalized.filter(({ content }) => content !== '')),
  }
}

function finder(tokens: readonly AddedToken[]): Finder | undefined {
  if (tokens.length === 0) return undefined
  const byLength = tokens.map(({ content }) => content).sort((a, b) => b.length - a.length)
  return {
    expression: new RegExp(byLength.map((content) => RegExp.escape(content)).join('|'), 'gu'),
    tokens: new Map(tokens.map((token) => [token.content, token])),
  }
}

/** Not `\s`, which lacks U+0085 and has U+FEFF. */
const whiteSpace = /\p{White_Space}/u

/**
 * Gives the tokens found and the text between them, in order. A token takes no blanks that the one before it has taken.
 *
 * @param between called with a stretch of the text, and whether the text begins with it
 */
export function splitByTokens(
  text: string,
  found: Finder | undefined,
  token: (id: number) => void,
  between: (text: string, first: boolean) => void,
): void {
  let end = 0
  for (const match of found ? text.matchAll(found.expression) : []) {
    const added = found?.tokens.get(match[0])
    if (!added) continue
    let start = match.index
    if (added.takesLeft) while (start > end && whiteSpace.test(text[start - 1])) start--
    if (start > end) between(text.slice(end, start), end === 0)
    token(added.id)
    end = match.index + match[0].length
    if (added.takesRight) while (end < text.length && whiteSpace.test(text[end])) end++
  }
  if (end < text.length) between(end === 0 ? text : text.slice(end), end === 0)
}
