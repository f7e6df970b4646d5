// The last of spaCy's word rules: special strings that other rules tore apart are put together again, ":" and ")" into ":)".
// The reference looks for them in the whole text's sequence of words, single spaces between words notwithstanding. A match
// across a space then changes nothing, but matches that overlap it are off: longer before shorter, left before right.

import { exceptions, tornExceptions } from './word-rules.ts'

interface Pattern {
  readonly next: Map<string, Pattern>
  isEnd: boolean
}

const patterns: Pattern = { next: new Map(), isEnd: false }
/** Words that a pattern goes on after, with those it goes on with. */
const followers = new Map<string, Set<string>>()
const following = new Set<string>()
for (const words of tornExceptions().values()) addPattern(words)

function addPattern(words: readonly string[]): void {
  let node = patterns
  for (const [i, word] of words.entries()) {
    let next = node.next.get(word)
    if (next === undefined) {
      next = { next: new Map(), isEnd: false }
      node.next.set(word, next)
    }
    node = next
    if (i === 0) continue
    following.add(word)
    const known = followers.get(words[i - 1])
    if (known) known.add(word)
    else followers.set(words[i - 1], new Set([word]))
  }
  node.isEnd = true
}

/** Could a special string go on behind this word? */
export const mayGoOnAfter = (word: string): boolean => followers.has(word)
/** Could this word be part of a special string that began before it? */
export const mayGoOnWith = (word: string): boolean => following.has(word)
/** Could the two stand side by side in a special string? */
export const mayStandSideBySide = (left: string, right: string): boolean => followers.get(left)?.has(right) === true

/**
 * Puts special strings together that the rules tore apart.
 *
 * @param words words of one chunk, or of several with single spaces between them
 * @param ends index of the word after each chunk's last, ascending
 * @returns the words of each chunk
 */
export function mergeExceptions(words: readonly string[], ends: readonly number[]): string[][] {
  const replaced = chooseMatches(findPatterns(words), words.length)
  const chunks: string[][] = []
  let i = 0
  for (const chunkEnd of ends) {
    const merged: string[] = []
    while (i < chunkEnd) {
      const end = replaced.get(i) ?? i + 1
      const parts = end > chunkEnd || !replaced.has(i) ? undefined : exceptions.get(words.slice(i, end).join(''))
      if (parts) {
        merged.push(...parts)
        i = end
      } else merged.push(words[i++])
    }
    chunks.push(merged)
  }
  return chunks
}

interface Match {
  readonly start: number
  readonly end: number
}

function findPatterns(words: readonly string[]): Match[] {
  const matches: Match[] = []
  for (let start = 0; start < words.length; start++) {
    let node = patterns.next.get(words[start])
    for (let end = start + 1; node !== undefined; end++) {
      if (node.isEnd) matches.push({ start, end })
      if (end === words.length) break
      node = node.next.get(words[end])
    }
  }
  return matches
}

/** Matches that hold, as start → end. One that does not hold still blocks what it overlaps, as in the reference. */
function chooseMatches(matches: Match[], words: number): Map<number, number> {
  const chosen = new Map<number, number>()
  if (matches.length === 0) return chosen
  matches.sort((a, b) => b.end - b.start - (a.end - a.start) || a.start - b.start)
  const isTaken = new Uint8Array(words)
  for (const { start, end } of matches) {
    if (isTaken[start] === 0 && isTaken[end - 1] === 0) chosen.set(start, end)
    isTaken.fill(1, start, end)
  }
  return chosen
}
