// asc: --importMemory --sharedMemory --maximumMemory 65536
// N-gram language models in hash tables: Heafield 2011, "KenLM: Faster and Smaller Language Model Queries". The tables have
// the layout of KenLM's probing model, so that its binary files need no conversion; src/ngram/memory.ts says what lies where.
//
//   vocabulary   12 bytes an entry: u64 MurmurHash64A of the word (0: free), u32 its number; numbers count from 0, <unk>
//   1-grams       8 bytes: f32 log10 probability, f32 log10 backoff
//   middle orders 16 bytes: u64 key (0: free), probability, backoff
//   highest order 12 bytes: u64 key, probability
//
// A probability's sign bit is clear where a longer n-gram ends with this one (probabilities are never positive, so the bit is
// free), and a backoff of -0 says that no longer n-gram begins with it: both end a search early.

const HEADER: usize = 65536
const ORDER: usize = HEADER
const WORDS: usize = HEADER + 4
const VOCABULARY: usize = HEADER + 8
const VOCABULARY_BUCKETS: usize = HEADER + 16
const UNIGRAMS: usize = HEADER + 24
const BEGIN: usize = HEADER + 28
const END: usize = HEADER + 32
/** 24 bytes an order from 2 on: u32 address, u32 entries, u64 buckets. */
const TABLES: usize = HEADER + 64
const POWERS: usize = HEADER + 512
/** While a model is read: numbers of an n-gram's words, the last one first, and the keys of its ends of 1, 2, … words. */
const READ_WORDS: usize = HEADER + 1024
const READ_KEYS: usize = HEADER + 1152

/** In a thread's slot; a state holds u32 length, then words and backoffs, the last word's first. */
const STATES: usize = 0
const STATE_BYTES: usize = 96
const STATE_WORDS: usize = 8
const STATE_BACKOFFS: usize = 48
const CURRENT: usize = 192
const LINE_SCORE: usize = 196
const TOTAL_SCORE: usize = 200
const TOKENS: usize = 208
const UNKNOWN: usize = 212
const END_SCORE: usize = 216
const TEXT: usize = 256
const TOKEN_SCORES: usize = 256 + 32768 + 64

const SIGN: u32 = 0x80000000
/** As bits: no longer n-gram begins with this one. */
const NO_EXTENSION: u32 = 0x80000000

const MALFORMED: i32 = 1
const UNKNOWN_WORD: i32 = 2
const FULL: i32 = 3
const NO_CONTEXT: i32 = 4
const POSITIVE: i32 = 5
const TWICE: i32 = 6

// ---- hashes and tables ----

/** MurmurHash64A with seed 0, by Austin Appleby. */
function murmur(at: usize, bytes: u32): u64 {
  const m: u64 = 0xc6a4a7935bd1e995
  let h: u64 = <u64>bytes * m
  const end = at + (bytes & ~7)
  for (let p = at; p < end; p += 8) {
    let k = load<u64>(p) * m
    k ^= k >> 47
    h = (h ^ (k * m)) * m
  }
  const rest = bytes & 7
  if (rest != 0) {
    // What lies behind the word is masked away; the callers' buffers have room for it.
    h ^= load<u64>(end) & ((<u64>1 << (rest << 3)) - 1)
    h *= m
  }
  h ^= h >> 47
  h *= m
  return h ^ (h >> 47)
}

/** The key of an n-gram from that of its last n - 1 words and the word before them. */
// @ts-ignore: decorator
@inline
function combine(key: u64, word: u32): u64 {
  return (key * 8978948897894561157) ^ (<u64>(1 + word) * 17894857484156487943)
}

// @ts-ignore: decorator
@inline
function tableOf(n: u32): usize {
  return TABLES + 24 * <usize>(n - 2)
}

/** Address of the entry with that key, or of the free one where it belongs. */
// @ts-ignore: decorator
@inline
function probe(address: usize, buckets: u64, entryBytes: usize, key: u64): usize {
  const end = address + <usize>buckets * entryBytes
  const first = address + <usize>(key % buckets) * entryBytes
  let at = first
  while (true) {
    const found = load<u64>(at)
    if (found == key || found == 0) return at
    at += entryBytes
    if (at == end) at = address
    if (at == first) return at // a damaged file: a table always has room
  }
}

