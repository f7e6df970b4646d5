// asc: --initialMemory 3
// MinHash from words to signature: hashes every window of words and keeps, per permutation, the least
// ((x·a + b) mod 2^64) mod (2^61 − 1). Plain TypeScript beside it: src/dedup/minhash.ts and src/dedup/hash.ts.
//
// Why the loops are short. With M = 2^61 − 1 and h = x·a + b mod 2^64, h mod M is (h & M) + (h >>> 61), less M where that
// reaches M: never below h & M, except where h & M is within 8 of 2^61. So t = 8h + 64 mod 2^64 = x·(8a) + (8b + 64) is a
// lower bound that wraps around to nearly nothing in just those cases, and t < 8·minimum + 64 is the only test that each
// pair of shingle and permutation needs. It fails for all but about ln(shingles) of them; the others are computed in full.
// In 32 bits the low half of h decides in the same way, and four permutations share one vector instruction.

/** u32[64]: start of each of the last words, by word ordinal mod window. */
const RING: usize = 0x10000
/** u64[256]: hashed shingles that wait for the permutations. */
const BLOCK: usize = 0x10100
const BLOCK_SHINGLES: u32 = 256
const BEGUN_SHINGLES: u32 = 64
/** u32[80]: message schedule of SHA-1; the block itself in the 64 bytes behind. */
const SCHEDULE: usize = 0x10900
const SHA_BLOCK: usize = 0x10a80
/** Six arrays of u64[hashes]: a, b, factor, addend, limit, minimum. The host writes a and b. */
export const PARAMETERS: usize = 0x11000
/** u64[bands]. */
export const BANDS: usize = 0x1d000
/** Text as UTF-8, to the end of the memory. */
export const TEXT: usize = 0x20000

const M: u64 = (1 << 61) - 1
const XXH64: u32 = 0
const XXH32: u32 = 1
const SHA1_64: u32 = 2
const SHA1_32: u32 = 3

// ---- hashes ----

const P1: u64 = 0x9e3779b185ebca87
const P2: u64 = 0xc2b2ae3d27d4eb4f
const P3: u64 = 0x165667b19e3779f9
const P4: u64 = 0x85ebca77c2b2ae63
const P5: u64 = 0x27d4eb2f165667c5

// @ts-ignore: decorator
@inline
function round64(accumulator: u64, lane: u64): u64 {
  return rotl<u64>(accumulator + lane * P2, 31) * P1
}

// @ts-ignore: decorator
@inline
function fold64(hash: u64, accumulator: u64): u64 {
  return (hash ^ round64(0, accumulator)) * P1 + P4
}

// @ts-ignore: decorator
@inline
function step8(hash: u64, p: usize): u64 {
  return rotl<u64>(hash ^ round64(0, load<u64>(p)), 27) * P1 + P4
}

// @ts-ignore: decorator
@inline
function step1(hash: u64, p: usize): u64 {
  return rotl<u64>(hash ^ (<u64>load<u8>(p) * P5), 11) * P1
}

// @ts-ignore: decorator
@inline
function chosen(hash: u64, next: u64, isChosen: bool): u64 {
  return hash ^ ((hash ^ next) & (0 - <u64>isChosen))
}

/**
 * XXH64 of fewer than 32 bytes, seed 0. All steps are computed and those that the length calls for are kept: lengths of
 * shingles vary too much for a processor to foresee branches on them. Reads up to 31 bytes behind the end.
 */
function xxh64Short(at: usize, bytes: u32): u64 {
  let hash: u64 = P5 + bytes
  hash = chosen(hash, step8(hash, at), bytes >= 8)
  hash = chosen(hash, step8(hash, at + 8), bytes >= 16)
  hash = chosen(hash, step8(hash, at + 16), bytes >= 24)
  let p = at + (bytes & ~7)
  hash = chosen(hash, rotl<u64>(hash ^ (<u64>load<u32>(p) * P1), 23) * P2 + P3, (bytes & 4) != 0)
  p = at + (bytes & ~3)
  const rest = bytes & 3
  hash = chosen(hash, step1(hash, p), rest > 0)
  hash = chosen(hash, step1(hash, p + 1), rest > 1)
  hash = chosen(hash, step1(hash, p + 2), rest > 2)
  return avalanche64(hash)
}

// @ts-ignore: decorator
@inline
function avalanche64(hash: u64): u64 {
  hash = (hash ^ (hash >> 33)) * P2
  hash = (hash ^ (hash >> 29)) * P3
  return hash ^ (hash >> 32)
}

