// How much of a text repeats itself: equal elements of a list, and n-grams of words, as in Rae et al. 2021, section A1.1,
// arxiv.org/abs/2112.11446, with datatrove 0.10's exact counting. Words come as ids; nothing is joined into strings.

import { codePointLength } from './characters.ts'
import type { Tokens } from './words.ts'

/** Second and later occurrences of elements, and the code points in them. */
export function countRepeats(elements: Iterable<string>): { count: number; characters: number } {
  const seen = new Set<string>()
  let count = 0
  let characters = 0
  for (const element of elements) {
    const known = seen.size
    if (seen.add(element).size > known) continue
    count++
    characters += codePointLength(element)
  }
  return { count, characters }
}

let table = new Int32Array(1 << 12)
let counts = new Int32Array(1 << 11)

/** n-grams of a text's words, ready to be counted for several n. */
export class WordGrams {
  readonly #tokens: Tokens
  /** Code points before word i. */
  readonly #ends: Int32Array
  // The hash of a run of words is a difference of two sums, shifted to a common place: (sum[i + n] − sum[i])·B^-units[i].
  readonly #sums: Int32Array
  readonly #shifts: Int32Array

  constructor(tokens: Tokens) {
    const { ids, lexicon } = tokens
    const words = ids.length
    const { lengths, hashes, powers, inverses } = lexicon
    this.#tokens = tokens
    this.#ends = new Int32Array(words + 1)
    this.#sums = new Int32Array(words + 1)
    this.#shifts = new Int32Array(words + 1)
    let power = 1
    let shift = 1
    let sum = 0
    let end = 0
    for (let i = 0; i < words; i++) {
      const id = ids[i]
      this.#shifts[i] = shift
      sum = (sum + Math.imul(hashes[id], power)) | 0
      power = Math.imul(power, powers[id])
      shift = Math.imul(shift, inverses[id])
      end += lengths[id]
      this.#sums[i + 1] = sum
      this.#ends[i + 1] = end
    }
  }

  /** Code points of all occurrences of the most frequent n-gram, words joined by one blank; ties go to the first seen. NaN where there is none. */
  mostFrequent(n: number): number {
    const grams = this.#tokens.ids.length - n + 1
    if (grams < 1) return Number.NaN
    const mask = clearTable(grams)
    if (counts.length < grams) counts = new Int32Array(grams * 2)
    let best = 0
    let bestCount = 0
    for (let i = 0; i < grams; i++) {
      const first = this.#findOrAdd(i, n, mask, true)
      if (first === i) counts[i] = 0
      const count = ++counts[first]
      if (count > bestCount || (count === bestCount && first < best)) {
        best = first
        bestCount = count
      }
    }
    return (this.#ends[best + n] - this.#ends[best] + n - 1) * bestCount
  }

  /** Code points, blanks left out, of n-grams seen before, by a scan that jumps over each such n-gram. Words run together: "ab c" repeats "a bc". */
  repeatedCharacters(n: number): number {
    const grams = this.#tokens.ids.length - n + 1
    const mask = clearTable(grams)
    let characters = 0
    for (let i = 0; i < grams; ) {
      if (this.#findOrAdd(i, n, mask, false) === i) i++
      else {
        characters += this.#ends[i + n] - this.#ends[i]
        i += n
      }
    }
    return characters
  }

  /** Where the n-gram at word i was first seen; i itself, then remembered, where it is new. */
  #findOrAdd(i: number, n: number, mask: number, wordForWord: boolean): number {
    const hash = this.#hash(i, n)
    let slot = (Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 10) & mask
    for (let entry = table[slot]; entry !== 0; entry = table[slot]) {
      if (this.#hash(entry - 1, n) === hash && this.#isEqual(entry - 1, i, n, wordForWord)) return entry - 1
      slot = (slot + 1) & mask
    }
    table[slot] = i + 1
    return i
  }

  #hash(i: number, n: number): number {
    return Math.imul(this.#sums[i + n] - this.#sums[i], this.#shifts[i])
  }

  #isEqual(a: number, b: number, n: number, wordForWord: boolean): boolean {
    const { ids } = this.#tokens
    let k = 0
    while (k < n && ids[a + k] === ids[b + k]) k++
    return k === n || (!wordForWord && this.#text(a, n) === this.#text(b, n))
  }

  #text(i: number, n: number): string {
    const { ids, lexicon } = this.#tokens
    let text = ''
    for (let k = i; k < i + n; k++) text += lexicon.words[ids[k]]
    return text
  }
}

/** Makes room for so many entries, at most half full. @returns the mask of slot numbers */
function clearTable(entries: number): number {
  let size = 1 << 10
  while (size < entries * 2) size *= 2
  if (table.length < size) table = new Int32Array(size)
  else table.fill(0, 0, size)
  return size - 1
}