/** Address of the entry of order n with that key; 0 where there is none. */
// @ts-ignore: decorator
@inline
function find(n: u32, entryBytes: usize, key: u64): usize {
  const table = tableOf(n)
  const address = <usize>load<u32>(table)
  const buckets = load<u64>(table, 8)
  const first = address + <usize>(key % buckets) * entryBytes
  let at = first
  while (true) {
    const found = load<u64>(at)
    if (found == key) return at
    if (found == 0) return 0
    at += entryBytes
    if (at == address + <usize>buckets * entryBytes) at = address
    if (at == first) return 0
  }
}

/** As `find`, but makes an entry where there is none; 0 where the table is full. `isNew` is then true. */
let isNew: bool = false
function findOrInsert(n: u32, entryBytes: usize, key: u64): usize {
  const table = tableOf(n)
  const buckets = load<u64>(table, 8)
  const at = probe(<usize>load<u32>(table), buckets, entryBytes, key)
  isNew = load<u64>(at) != key
  if (!isNew) return at
  const entries = load<u32>(table, 4) + 1
  if (<u64>entries >= buckets) return 0
  store<u32>(table, entries, 4)
  store<u64>(at, key)
  return at
}

function wordOfHash(hash: u64): u32 {
  const at = probe(<usize>load<u32>(VOCABULARY), load<u64>(VOCABULARY_BUCKETS), 12, hash)
  if (load<u64>(at) != hash) return 0
  const word = load<u32>(at, 8)
  return word < load<u32>(WORDS) ? word : 0
}

/** Number of the word that stands at an address; 0 where the model does not know it. */
export function wordOf(at: usize, bytes: u32): u32 {
  return wordOfHash(murmur(at, bytes))
}

// ---- scoring ----

/** Begins a text: nothing is counted, and a line begins. */
export function begin(slot: usize): void {
  store<f64>(slot, 0, TOTAL_SCORE)
  store<u32>(slot, 0, TOKENS)
  store<u32>(slot, 0, UNKNOWN)
  beginLine(slot)
}

function beginLine(slot: usize): void {
  const word = load<u32>(BEGIN)
  store<u32>(slot, 0, CURRENT)
  store<f32>(slot, 0, LINE_SCORE)
  store<u32>(slot, load<u32>(ORDER) > 1 ? 1 : 0)
  store<u32>(slot, word, STATE_WORDS)
  store<u32>(slot, load<u32>(<usize>load<u32>(UNIGRAMS) + (<usize>word << 3), 4), STATE_BACKOFFS)
}

/** Ends a line with </s>. */
export function endLine(slot: usize): void {
  store<u32>(slot, load<u32>(slot, TOKENS) + 1, TOKENS)
  const end = step(slot, load<u32>(END))
  const score = load<f32>(slot, LINE_SCORE) + end
  store<f32>(slot, end, END_SCORE)
  store<f64>(slot, load<f64>(slot, TOTAL_SCORE) + <f64>score, TOTAL_SCORE)
  beginLine(slot)
}

/**
 * Scores the words of the slot's text; a line feed ends a line. Scores of a line are summed in single precision, as the
 * reference does. With `keepsTokens`, each word leaves f32 score and u32 (1 where it is unknown) in the slot.
 */
export function score(slot: usize, bytes: u32, keepsTokens: bool): u32 {
  const end = slot + TEXT + bytes
  store<u8>(end, 32) // ends the last word too
  let start = slot + TEXT
  let kept = slot + TOKEN_SCORES
  for (let block = start; block <= end; block += 64) {
    let blanks = blanksIn64(block)
    if (end - block < 63) blanks &= (<u64>2 << <u64>(end - block)) - 1
    for (; blanks != 0; blanks &= blanks - 1) {
      const at = block + <usize>ctz(blanks)
      if (at > start) {
        const word = wordOf(start, <u32>(at - start))
        const probability = step(slot, word)
        store<f32>(slot, load<f32>(slot, LINE_SCORE) + probability, LINE_SCORE)
        store<u32>(slot, load<u32>(slot, TOKENS) + 1, TOKENS)
        if (word == 0) store<u32>(slot, load<u32>(slot, UNKNOWN) + 1, UNKNOWN)
        if (keepsTokens) {
          store<f32>(kept, probability)
          store<u32>(kept, word == 0 ? 1 : 0, 4)
          kept += 8
        }
      }
      if (load<u8>(at) == 10) endLine(slot)
      start = at + 1
    }
  }
  return <u32>(kept - slot - TOKEN_SCORES) >> 3
}