/** XXH64 of bytes, seed 0. */
export function xxh64(at: usize, bytes: u32): u64 {
  let p = at
  const end = at + bytes
  let hash: u64
  if (bytes >= 32) {
    let v1: u64 = P1 + P2
    let v2: u64 = P2
    let v3: u64 = 0
    let v4: u64 = 0 - P1
    const last = end - 32
    do {
      v1 = round64(v1, load<u64>(p))
      v2 = round64(v2, load<u64>(p, 8))
      v3 = round64(v3, load<u64>(p, 16))
      v4 = round64(v4, load<u64>(p, 24))
      p += 32
    } while (p <= last)
    hash = rotl<u64>(v1, 1) + rotl<u64>(v2, 7) + rotl<u64>(v3, 12) + rotl<u64>(v4, 18)
    hash = fold64(fold64(fold64(fold64(hash, v1), v2), v3), v4)
  } else {
    hash = P5
  }
  hash += bytes
  while (p + 8 <= end) {
    hash = step8(hash, p)
    p += 8
  }
  if (p + 4 <= end) {
    hash = rotl<u64>(hash ^ (<u64>load<u32>(p) * P1), 23) * P2 + P3
    p += 4
  }
  while (p < end) {
    hash = step1(hash, p)
    p++
  }
  return avalanche64(hash)
}

const Q1: u32 = 0x9e3779b1
const Q2: u32 = 0x85ebca77
const Q3: u32 = 0xc2b2ae3d
const Q4: u32 = 0x27d4eb2f
const Q5: u32 = 0x165667b1

/** XXH32 of bytes, seed 0. */
export function xxh32(at: usize, bytes: u32): u32 {
  let p = at
  const end = at + bytes
  let hash: u32
  if (bytes >= 16) {
    let v1: u32 = Q1 + Q2
    let v2: u32 = Q2
    let v3: u32 = 0
    let v4: u32 = 0 - Q1
    const last = end - 16
    do {
      v1 = rotl<u32>(v1 + load<u32>(p) * Q2, 13) * Q1
      v2 = rotl<u32>(v2 + load<u32>(p, 4) * Q2, 13) * Q1
      v3 = rotl<u32>(v3 + load<u32>(p, 8) * Q2, 13) * Q1
      v4 = rotl<u32>(v4 + load<u32>(p, 12) * Q2, 13) * Q1
      p += 16
    } while (p <= last)
    hash = rotl<u32>(v1, 1) + rotl<u32>(v2, 7) + rotl<u32>(v3, 12) + rotl<u32>(v4, 18)
  } else {
    hash = Q5
  }
  hash += bytes
  while (p + 4 <= end) {
    hash = rotl<u32>(hash + load<u32>(p) * Q3, 17) * Q4
    p += 4
  }
  while (p < end) {
    hash = rotl<u32>(hash + <u32>load<u8>(p) * Q5, 11) * Q1
    p++
  }
  hash = (hash ^ (hash >> 15)) * Q2
  hash = (hash ^ (hash >> 13)) * Q3
  return hash ^ (hash >> 16)
}

let h0: u32 = 0
let h1: u32 = 0
let h2: u32 = 0
let h3: u32 = 0
let h4: u32 = 0

function sha1Block(at: usize): void {
  for (let i: u32 = 0; i < 16; i++) store<u32>(SCHEDULE + (i << 2), bswap<u32>(load<u32>(at + (i << 2))))
  for (let i: u32 = 16; i < 80; i++) {
    const w = SCHEDULE + (i << 2)
    store<u32>(w, rotl<u32>(load<u32>(w - 12) ^ load<u32>(w - 32) ^ load<u32>(w - 56) ^ load<u32>(w - 64), 1))
  }
  let a = h0
  let b = h1
  let c = h2
  let d = h3
  let e = h4
  for (let i: u32 = 0; i < 80; i++) {
    let f: u32
    if (i < 20) f = (d ^ (b & (c ^ d))) + 0x5a827999
    else if (i < 40) f = (b ^ c ^ d) + 0x6ed9eba1
    else if (i < 60) f = ((b & c) | (d & (b | c))) + 0x8f1bbcdc
    else f = (b ^ c ^ d) + 0xca62c1d6
    const next = rotl<u32>(a, 5) + f + e + load<u32>(SCHEDULE + (i << 2))
    e = d
    d = c
    c = rotl<u32>(b, 30)
    b = a
    a = next
  }
  h0 += a
  h1 += b
  h2 += c
  h3 += d
  h4 += e
}

