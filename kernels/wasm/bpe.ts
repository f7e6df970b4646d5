// asc: --initialMemory 2
// Byte-pair encoding of UTF-8 text in one pass: cuts pieces, looks each up in a cache, and merges those that are not there.
// Plain TypeScript beside it: src/tokenizer/pretokenize.ts and src/tokenizer/bpe.ts, whose names and rules are kept.
//
// Why it is fast. Of a page's pieces nine in ten or more were seen a moment ago. A piece of up to 31 bytes is loaded as two
// vectors, masked to its length, and compared with the one cache line that it can lie in, whose other half holds its ids:
// these are stored by two vector instructions whatever their number, so that the usual piece takes no branch on its length.

/** Longer pieces are left to the caller: it has a heap. */
export const LONGEST_PIECE: u32 = 96
const CACHED_BYTES: u32 = 31
const CACHED_IDS: u32 = 7
const SLOT_BYTES: u32 = 64
/** The host writes its tables from here on. */
export const TABLES: usize = 0x11000
/** 32 bytes of ones, then 32 of zeros: the mask of a length begins 32 − length behind the start. */
const MASKS: usize = 0x10000
/** i32[96] each. */
const SYMBOLS: usize = 0x10100
const RANKS: usize = 0x10400
const NO_RANK: u32 = 0x7fffffff

let classes: usize
let bytes: usize
let starts: usize
let vocabulary: usize
let vocabularyMask: u32
let merges: usize
let mergeMask: u32
let merged: usize
let cache: usize
let cacheMask: u32
let byteIds: usize
/** Where encode stopped: the end of the text, or the start of a piece that is too long; that piece's end. */
export let stoppedAt: usize
export let pieceEnd: usize

/** Places of the tables, all in bytes. Slots of vocabulary (u32) and merges (4 × u32) are powers of two, zeroed; the cache too. */
export function place(
  classesAt: usize,
  bytesAt: usize,
  startsAt: usize,
  vocabularyAt: usize,
  vocabularySlots: u32,
  mergesAt: usize,
  mergeSlots: u32,
  mergedAt: usize,
  cacheAt: usize,
  cacheSlots: u32,
  byteIdsAt: usize,
): void {
  classes = classesAt
  bytes = bytesAt
  starts = startsAt
  vocabulary = vocabularyAt
  vocabularyMask = vocabularySlots - 1
  merges = mergesAt
  mergeMask = mergeSlots - 1
  merged = mergedAt
  cache = cacheAt
  cacheMask = cacheSlots - 1
  byteIds = byteIdsAt
  memory.fill(MASKS, 0xff, 32)
  memory.fill(MASKS + 32, 0, 32)
}

/** Fills the vocabulary's slots with the tokens that have bytes. */
export function addTokens(tokens: u32): void {
  for (let id: u32 = 0; id < tokens; id++) {
    const from = load<u32>(starts + 4 * id)
    const to = load<u32>(starts + 4 * id + 4)
    if (to === from) continue
    let i = hashBytes(bytes + from, bytes + to) & vocabularyMask
    while (load<u32>(vocabulary + 4 * i) !== 0) i = (i + 1) & vocabularyMask
    store<u32>(vocabulary + 4 * i, id + 1)
  }
}

/** Fills the merges' slots; `triples` is u32[3 × count], by rank. */
export function addMerges(triples: usize, count: u32): void {
  for (let rank: u32 = 0; rank < count; rank++) {
    const at = triples + 12 * rank
    const slot = mergeSlot(load<u32>(at), load<u32>(at + 4))
    store<u32>(slot, load<u32>(at) + 1)
    store<u32>(slot + 4, load<u32>(at + 4))
    store<u32>(slot + 8, rank)
    store<u32>(merged + 4 * rank, load<u32>(at + 8))
  }
}

/**
 * Encodes UTF-8 that the byte 0xff follows, and 32 more that may be read. Returns the end of the ids written from `out` on
 * (u32; up to 32 bytes behind them may be written too). Every byte of the text must have an id.
 */
export function encode(pattern: u32, text: usize, end: usize, out: usize): usize {
  let at = text
  while (at < end) {
    const next = scan(pattern, at)
    const length = <u32>(next - at)
    if (length <= CACHED_BYTES) out = encodeCached(at, length, out)
    else if (length <= LONGEST_PIECE) out = encodeWhole(at, length, out)
    else {
      pieceEnd = next
      break
    }
    at = next
  }
  stoppedAt = at
  return out
}

// ---- pieces to ids ----