/** A bit for each blank of 64 bytes: a branch for each byte would be guessed wrong at the end of every word. */
// @ts-ignore: decorator
@inline
function blanksIn64(at: usize): u64 {
  return blanksIn16(at) | (blanksIn16(at + 16) << 16) | (blanksIn16(at + 32) << 32) | (blanksIn16(at + 48) << 48)
}

// @ts-ignore: decorator
@inline
function blanksIn16(at: usize): u64 {
  const bytes = v128.load(at)
  const isSpace = i8x16.eq(bytes, i8x16.splat(32))
  const isControl = i8x16.lt_u(i8x16.sub(bytes, i8x16.splat(9)), i8x16.splat(5))
  return <u64>(<u32>i8x16.bitmask(v128.or(v128.or(isSpace, isControl), i8x16.eq(bytes, i8x16.splat(0)))))
}

/** log10 p(word | the slot's state), which moves on by the word. */
function step(slot: usize, word: u32): f32 {
  const order = load<u32>(ORDER)
  const current = load<u32>(slot, CURRENT)
  const from = slot + STATES + <usize>current * STATE_BYTES
  const to = slot + STATES + <usize>(1 - current) * STATE_BYTES
  const length = load<u32>(from)
  const unigram = <usize>load<u32>(UNIGRAMS) + (<usize>word << 3)
  let bits = load<u32>(unigram)
  let backoff = load<u32>(unigram, 4)
  store<u32>(to, word, STATE_WORDS)
  store<u32>(to, backoff, STATE_BACKOFFS)
  let nextLength: u32 = backoff != NO_EXTENSION && order > 1 ? 1 : 0
  let matched: u32 = 1
  let key = <u64>word
  for (let i: u32 = 0; i < length && (bits & SIGN) == 0; i++) {
    const before = load<u32>(from + (<usize>i << 2), STATE_WORDS)
    key = combine(key, before)
    const n = i + 2
    if (n == order) {
      const longest = find(n, 12, key)
      if (longest != 0) {
        bits = load<u32>(longest, 8)
        matched = n
      }
      break
    }
    const entry = find(n, 16, key)
    if (entry == 0) break
    bits = load<u32>(entry, 8)
    backoff = load<u32>(entry, 12)
    matched = n
    store<u32>(to + (<usize>(i + 1) << 2), before, STATE_WORDS)
    store<u32>(to + (<usize>(i + 1) << 2), backoff, STATE_BACKOFFS)
    if (backoff != NO_EXTENSION) nextLength = n
  }
  store<u32>(to, nextLength)
  store<u32>(slot, 1 - current, CURRENT)
  let probability = reinterpret<f32>(bits | SIGN)
  for (let i = matched - 1; i < length; i++) probability += load<f32>(from + (<usize>i << 2), STATE_BACKOFFS)
  return probability
}

// ---- reading a model ----

/** Adds a word of a known hash with its number; false where it is there already or the table is full. */
export function addWord(hash: u64, word: u32): bool {
  const buckets = load<u64>(VOCABULARY_BUCKETS)
  if (<u64>word + 1 > buckets) return false
  const at = probe(<usize>load<u32>(VOCABULARY), buckets, 12, hash)
  if (load<u64>(at) == hash) return false
  store<u64>(at, hash)
  store<u32>(at, word, 8)
  return true
}

/**
 * Adds an n-gram by the numbers of its words, given from the last to the first: this one, `word`, stands at place n - 1 and
 * those before it were given by calls with smaller n. For models whose probabilities already say whether they extend.
 */
export function addNode(n: u32, word: u32, probability: u32, backoff: u32): bool {
  const keys = READ_KEYS + (<usize>n << 3)
  if (n == 1) {
    const unigram = <usize>load<u32>(UNIGRAMS) + (<usize>word << 3)
    store<u32>(unigram, probability)
    store<u32>(unigram, backoff, 4)
    store<u64>(keys, <u64>word)
    return true
  }
  const key = combine(load<u64>(keys - 8), word)
  store<u64>(keys, key)
  const isLongest = n == load<u32>(ORDER)
  const entry = findOrInsert(n, isLongest ? 12 : 16, key)
  if (entry == 0) return false
  store<u32>(entry, probability, 8)
  if (!isLongest) store<u32>(entry, backoff, 12)
  return true
}

/** Where the line that is being read goes on, and the number that was read there. */
let cursor: usize = 0
let number: f64 = 0
let problem: i32 = 0
let linesRead: u32 = 0

/**
 * Adds the n-grams of ARPA lines, each ended by a line feed, until one is wrong or `most` are read.
 *
 * @returns address behind the last line that was read; `problemOf` and `linesOf` say more
 */