/** The first 8 bytes of SHA-1, read little-endian. */
export function sha1(at: usize, bytes: u32): u64 {
  h0 = 0x67452301
  h1 = 0xefcdab89
  h2 = 0x98badcfe
  h3 = 0x10325476
  h4 = 0xc3d2e1f0
  let p = at
  let left = bytes
  for (; left >= 64; left -= 64, p += 64) sha1Block(p)
  memory.fill(SHA_BLOCK, 0, 64)
  memory.copy(SHA_BLOCK, p, left)
  store<u8>(SHA_BLOCK + left, 0x80)
  if (left >= 56) {
    sha1Block(SHA_BLOCK)
    memory.fill(SHA_BLOCK, 0, 64)
  }
  store<u64>(SHA_BLOCK + 56, bswap<u64>((<u64>bytes) << 3))
  sha1Block(SHA_BLOCK)
  return (<u64>bswap<u32>(h1) << 32) | bswap<u32>(h0)
}

function hashBytes(kind: u32, at: usize, bytes: u32): u64 {
  if (kind == XXH64) return bytes < 32 ? xxh64Short(at, bytes) : xxh64(at, bytes)
  if (kind == XXH32) return xxh32(at, bytes)
  if (kind == SHA1_64) return sha1(at, bytes)
  return sha1(at, bytes) & 0xffffffff
}

// ---- signatures ----

/** Derives what the loops need from a and b. `hashes` is a multiple of 8. */
export function prepare(hashes: u32, bits: u32): void {
  const bytes: usize = hashes << 3
  for (let k: usize = 0; k < hashes; k++) {
    const at = PARAMETERS + (k << 3)
    const a = load<u64>(at)
    const b = load<u64>(at + bytes)
    if (bits == 64) {
      store<u64>(at + 2 * bytes, a << 3)
      store<u64>(at + 3 * bytes, (b << 3) + 64)
    } else {
      store<u32>(PARAMETERS + 2 * bytes + (k << 2), <u32>a)
      store<u32>(PARAMETERS + 3 * bytes + (k << 2), <u32>b + 8)
    }
  }
}

/** Bytes of words by id, the blank behind each included. `starts` is u32[ids + 1], offsets into the words' bytes. */
export function measureWords(ids: usize, count: u32, starts: usize): u32 {
  let bytes: u32 = 0
  for (let i: u32 = 0; i < count; i++) {
    const start = starts + (<usize>load<u32>(ids + (<usize>i << 2)) << 2)
    bytes += load<u32>(start, 4) - load<u32>(start)
  }
  return bytes
}

/** Writes words by id one after another. Copies 16 bytes at a time, so up to 15 behind the end are overwritten. */
export function joinWords(ids: usize, count: u32, starts: usize, words: usize, text: usize): void {
  let out = text
  for (let i: u32 = 0; i < count; i++) {
    const start = starts + (<usize>load<u32>(ids + (<usize>i << 2)) << 2)
    const first = <usize>load<u32>(start)
    const bytes = <usize>load<u32>(start, 4) - first
    if (bytes <= 16) v128.store(out, v128.load(words + first))
    else memory.copy(out, words + first, bytes)
    out += bytes
  }
}

/**
 * Signs words that stand in memory as UTF-8, one blank between two.
 *
 * @param text at or behind TEXT
 * @param window words a shingle, at most 64
 * @param kind of hash: 0 xxh64, 1 xxh32, 2 and 3 the first 8 and 4 bytes of SHA-1. 1 and 3 sign in 32 bits
 * @param hashes as given to `prepare`; the minima end up in the sixth array, all ones where there is no shingle
 * @returns the number of words
 */
export function sign(text: usize, textBytes: u32, window: u32, kind: u32, hashes: u32): u32 {
  memory.fill(PARAMETERS + 32 * hashes, 255, 16 * hashes)
  if (textBytes == 0) return 0
  const bits: u32 = kind == XXH32 || kind == SHA1_32 ? 32 : 64
  // A blank ends the last word too. Blanks are found 64 bytes at a time: a branch for each byte would be guessed wrong at
  // the end of every word.
  store<u8>(text + textBytes, 32)
  let words: u32 = 0
  let slot: u32 = 0
  let waiting: u32 = 0
  let isFirstBlock = true
  store<u32>(RING, <u32>text)
  for (let block: u32 = 0; block <= textBytes; block += 64) {
    let blanks = blanksIn64(text + block)
    if (textBytes - block < 63) blanks &= (<u64>2 << (textBytes - block)) - 1
    for (; blanks != 0; blanks &= blanks - 1) {
      const end = text + block + <usize>ctz(blanks)
      slot = slot + 1 == window ? 0 : slot + 1
      if (++words >= window) {
        // The slot that the next word will take holds the start of the oldest of these.
        const start = <usize>load<u32>(RING + (slot << 2))
        store<u64>(BLOCK + (waiting << 3), hashBytes(kind, start, <u32>(end - start)))
        if (++waiting == BLOCK_SHINGLES) {
          lower(waiting, hashes, bits, isFirstBlock)
          waiting = 0
          isFirstBlock = false
        }
      }
      store<u32>(RING + (slot << 2), <u32>end + 1)
    }
  }
  if (waiting > 0) lower(waiting, hashes, bits, isFirstBlock)
  return words
}