// @ts-ignore: decorator
@inline
function encodeCached(at: usize, length: u32, out: usize): usize {
  const mask = MASKS + 32 - length
  const low = v128.and(v128.load(at), v128.load(mask))
  const high = i8x16.replace_lane(v128.and(v128.load(at + 16), v128.load(mask + 16)), 15, <i8>length)
  let hash = i64x2.extract_lane(low, 0) * 0x9e3779b97f4a7c15
  hash ^= (i64x2.extract_lane(low, 1) + (hash >>> 29)) * 0xc2b2ae3d27d4eb4f
  hash ^= (i64x2.extract_lane(high, 0) + i64x2.extract_lane(high, 1) + (hash >>> 31)) * 0x165667b19e3779f9
  const slot = cache + (<u32>(<u64>hash >>> 40) & cacheMask) * SLOT_BYTES
  const difference = v128.or(v128.xor(low, v128.load(slot)), v128.xor(high, v128.load(slot, 16)))
  if (v128.any_true(difference)) fill(slot, low, high, at, length)
  const count = load<u32>(slot, 32)
  if (count > CACHED_IDS) return encodeWhole(at, length, out)
  v128.store(out, v128.load(slot, 36))
  v128.store(out, v128.load(slot, 48), 12)
  return out + 4 * count
}

/** Encodes the piece into the slot, through the slot's own 28 bytes where its ids fit. */
function fill(slot: usize, low: v128, high: v128, at: usize, length: u32): void {
  v128.store(slot, low)
  v128.store(slot, high, 16)
  const id = findToken(at, length)
  if (id >= 0) {
    store<u32>(slot, 1, 32)
    store<u32>(slot, id, 36)
    return
  }
  const n = merge(at, length)
  store<u32>(slot, n, 32)
  if (n <= CACHED_IDS) memory.copy(slot + 36, SYMBOLS, 4 * n)
}

function encodeWhole(at: usize, length: u32, out: usize): usize {
  const id = findToken(at, length)
  if (id >= 0) {
    store<u32>(out, id)
    return out + 4
  }
  const n = merge(at, length)
  memory.copy(out, SYMBOLS, 4 * n)
  return out + 4 * n
}

function findToken(at: usize, length: u32): i32 {
  let i = hashBytes(at, at + length) & vocabularyMask
  while (true) {
    const id = load<i32>(vocabulary + 4 * i) - 1
    if (id < 0) return id
    const from = load<u32>(starts + 4 * id)
    if (load<u32>(starts + 4 * id + 4) - from === length && memory.compare(bytes + from, at, length) === 0) return id
    i = (i + 1) & vocabularyMask
  }
}

/** Merges the piece in SYMBOLS and returns how many are left. */
function merge(at: usize, length: u32): u32 {
  let n = length
  for (let i: u32 = 0; i < n; i++) store<u32>(SYMBOLS + 4 * i, load<u32>(byteIds + 4 * load<u8>(at + i)))
  for (let i: u32 = 0; i + 1 < n; i++) store<u32>(RANKS + 4 * i, rankAt(i))
  while (n > 1) {
    let best: u32 = 0
    let bestRank = load<u32>(RANKS)
    for (let i: u32 = 1; i + 1 < n; i++) {
      const rank = load<u32>(RANKS + 4 * i)
      if (rank < bestRank) {
        best = i
        bestRank = rank
      }
    }
    if (bestRank === NO_RANK) break
    store<u32>(SYMBOLS + 4 * best, load<u32>(merged + 4 * bestRank))
    n--
    const moved = n - best - 1
    memory.copy(SYMBOLS + 4 * best + 4, SYMBOLS + 4 * best + 8, 4 * moved)
    memory.copy(RANKS + 4 * best + 4, RANKS + 4 * best + 8, 4 * moved)
    if (best + 1 < n) store<u32>(RANKS + 4 * best, rankAt(best))
    if (best > 0) store<u32>(RANKS + 4 * best - 4, rankAt(best - 1))
  }
  return n
}

/** Rank of the symbols i and i + 1. */
// @ts-ignore: decorator
@inline
function rankAt(i: u32): u32 {
  const slot = mergeSlot(load<u32>(SYMBOLS + 4 * i), load<u32>(SYMBOLS + 4 * i + 4))
  return load<u32>(slot) === 0 ? NO_RANK : load<u32>(slot, 8)
}