export function addLines(n: u32, at: usize, end: usize, most: u32): usize {
  problem = 0
  linesRead = 0
  cursor = at
  while (cursor < end && linesRead < most) {
    const line = cursor
    problem = n == 1 ? addUnigram() : addLonger(n)
    if (problem != 0) return line
    linesRead++
  }
  return cursor
}
export function problemOf(): i32 { return problem }
export function linesOf(): u32 { return linesRead }

function addUnigram(): i32 {
  let wrong = readProbability()
  if (wrong != 0) return wrong
  const probability = reinterpret<u32>(<f32>number) | SIGN
  const start = cursor
  const bytes = readWord()
  if (bytes == 0) return MALFORMED
  const hash = murmur(start, bytes)
  wrong = readBackoff(load<u32>(ORDER) == 1)
  if (wrong != 0) return wrong
  let word: u32 = 0
  if (hash != unknownHash && hash != unknownCapitalHash) {
    word = load<u32>(WORDS)
    if (<u64>word + 1 >= load<u64>(VOCABULARY_BUCKETS)) return FULL
    if (!addWord(hash, word)) return TWICE
    store<u32>(WORDS, word + 1)
  }
  const unigram = <usize>load<u32>(UNIGRAMS) + (<usize>word << 3)
  store<u32>(unigram, probability)
  store<u32>(unigram, backoffBits(), 4)
  return 0
}

/** Of "<unk>" and "<UNK>": both are the unknown word. */
let unknownHash: u64 = 0
let unknownCapitalHash: u64 = 0
export function setUnknown(at: usize, capitalAt: usize): void {
  unknownHash = murmur(at, 5)
  unknownCapitalHash = murmur(capitalAt, 5)
}

/** -0 where there is none, or where it is 0: what has the n-gram as its beginning will say so. */
function backoffBits(): u32 {
  return number == 0 ? NO_EXTENSION : reinterpret<u32>(<f32>number)
}

function addLonger(n: u32): i32 {
  let wrong = readProbability()
  if (wrong != 0) return wrong
  const probability = reinterpret<u32>(<f32>number) | SIGN
  for (let i: u32 = n; i > 0; i--) {
    const start = cursor
    const bytes = readWord()
    if (bytes == 0) return MALFORMED
    const hash = murmur(start, bytes)
    const word = wordOfHash(hash)
    if (word == 0 && hash != unknownHash && hash != unknownCapitalHash) return UNKNOWN_WORD
    store<u32>(READ_WORDS + (<usize>(i - 1) << 2), word)
  }
  const isLongest = n == load<u32>(ORDER)
  wrong = readBackoff(isLongest)
  if (wrong != 0) return wrong
  let key = <u64>load<u32>(READ_WORDS)
  store<u64>(READ_KEYS, key, 8)
  for (let i: u32 = 2; i <= n; i++) {
    key = combine(key, load<u32>(READ_WORDS + (<usize>(i - 1) << 2)))
    store<u64>(READ_KEYS + (<usize>i << 3), key)
  }
  const entry = findOrInsert(n, isLongest ? 12 : 16, key)
  if (entry == 0) return FULL
  if (!isNew) return TWICE
  store<u32>(entry, probability, 8)
  if (!isLongest) store<u32>(entry, backoffBits(), 12)
  if (!extendBeginning(n)) return NO_CONTEXT
  return extendEnds(n) ? 0 : FULL
}

/** Marks the first n - 1 words of the n-gram that was read as the beginning of a longer one. */
function extendBeginning(n: u32): bool {
  const context = contextEntry(n - 1)
  if (context == 0) return false
  markBeginning(context)
  return true
}

// @ts-ignore: decorator
@inline
function markBeginning(backoff: usize): void {
  if (load<u32>(backoff) == NO_EXTENSION) store<u32>(backoff, 0)
}

/** Address of the backoff of the `length` words before the last; 0 where there is no such n-gram. */
function contextEntry(length: u32): usize {
  let key = <u64>load<u32>(READ_WORDS, 4)
  if (length == 1) return <usize>load<u32>(UNIGRAMS) + (<usize>key << 3) + 4
  for (let i: u32 = 2; i <= length; i++) key = combine(key, load<u32>(READ_WORDS + (<usize>i << 2)))
  const entry = find(length, 16, key)
  return entry == 0 ? 0 : entry + 12
}

