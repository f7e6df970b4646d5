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

// Reused between texts: slots of the hash table, position + 1 or 0; hash, count and first occurrence of the n-gram at each position.
let table = new Int32Array(1 << 12)
let gramHashes = new Int32Array(1 << 11)
let gramCounts = new Int32Array(1 << 11)
let gramFirsts = new Int32Array(1 << 11)
let placeBuffer = new Int32Array(1 << 11)
const nowhere = new Int32Array(0)

/** n-grams of a text's words, ready to be counted for several n. */
export class WordGrams {
  readonly tokens: Tokens
  /** Code points before word i. */
  readonly #ends: Int32Array
  // The hash of a run of words is a difference of two sums, shifted to a common place: (sum[i + n] − sum[i])·B^-units[i].
  readonly #sums: Int32Array
  readonly #shifts: Int32Array
  /** What was found, by ascending n. */
  readonly #repeated: { readonly n: number; readonly places: Int32Array }[] = []

  constructor(tokens: Tokens) {
    const { ids, lexicon } = tokens
    const { lengths, hashes, powers, inverses } = lexicon
    const words = ids.length
    const ends = new Int32Array(words + 1)
    const sums = new Int32Array(words + 1)
    const shifts = new Int32Array(words + 1)
    let power = 1
    let shift = 1
    for (let i = 0; i < words; i++) {
      const id = ids[i]
      shifts[i] = shift
      sums[i + 1] = sums[i] + Math.imul(hashes[id], power)
      ends[i + 1] = ends[i] + lengths[id]
      power = Math.imul(power, powers[id])
      shift = Math.imul(shift, inverses[id])
    }
    this.tokens = tokens
    this.#ends = ends
    this.#sums = sums
    this.#shifts = shifts
  }

  /** Code points of all words. */
  get characters(): number {
    return this.#ends[this.tokens.ids.length]
  }

  /** How often the most frequent n-gram occurs, and its code points without blanks; ties go to the first seen. Undefined where there is no n-gram. */
  mostFrequent(n: number): { count: number; characters: number } | undefined {
    if (this.tokens.ids.length < n) return undefined
    let best = 0
    let count = 1
    for (const i of this.#findRepeated(n)) {
      if (gramFirsts[i] !== i || gramCounts[i] <= count) continue
      best = i
      count = gramCounts[i]
    }
    return { count, characters: this.#ends[best + n] - this.#ends[best] }
  }

  /** Code points of all n-grams, which overlap, and of those among them that occur more than once. */
  sharedCharacters(n: number): { shared: number; all: number } | undefined {
    const grams = this.tokens.ids.length - n + 1
    if (grams < 1) return undefined
    const ends = this.#ends
    let shared = 0
    let all = 0
    for (const i of this.#findRepeated(n)) shared += ends[i + n] - ends[i]
    for (let i = 0; i < grams; i++) all += ends[i + n] - ends[i]
    return { shared, all }
  }

  /** Code points of words in n-grams that occur more than once; where such n-grams overlap, each word counts once. */
  charactersInRepeated(n: number): number {
    const ends = this.#ends
    let characters = 0
    let counted = 0 // words before this one are
    for (const i of this.#findRepeated(n)) {
      characters += ends[i + n] - ends[Math.max(i, counted)]
      counted = i + n
    }
    return characters
  }

  /**
   * Places, ascending, of the n-grams that occur more than once, compared word for word; `gramFirsts` leads from each to its
   * first occurrence, and `gramCounts` has their number there. Where an n-gram occurs once, so do the longer ones that begin
   * there: they are not looked at again, which leaves little to do for the larger n of prose.
   */
  #findRepeated(n: number): Int32Array {
    const grams = this.tokens.ids.length - n + 1
    if (grams < 1) return nowhere
    const { ids } = this.tokens
    const known = this.#repeated.findLast((found) => found.n <= n)
    const shorter = known?.places
    const candidates = shorter?.length ?? grams
    const mask = this.#prepare(candidates, grams)
    const sums = this.#sums
    const shifts = this.#shifts
    const [slots, hashes, firsts, counts] = [table, gramHashes, gramFirsts, gramCounts]
    for (let k = 0; k < candidates; k++) {
      const i = shorter === undefined ? k : shorter[k]
      if (i >= grams) break
      const hash = Math.imul(sums[i + n] - sums[i], shifts[i])
      let slot = slotOf(hash, mask)
      let first = slots[slot] - 1
      while (first >= 0 && !(hashes[first] === hash && isSameRun(ids, first, i, n))) {
        slot = (slot + 1) & mask
        first = slots[slot] - 1
      }
      if (first < 0) {
        first = i
        slots[slot] = i + 1
        hashes[i] = hash
        counts[i] = 0
      }
      counts[first]++
      firsts[i] = first
    }
    let found = 0
    for (let k = 0; k < candidates; k++) {
      const i = shorter === undefined ? k : shorter[k]
      if (i < grams && counts[firsts[i]] > 1) placeBuffer[found++] = i
    }
    const places = placeBuffer.slice(0, found)
    if (known?.n === n) return places
    this.#repeated.push({ n, places })
    this.#repeated.sort((a, b) => a.n - b.n)
    return places
  }

  /** Code points, blanks left out, of n-grams seen before, by a scan that jumps over each such n-gram. Words run together: "ab c" repeats "a bc". */
  repeatedCharacters(n: number): number {
    const { ids } = this.tokens
    const grams = ids.length - n + 1
    if (grams < 1) return 0
    const mask = this.#prepare(grams, grams)
    const slots = table
    const hashes = gramHashes
    const sums = this.#sums
    const shifts = this.#shifts
    let characters = 0
    let i = 0
    while (i < grams) {
      const hash = Math.imul(sums[i + n] - sums[i], shifts[i])
      let slot = slotOf(hash, mask)
      let first = slots[slot] - 1
      while (first >= 0 && !(hashes[first] === hash && (isSameRun(ids, first, i, n) || this.#isSameText(first, i, n)))) {
        slot = (slot + 1) & mask
        first = slots[slot] - 1
      }
      if (first < 0) {
        hashes[i] = hash
        slots[slot] = ++i
      } else {
        characters += this.#ends[i + n] - this.#ends[i]
        i += n
      }
    }
    return characters
  }

  /** Makes room for n-grams at `grams` places, and empties a table that `candidates` of them fill at most by half. @returns the mask of slot numbers */
  #prepare(candidates: number, grams: number): number {
    if (gramHashes.length < grams) {
      gramHashes = new Int32Array(grams * 2)
      gramCounts = new Int32Array(grams * 2)
      gramFirsts = new Int32Array(grams * 2)
      placeBuffer = new Int32Array(grams * 2)
    }
    let size = 1 << 8
    while (size < candidates * 2) size *= 2
    if (table.length < size) table = new Int32Array(size)
    else table.fill(0, 0, size)
    return size - 1
  }

  #isSameText(a: number, b: number, n: number): boolean {
    return this.#ends[a + n] - this.#ends[a] === this.#ends[b + n] - this.#ends[b] && this.#text(a, n) === this.#text(b, n)
  }

  #text(i: number, n: number): string {
    const { ids, lexicon } = this.tokens
    let text = ''
    for (let k = i; k < i + n; k++) text += lexicon.words[ids[k]]
    return text
  }
}

function slotOf(hash: number, mask: number): number {
  return (Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 8) & mask
}

function isSameRun(ids: Int32Array, a: number, b: number, n: number): boolean {
  for (let k = 0; k < n; k++) {
    if (ids[a + k] !== ids[b + k]) return false
  }
  return true
}