// @ts-ignore: decorator
@inline
function blanksIn16(at: usize): u64 {
  return <u64>(<u32>i8x16.bitmask(i8x16.eq(v128.load(at), i8x16.splat(32))))
}

// @ts-ignore: decorator
@inline
function blanksIn64(at: usize): u64 {
  return blanksIn16(at) | (blanksIn16(at + 16) << 16) | (blanksIn16(at + 32) << 32) | (blanksIn16(at + 48) << 48)
}

/**
 * Lowers the minima by the block's shingles. In a document's first block, limits are set beforehand from the least bound
 * of the first shingles, without a branch: else each minimum would be lowered and its limit reloaded several times.
 */
function lower(shingles: u32, hashes: u32, bits: u32, isFirstBlock: bool): void {
  const begun = shingles < BEGUN_SHINGLES ? shingles : BEGUN_SHINGLES
  if (bits == 64) {
    if (isFirstBlock) begin64(begun, hashes)
    lower64(shingles, hashes)
  } else {
    if (isFirstBlock) begin32(begun, hashes)
    lower32(shingles, hashes)
  }
}

/** A bound t says that the value is at most 56/8 above it: past the least t by 64, nothing can be the minimum. */
function begin64(shingles: u32, hashes: u32): void {
  const bytes: usize = hashes << 3
  const end = BLOCK + (shingles << 3)
  for (let k: u32 = 0; k < hashes; k += 2) {
    const at = PARAMETERS + 2 * bytes + (k << 3)
    const factor0 = load<u64>(at)
    const factor1 = load<u64>(at, 8)
    const addend0 = load<u64>(at + bytes)
    const addend1 = load<u64>(at + bytes, 8)
    let least0: u64 = u64.MAX_VALUE
    let least1: u64 = u64.MAX_VALUE
    for (let p = BLOCK; p < end; p += 8) {
      const x = load<u64>(p)
      const t0 = x * factor0 + addend0
      const t1 = x * factor1 + addend1
      least0 = t0 < least0 ? t0 : least0
      least1 = t1 < least1 ? t1 : least1
    }
    store<u64>(at + 2 * bytes, limitAfter64(least0))
    store<u64>(at + 2 * bytes, limitAfter64(least1), 8)
  }
}

/** Where the bound wrapped around it says nothing. */
// @ts-ignore: decorator
@inline
function limitAfter64(least: u64): u64 {
  return least < 64 || least > u64.MAX_VALUE - 64 ? u64.MAX_VALUE : least + 64
}

function begin32(shingles: u32, hashes: u32): void {
  const bytes: usize = hashes << 3
  const end = BLOCK + (shingles << 3)
  const eight = i32x4.splat(8)
  const all = i32x4.splat(-1)
  for (let k: u32 = 0; k < hashes; k += 4) {
    const at = PARAMETERS + 2 * bytes + (k << 2)
    const factor = v128.load(at)
    const addend = v128.load(at + bytes)
    let least = all
    for (let p = BLOCK; p < end; p += 8) least = i32x4.min_u(least, i32x4.add(i32x4.mul(v128.load32_splat(p), factor), addend))
    // As in 64 bits: everything is a candidate where the least bound wrapped around, or is within 8 of 2^32.
    const raised = i32x4.add(least, eight)
    const saysNothing = v128.or(i32x4.lt_u(least, eight), i32x4.lt_u(raised, eight))
    v128.store(at + 2 * bytes, v128.or(raised, saysNothing))
  }
}