/**
 * Marks the last n - 1 words of the n-gram that was read as the end of a longer one. Where that n-gram was pruned away, as
 * SRILM does, it is made up, and with it all down to the longest that is there, each with the probability that backing off
 * gives: a search goes from short to long and would end at the gap.
 */
function extendEnds(n: u32): bool {
  let basis = n - 1
  for (; basis > 1; basis--) {
    const entry = findOrInsert(basis, 16, load<u64>(READ_KEYS + (<usize>basis << 3)))
    if (entry == 0) return false
    if (!isNew) break
    store<u32>(entry, NO_EXTENSION, 12)
  }
  let at = endEntry(basis)
  let probability = reinterpret<f32>(load<u32>(at) | SIGN)
  store<u32>(at, load<u32>(at) & ~SIGN)
  for (let length = basis + 1; length < n; length++) {
    const context = contextEntry(length - 1)
    if (context != 0) {
      markBeginning(context)
      probability += load<f32>(context)
    }
    at = endEntry(length)
    store<u32>(at, reinterpret<u32>(probability) & ~SIGN)
  }
  return true
}

/** Address of the probability of the last `length` words. */
function endEntry(length: u32): usize {
  if (length == 1) return <usize>load<u32>(UNIGRAMS) + (<usize>load<u32>(READ_WORDS) << 3)
  return find(length, 16, load<u64>(READ_KEYS + (<usize>length << 3))) + 8
}

/** A number that is not above 0, and the blanks behind it. */
function readProbability(): i32 {
  if (!readNumber()) return MALFORMED
  if (number > 0) return POSITIVE
  skipBlanks()
  return 0
}

/** The rest of a line: nothing, or a number, which the highest order must not have. */
function readBackoff(isLongest: bool): i32 {
  number = 0
  if (load<u8>(cursor) == 13) cursor++
  if (load<u8>(cursor) == 10) {
    cursor++
    return 0
  }
  if (!readNumber()) return MALFORMED
  if (isLongest && number != 0) return MALFORMED
  skipBlanks()
  if (load<u8>(cursor) != 10) return MALFORMED
  cursor++
  return 0
}

// @ts-ignore: decorator
@inline
function skipBlanks(): void {
  for (let byte = load<u8>(cursor); byte == 32 || byte == 9 || byte == 13; byte = load<u8>(cursor)) cursor++
}

/** Bytes of the word at the cursor, which goes behind it and the blanks that follow. */
function readWord(): u32 {
  const start = cursor
  for (let byte = load<u8>(cursor); byte != 32 && byte != 9 && byte != 10 && byte != 13; byte = load<u8>(cursor)) cursor++
  const bytes = <u32>(cursor - start)
  for (let byte = load<u8>(cursor); byte == 32 || byte == 9; byte = load<u8>(cursor)) cursor++
  return bytes
}

/** A decimal number, up to 19 digits of it exact; correctly rounded to a double where it has at most 15. */
function readNumber(): bool {
  let byte = load<u8>(cursor)
  const isNegative = byte == 45
  if (isNegative || byte == 43) byte = load<u8>(++cursor)
  let digits: u64 = 0
  let taken = 0
  let exponent = 0
  let isFraction = false
  let hasDigits = false
  for (; ; byte = load<u8>(++cursor)) {
    if (byte == 46 && !isFraction) {
      isFraction = true
      continue
    }
    const digit = <u32>byte - 48
    if (digit > 9) break
    hasDigits = true
    if (taken < 18) {
      digits = digits * 10 + <u64>digit
      if (digits != 0) taken++
      if (isFraction) exponent--
    } else if (!isFraction) exponent++
  }
  if (!hasDigits) return false
  if (byte == 101 || byte == 69) {
    byte = load<u8>(++cursor)
    const isSmaller = byte == 45
    if (isSmaller || byte == 43) byte = load<u8>(++cursor)
    let written = 0
    if (<u32>byte - 48 > 9) return false
    for (; <u32>byte - 48 <= 9; byte = load<u8>(++cursor)) written = min(1000, written * 10 + <i32>byte - 48)
    exponent += isSmaller ? -written : written
  }
  number = <f64>digits
  for (; exponent < -22; exponent += 22) number /= 1e22
  for (; exponent > 22 && number < 1e300; exponent -= 22) number *= 1e22
  if (exponent < 0) number /= load<f64>(POWERS + (<usize>-exponent << 3))
  else if (exponent > 0) number *= load<f64>(POWERS + (<usize>min(exponent, 22) << 3))
  if (isNegative) number = -number
  return true
}
