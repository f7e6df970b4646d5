// Windows of tokens that repeat, and what is left of a text without them. Two windows of equal hashes are taken for equal:
// with 64 bits, among 250 million windows a false pair is expected once in 600 runs.

const base1 = 0x9e3779b1 | 0
const base2 = 0x85ebca6b | 0

/** The avalanche of MurmurHash3: ids that lie side by side get hashes that do not. */
function mix(id: number): number {
  let x = id + 1
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return x ^ (x >>> 16)
}

/**
 * Visits the hash of each window, by its first token: two polynomials over the mixed ids, rolled along.
 *
 * @param length tokens a window, at least 1
 */
export function eachWindow(tokens: ArrayLike<number>, length: number, visit: (high: number, low: number, first: number) => void): void {
  let highest1 = 1
  let highest2 = 1
  for (let i = 1; i < length; i++) {
    highest1 = Math.imul(highest1, base1)
    highest2 = Math.imul(highest2, base2)
  }
  let hash1 = 0
  let hash2 = 0
  for (let i = 0; i < tokens.length; i++) {
    if (i >= length) {
      const oldest = mix(tokens[i - length])
      hash1 = (hash1 - Math.imul(oldest, highest1)) | 0
      hash2 = (hash2 - Math.imul(oldest, highest2)) | 0
    }
    const mixed = mix(tokens[i])
    hash1 = (Math.imul(hash1, base1) + mixed) | 0
    hash2 = (Math.imul(hash2, base2) + mixed) | 0
    if (i >= length - 1) visit(mix(hash1) >>> 0, mix(hash2) >>> 0, i - length + 1)
  }
}

/** Ranges of tokens [start, end) that windows cover, merged. @param firsts first tokens, ascending */
export function coveredRanges(firsts: readonly number[], length: number): (readonly [start: number, end: number])[] {
  const ranges: [number, number][] = []
  for (const first of firsts) {
    const last = ranges.at(-1)
    if (last && first <= last[1]) last[1] = first + length
    else ranges.push([first, first + length])
  }
  return ranges
}

/**
 * UTF-8 without ranges of it. A range that begins or ends within a character leaves the whole character.
 *
 * @param ranges [start, end) in bytes, ascending, apart
 */
export function withoutRanges(utf8: Uint8Array, ranges: readonly (readonly [start: number, end: number])[]): string {
  const isWithin = (byte: number) => byte < utf8.length && (utf8[byte] & 0xc0) === 0x80
  const kept: Uint8Array[] = []
  let from = 0
  for (const [rangeStart, rangeEnd] of ranges) {
    let start = rangeStart
    while (isWithin(start)) start++
    let end = rangeEnd
    while (end > start && isWithin(end)) end--
    kept.push(utf8.subarray(from, start))
    from = Math.max(start, end)
  }
  kept.push(utf8.subarray(from))
  return Buffer.concat(kept).toString('utf8')
}