/** The slot of a pair, or the empty one where it would go: left + 1, right, rank, unused. */
// @ts-ignore: decorator
@inline
function mergeSlot(left: u32, right: u32): usize {
  let hash = (left * 0x9e3779b1) ^ (right * 0x85ebca6b)
  hash ^= hash >>> 15
  let i = hash & mergeMask
  while (true) {
    const slot = merges + 16 * <usize>i
    const found = load<u32>(slot)
    if (found === 0 || (found === left + 1 && load<u32>(slot, 4) === right)) return slot
    i = (i + 1) & mergeMask
  }
}

// @ts-ignore: decorator
@inline
function hashBytes(from: usize, to: usize): u32 {
  let hash = <u32>(to - from)
  for (let at = from; at < to; at++) hash = (hash ^ load<u8>(at)) * 0x9e3779b1
  return hash ^ (hash >>> 15)
}

// ---- text to pieces: see pretokenize.ts ----

const LETTER: u32 = 7
const CASELESS: u32 = 4
const LOWER: u32 = 1
const UPPER: u32 = 2
const MARK: u32 = 8
const NUMBER: u32 = 16
const NEWLINE: u32 = 64
const SPACE: u32 = 96
const SYMBOL: u32 = 136
const SENTINEL: u32 = 0xff

/** Patterns by number: gpt2, gpt4, gpt4o, llama3, qwen2. */
// @ts-ignore: decorator
@inline
function scan(pattern: u32, at: usize): usize {
  if (pattern === 0) return scanGpt2(at)
  if (pattern === 2) return scanGpt4o(at)
  return scanGpt4(at, pattern === 4 ? 1 : 3, pattern === 1)
}

// @ts-ignore: decorator
@inline
function classAt(at: usize): u32 {
  const lead = <u32>load<u8>(at)
  return lead < 0x80 ? load<u8>(classes + lead) : wideClassAt(at, lead)
}

function wideClassAt(at: usize, lead: u32): u32 {
  if (lead < 0xe0) return load<u8>(classes + (((lead & 0x1f) << 6) | tail(at, 1)))
  if (lead < 0xf0) return load<u8>(classes + (((lead & 0x0f) << 12) | (tail(at, 1) << 6) | tail(at, 2)))
  if (lead === SENTINEL) return 0
  return load<u8>(classes + (((lead & 0x07) << 18) | (tail(at, 1) << 12) | (tail(at, 2) << 6) | tail(at, 3)))
}

// @ts-ignore: decorator
@inline
function tail(at: usize, i: usize): u32 {
  return load<u8>(at + i) & 0x3f
}

// @ts-ignore: decorator
@inline
function widthAt(at: usize): usize {
  const lead = <u32>load<u8>(at)
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
}

function runEnd(start: usize, mask: u32): usize {
  let at = start
  while (true) {
    const lead = <u32>load<u8>(at)
    if (lead < 0x80) {
      if ((load<u8>(classes + lead) & mask) === 0) return at
      at++
    } else {
      if ((wideClassAt(at, lead) & mask) === 0) return at
      at += lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
    }
  }
}

/** runEnd of LETTER. Runs of fewer than 16 ASCII letters, the usual word, take no branch on their length. */
// @ts-ignore: decorator
@inline
function lettersEnd(start: usize): usize {
  const lowered = v128.or(v128.load(start), i8x16.splat(0x20))
  const end = start + alphabeticBytes(lowered)
  return end < start + 16 && load<u8>(end) < 0x80 ? end : runEnd(start, LETTER)
}

/** How many of the first bytes are between a and z; 16 where all are. */
// @ts-ignore: decorator
@inline
function alphabeticBytes(vector: v128): u32 {
  return ctz(~i8x16.bitmask(i8x16.lt_u(i8x16.sub(vector, i8x16.splat(0x61)), i8x16.splat(26))))
}

// @ts-ignore: decorator
@inline
function before(end: usize): usize {
  let at = end - 1
  while ((load<u8>(at) & 0xc0) === 0x80) at--
  return at
}

function blanksEnd(start: usize, end: usize): usize {
  if (load<u8>(end) === SENTINEL) return end
  const last = before(end)
  return last > start ? last : end
}

function lastNewlineEnd(start: usize, end: usize): usize {
  let at = end
  while (at > start && load<u8>(at - 1) !== 0x0a && load<u8>(at - 1) !== 0x0d) at--
  return at
}

function contractionEnd(at: usize): usize {
  const first = <u32>load<u8>(at + 1)
  if (first === 0x73 || first === 0x74 || first === 0x6d || first === 0x64) return at + 2
  const second = <u32>load<u8>(at + 2)
  if (second === 0x65 && (first === 0x72 || first === 0x76)) return at + 3
  return first === 0x6c && second === 0x6c ? at + 3 : at
}

