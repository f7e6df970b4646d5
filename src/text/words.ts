// Words of a text, exactly as datatrove 0.10 sees them: spaCy's English tokenizer without the blanks. Fast because a text
// falls apart at blanks into few distinct chunks: their words are remembered. What the rules do to a chunk: word-rules.ts.

import { isBlank } from './characters.ts'
import { exceptions, splitBlankFree, tornExceptions } from './word-rules.ts'

/** A blank-free stretch of text; its words, joined, give it. */
export interface Chunk {
  readonly words: readonly string[]
  /** Words before special strings were put together, where a neighbour could have a part in that. */
  readonly torn?: readonly string[]
}

/** Words of the text in order, blanks left out: every one is non-empty and blank-free. */
export function splitWords(text: string): string[] {
  const words: string[] = []
  for (const chunk of splitChunks(text).chunks) {
    for (const word of chunk.words) words.push(word)
  }
  return words
}

export interface Chunks {
  readonly chunks: readonly Chunk[]
  /** Offset of each chunk in the text, in UTF-16 units. */
  readonly starts: readonly number[]
}

export function splitChunks(text: string): Chunks {
  const chunks: Chunk[] = []
  const starts: number[] = []
  const length = text.length
  let groupStart = 0 // chunks from here to the last one may share a special string
  let end = -2
  for (let i = 0; i < length; i++) {
    if (isBlank(text.charCodeAt(i))) continue
    const start = i
    do i++
    while (i < length && !isBlank(text.charCodeAt(i)))
    const chunk = chunkOf(text.slice(start, i))
    const isLinked =
      chunk.torn !== undefined && start === end + 1 && text.charCodeAt(end) === 32 && canLink(chunks[chunks.length - 1], chunk)
    if (!isLinked) {
      if (chunks.length - groupStart > 1) mergeGroup(chunks, groupStart)
      groupStart = chunks.length
    }
    chunks.push(chunk)
    starts.push(start)
    end = i
  }
  if (chunks.length - groupStart > 1) mergeGroup(chunks, groupStart)
  return { chunks, starts }
}

// ---- remembering ----

const CACHED_CHUNKS = 1 << 18
const CACHED_CHUNK_LENGTH = 40
let cache = new Map<string, Chunk>()

function chunkOf(string: string): Chunk {
  const cached = cache.get(string)
  if (cached !== undefined) return cached
  if (string.length > CACHED_CHUNK_LENGTH) return makeChunk(string)
  // A slice keeps its whole text alive; going through a copy one unit longer keeps only that.
  const own = `${string} `.slice(0, -1)
  const chunk = makeChunk(own)
  if (cache.size >= CACHED_CHUNKS) cache = new Map()
  cache.set(own, chunk)
  return chunk
}

function makeChunk(string: string): Chunk {
  const torn = splitBlankFree(string)
  const words = mergeExceptions(torn, [torn.length])
  const mayLink = nonFinal.has(torn[torn.length - 1]) || nonFirst.has(torn[0])
  return mayLink ? { words, torn } : { words }
}

// ---- special strings that the rules tore apart ----
// The reference looks for them in the whole text's sequence of words, single blanks between words notwithstanding. A match
// across a blank then changes nothing, but matches that overlap it are off: longer before shorter, left before right.

interface Pattern {
  readonly next: Map<string, Pattern>
  isEnd: boolean
}

const patterns: Pattern = { next: new Map(), isEnd: false }
/** Words that a pattern goes on after, with those it goes on with; and all of the latter. */
const nonFinal = new Map<string, Set<string>>()
const nonFirst = new Set<string>()
for (const words of tornExceptions().values()) {
  let node = patterns
  for (const [i, word] of words.entries()) {
    let next = node.next.get(word)
    if (next === undefined) node.next.set(word, (next = { next: new Map(), isEnd: false }))
    node = next
    if (i === 0) continue
    nonFirst.add(word)
    const before = words[i - 1]
    const followers = nonFinal.get(before)
    if (followers) followers.add(word)
    else nonFinal.set(before, new Set([word]))
  }
  node.isEnd = true
}

function canLink(left: Chunk, right: Chunk): boolean {
  if (left.torn === undefined || right.torn === undefined) return false
  return nonFinal.get(left.torn[left.torn.length - 1])?.has(right.torn[0]) === true
}

/** Splits the last chunks, from `start` on, again, this time seen together. */
function mergeGroup(chunks: Chunk[], start: number): void {
  const words: string[] = []
  const ends: number[] = []
  for (let c = start; c < chunks.length; c++) {
    const { torn } = chunks[c]
    for (const word of torn ?? chunks[c].words) words.push(word)
    ends.push(words.length)
  }
  const merged = mergeExceptions(words, ends)
  for (let c = start, from = 0; c < chunks.length; c++) {
    let length = 0
    for (const word of words.slice(c === start ? 0 : ends[c - start - 1], ends[c - start])) length += word.length
    let to = from
    for (; length > 0; to++) length -= merged[to].length
    chunks[c] = { words: merged.slice(from, to) }
    from = to
  }
}

/**
 * Puts special strings together that the rules tore apart.
 *
 * @param words words of one or several chunks
 * @param ends index of the word after each chunk's last, ascending
 */
function mergeExceptions(words: readonly string[], ends: readonly number[]): readonly string[] {
  const matches = findPatterns(words)
  if (matches.length === 0) return words
  matches.sort((a, b) => b.end - b.start - (a.end - a.start) || a.start - b.start)
  const isTaken = new Uint8Array(words.length)
  const replaced = new Map<number, number>()
  for (const { start, end } of matches) {
    if (isTaken[start] === 0 && isTaken[end - 1] === 0) replaced.set(start, end)
    isTaken.fill(1, start, end)
  }
  const merged: string[] = []
  let chunk = 0
  for (let i = 0; i < words.length; ) {
    while (ends[chunk] <= i) chunk++
    const end = replaced.get(i)
    const parts = end === undefined || end > ends[chunk] ? undefined : exceptions.get(words.slice(i, end).join(''))
    if (parts) merged.push(...parts)
    else for (let k = i; k < (end ?? i + 1); k++) merged.push(words[k])
    i = end ?? i + 1
  }
  return merged
}

function findPatterns(words: readonly string[]): { start: number; end: number }[] {
  const matches: { start: number; end: number }[] = []
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