/** Four permutations at a time, so that their constants stay in registers while the shingles pass. */
function lower64(shingles: u32, hashes: u32): void {
  const bytes: usize = hashes << 3
  const end = BLOCK + (shingles << 3)
  for (let k: u32 = 0; k < hashes; k += 4) {
    const at = PARAMETERS + 2 * bytes + (k << 3)
    const factor0 = load<u64>(at)
    const factor1 = load<u64>(at, 8)
    const factor2 = load<u64>(at, 16)
    const factor3 = load<u64>(at, 24)
    const addend0 = load<u64>(at + bytes)
    const addend1 = load<u64>(at + bytes, 8)
    const addend2 = load<u64>(at + bytes, 16)
    const addend3 = load<u64>(at + bytes, 24)
    let limit0 = load<u64>(at + 2 * bytes)
    let limit1 = load<u64>(at + 2 * bytes, 8)
    let limit2 = load<u64>(at + 2 * bytes, 16)
    let limit3 = load<u64>(at + 2 * bytes, 24)
    for (let p = BLOCK; p < end; p += 8) {
      const x = load<u64>(p)
      if (x * factor0 + addend0 < limit0) limit0 = lowerOne64(x, k, bytes)
      if (x * factor1 + addend1 < limit1) limit1 = lowerOne64(x, k + 1, bytes)
      if (x * factor2 + addend2 < limit2) limit2 = lowerOne64(x, k + 2, bytes)
      if (x * factor3 + addend3 < limit3) limit3 = lowerOne64(x, k + 3, bytes)
    }
    store<u64>(at + 2 * bytes, limit0)
    store<u64>(at + 2 * bytes, limit1, 8)
    store<u64>(at + 2 * bytes, limit2, 16)
    store<u64>(at + 2 * bytes, limit3, 24)
  }
}

// @ts-ignore: decorator
@inline
function permute(x: u64, a: u64, b: u64): u64 {
  const h = x * a + b
  const folded = (h & M) + (h >> 61)
  return folded >= M ? folded - M : folded
}

/** Computes one value in full, keeps it where it is the least, and gives the limit for the values to come. */
function lowerOne64(x: u64, k: u32, bytes: usize): u64 {
  const at = PARAMETERS + (k << 3)
  const value = permute(x, load<u64>(at), load<u64>(at + bytes))
  let minimum = load<u64>(at + 5 * bytes)
  if (value < minimum) {
    minimum = value
    store<u64>(at + 5 * bytes, value)
  }
  // Where 8·minimum + 64 would pass 2^64, everything is a candidate; the bounds are multiples of 8, so none equals 2^64 − 1.
  return minimum >= M - 8 ? u64.MAX_VALUE : (minimum << 3) + 64
}

function lower32(shingles: u32, hashes: u32): void {
  const bytes: usize = hashes << 3
  const end = BLOCK + (shingles << 3)
  for (let k: u32 = 0; k < hashes; k += 8) {
    const at = PARAMETERS + 2 * bytes + (k << 2)
    const factor0 = v128.load(at)
    const factor1 = v128.load(at, 16)
    const addend0 = v128.load(at + bytes)
    const addend1 = v128.load(at + bytes, 16)
    let limit0 = v128.load(at + 2 * bytes)
    let limit1 = v128.load(at + 2 * bytes, 16)
    for (let p = BLOCK; p < end; p += 8) {
      const x = v128.load32_splat(p)
      const below0 = i32x4.le_u(i32x4.add(i32x4.mul(x, factor0), addend0), limit0)
      const below1 = i32x4.le_u(i32x4.add(i32x4.mul(x, factor1), addend1), limit1)
      if (!v128.any_true(v128.or(below0, below1))) continue
      let lanes = i32x4.bitmask(below0) | (i32x4.bitmask(below1) << 4)
      do {
        lowerOne32(load<u64>(p), k + ctz(lanes), bytes)
        lanes &= lanes - 1
      } while (lanes != 0)
      limit0 = v128.load(at + 2 * bytes)
      limit1 = v128.load(at + 2 * bytes, 16)
    }
  }
}

/** As `lowerOne64`; the limit, inclusive here, goes into memory. Minima are u64 with an empty upper half, all ones at first. */
function lowerOne32(x: u64, k: u32, bytes: usize): void {
  const at = PARAMETERS + (k << 3)
  const value = permute(x, load<u64>(at), load<u64>(at + bytes)) & 0xffffffff
  if (value >= load<u64>(at + 5 * bytes)) return
  store<u64>(at + 5 * bytes, value)
  store<u32>(PARAMETERS + 4 * bytes + (k << 2), value > 0xfffffff8 ? 0xffffffff : <u32>value + 7)
}

/** xxh64 of each band's values, 8 bytes a value, into BANDS. */
export function hashBands(bands: u32, hashesPerBand: u32, hashes: u32): void {
  const minima = PARAMETERS + 40 * hashes
  for (let band: u32 = 0; band < bands; band++) {
    store<u64>(BANDS + (band << 3), xxh64(minima + ((band * hashesPerBand) << 3), hashesPerBand << 3))
  }
}

/** xxh64 of TEXT's first bytes into BANDS, where the host reads it as two words: a u64 would arrive as a BigInt. */
export function hashText(bytes: u32): void {
  store<u64>(BANDS, xxh64(TEXT, bytes))
}