function caselessContractionEnd(at: usize): usize {
  const raw = <u32>load<u8>(at + 1)
  if (raw >= 0x80) return raw === 0xc5 && load<u8>(at + 2) === 0xbf ? at + 3 : at
  const first = raw | 0x20
  if (first === 0x73 || first === 0x74 || first === 0x6d || first === 0x64) return at + 2
  const second = <u32>load<u8>(at + 2) | 0x20
  if (second === 0x65 && (first === 0x72 || first === 0x76)) return at + 3
  return first === 0x6c && second === 0x6c ? at + 3 : at
}

function scanGpt2(start: usize): usize {
  const lead = <u32>load<u8>(start)
  let at = start
  if (lead === 0x27) {
    const end = contractionEnd(start)
    if (end > start) return end
  } else if (lead === 0x20) at++
  const kind = classAt(at)
  if (kind & LETTER) return lettersEnd(at)
  if (kind & NUMBER) return runEnd(at, NUMBER)
  if (kind & SYMBOL) return runEnd(at, SYMBOL)
  return blanksEnd(start, runEnd(at, SPACE))
}

function scanGpt4(start: usize, digits: u32, keepsLastBlanks: bool): usize {
  const lead = <u32>load<u8>(start)
  if (lead === 0x27) {
    const end = caselessContractionEnd(start)
    if (end > start) return end
  }
  const kind = classAt(start)
  if (kind & LETTER) return lettersEnd(start)
  if (kind & NUMBER) return numberEnd(start, digits)
  let next = start + widthAt(start)
  if ((kind & NEWLINE) === 0) {
    const nextKind = classAt(next)
    if (nextKind & LETTER) return lettersEnd(next)
    if ((kind & SYMBOL) !== 0 || (lead === 0x20 && (nextKind & SYMBOL) !== 0)) {
      next = runEnd(next, SYMBOL)
      while (load<u8>(next) === 0x0a || load<u8>(next) === 0x0d) next++
      return next
    }
  }
  const end = runEnd(next, SPACE)
  if (keepsLastBlanks && load<u8>(end) === SENTINEL) return end
  const newlineEnd = lastNewlineEnd(start, end)
  return newlineEnd > start ? newlineEnd : blanksEnd(start, end)
}

function numberEnd(start: usize, digits: u32): usize {
  let at = start
  for (let i: u32 = 0; i < digits && (classAt(at) & NUMBER) !== 0; i++) at += widthAt(at)
  return at
}

function scanGpt4o(start: usize): usize {
  const lead = <u32>load<u8>(start)
  const kind = classAt(start)
  if (kind & NUMBER) return numberEnd(start, 3)
  const next = start + widthAt(start)
  if ((kind & NEWLINE) === 0) {
    const end = casedWordEnd(start, kind & LETTER ? start : next)
    if (end > start) return load<u8>(end) === 0x27 ? caselessContractionEnd(end) : end
    if ((kind & SYMBOL) !== 0 || (lead === 0x20 && (classAt(next) & SYMBOL) !== 0)) {
      let symbolsEnd = runEnd(next, SYMBOL)
      while (load<u8>(symbolsEnd) === 0x0a || load<u8>(symbolsEnd) === 0x0d || load<u8>(symbolsEnd) === 0x2f) symbolsEnd++
      return symbolsEnd
    }
  }
  const end = runEnd(next, SPACE)
  const newlineEnd = lastNewlineEnd(start, end)
  return newlineEnd > start ? newlineEnd : blanksEnd(start, end)
}

function casedWordEnd(start: usize, word: usize): usize {
  // The usual word: at most one ASCII capital, then small ASCII letters, then another ASCII character.
  const small = word + <usize>(<u32>load<u8>(word) - 0x41 < 26)
  const smallEnd = small + alphabeticBytes(v128.load(small))
  if (smallEnd > small && smallEnd < small + 16 && load<u8>(smallEnd) < 0x80) return smallEnd
  const upperEnd = runEnd(word, UPPER | CASELESS | MARK)
  const lowerEnd = runEnd(upperEnd, LOWER | CASELESS | MARK)
  if (lowerEnd > upperEnd) return lowerEnd
  for (let end = upperEnd; end > word; ) {
    const at = before(end)
    if (classAt(at) & (CASELESS | MARK)) return end
    end = at
  }
  if (word > start && (classAt(start) & MARK) !== 0) return word
  return upperEnd > word ? upperEnd : start
}
