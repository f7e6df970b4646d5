// asc: --importMemory --sharedMemory --maximumMemory 65536 --memoryBase 8192 --disableWarning 201
// fastText over one shared memory (src/lang/fasttext-memory.ts lays it out): lines of text become rows of the input matrix,
// rows become a mean vector, and training changes both matrices in place, many threads at once without locks as the C++
// program does (Recht et al. 2011, Hogwild). Arithmetic in the order of the C++ program, but dot products run in lanes.
// Plain TypeScript beside it: src/lang/predict.ts.

import { addScaledRow, addToRows, averageRows, dot, exponentials } from './fasttext/vectors'

// ---- the model: words at a fixed address, the same for all threads ----

const MODEL: usize = 1024
// @ts-ignore: decorator
@inline
function model(index: usize): usize { return <usize>load<u32>(MODEL + (index << 2)) }

const DIMENSIONS: usize = 0
const WORD_NGRAMS: usize = 1
const SHORTEST: usize = 2
const LONGEST: usize = 3
const BUCKETS: usize = 4
const WORDS: usize = 5
const LABELS: usize = 6
const SLOTS: usize = 7 // a WordTable: i32[mask + 1]
const SLOT_MASK: usize = 8
const ENDS: usize = 9
const BYTES: usize = 10
const BITMAP: usize = 11 // a BucketRows, or 0: every bucket has its row
const BUCKET_ROWS: usize = 12
const INPUT: usize = 13
const OUTPUT: usize = 14
const LOSS: usize = 15
const NEGATIVES: usize = 16
const NEGATIVE_ENDS: usize = 17 // u32[labels]: exclusive end of each label's share of the table that negatives are drawn from
const PATH_STARTS: usize = 18 // u32[labels + 1]
const PATH_STEPS: usize = 19 // u32: inner node · 2 + whether the way to the leaf is its right side
const SIGMOID: usize = 20 // f32[513]
const LOGARITHM: usize = 21 // f32[513]
const PREFIX: usize = 22
const PREFIX_BYTES: usize = 23
const WORD_ROW_STARTS: usize = 24 // u32[words + 1], where n-grams of characters count: the rows of each known word
const WORD_ROWS: usize = 25

/** Training: learning rate f64, tokens of all epochs f32, tokens between two reports u32, tokens done i64, stop i32. */
const RATE: usize = 1280
const ALL_TOKENS: usize = 1288
const REPORT_TOKENS: usize = 1292
const TOKENS_DONE: usize = 1296
const STOP: usize = 1304

const HIERARCHICAL: u32 = 1
const NEGATIVE_SAMPLING: u32 = 2
const SOFTMAX: u32 = 3

// ---- a thread's scratch ----

const RANDOM: usize = 0
const PENDING_TOKENS: usize = 4
const LOSS_SUM: usize = 8
const EXAMPLES: usize = 16
const DIVERGED: usize = 24
export const LINE_ROWS: usize = 28
export const LINE_LABELS: usize = 32
export const LINE_TOKENS: usize = 36
const ROWS: usize = 40
const HASHES: usize = 44
const TARGETS: usize = 48
const HIDDEN: usize = 52
const GRADIENT: usize = 56
const SCORES: usize = 60

// @ts-ignore: decorator
@inline
function field(scratch: usize, offset: usize): usize { return <usize>load<u32>(scratch + offset) }

// ---- a line of text ----

const NEWLINE: u32 = 10
const SPACE: u32 = 32
const HASH_BASIS: u32 = 0x811c9dc5
const HASH_PRIME: u32 = 0x01000193
const END_OF_LINE_HASH: u32 = 3617362777 // of </s>
const NONE: i32 = -1

/** Space, \t, \n, \v, \f, \r and the zero byte: a bit each. */
// @ts-ignore: decorator
@inline
function isBlank(byte: u32): bool { return byte <= SPACE && (byte == SPACE || ((0b11111000000001 >> byte) & 1) != 0) }

// @ts-ignore: decorator
@inline
function hashByte(hash: u32, byte: u32): u32 { return (hash ^ <u32>(<i32>(byte << 24) >> 24)) * HASH_PRIME }

// @ts-ignore: decorator
@inline
function isContinuation(byte: u32): bool { return (byte & 0xc0) == 0x80 }

function isEndOfLine(at: usize, end: usize): bool {
  return end - at == 4 && load<u32>(at) == 0x3e732f3c
}

/**
 * Reads one line: tokens up to the end of the line, which is a token itself, or up to a written </s>. The bytes before `at`
 * and at `end` are the caller's, and are overwritten.
 *
 * @returns where the next line begins. The scratch has the numbers of rows, labels and tokens, and the rows and labels
 */
export function readLine(scratch: usize, at: usize, end: usize): usize {
  const hashes: usize = field(scratch, HASHES)
  const targets: usize = field(scratch, TARGETS)
  const words = <i32>model(WORDS)
  let rows: usize = field(scratch, ROWS)
  let hashCount: usize = 0
  let labels: usize = 0
  let tokens: u32 = 0
  let isOver = false
  while (!isOver && at < end) {
    const first: u32 = load<u8>(at)
    if (isBlank(first)) {
      at++
      if (first != NEWLINE) continue
      tokens++
      rows = addEndOfLine(rows)
      store<u32>(hashes + (hashCount++ << 2), END_OF_LINE_HASH)
      break
    }
    const start = at
    let hash = HASH_BASIS
    let byte = first
    do {
      hash = hashByte(hash, byte)
      byte = ++at < end ? load<u8>(at) : NEWLINE
    } while (!isBlank(byte))
    tokens++
    isOver = isEndOfLine(start, at)
    const id = findWord(start, at, hash)
    if (id >= words) store<i32>(targets + (labels++ << 2), id - words)
    else if (id >= 0 || !startsWithPrefix(start, at)) {
      rows = isOver ? addEndOfLine(rows) : addWord(rows, id, start, at)
      store<u32>(hashes + (hashCount++ << 2), hash)
    }
  }
  if (model(WORD_NGRAMS) > 1) rows = addWordNgrams(rows, hashes, hashCount)
  store<u32>(scratch, <u32>((rows - field(scratch, ROWS)) >> 2), LINE_ROWS)
  store<u32>(scratch, <u32>labels, LINE_LABELS)
  store<u32>(scratch, tokens, LINE_TOKENS)
  return at
}

function startsWithPrefix(start: usize, end: usize): bool {
  const length: usize = model(PREFIX_BYTES)
  if (end - start < length) return false
  const prefix: usize = model(PREFIX)
  for (let i: usize = 0; i < length; i++) if (load<u8>(start + i) != load<u8>(prefix + i)) return false
  return true
}

function findWord(start: usize, end: usize, hash: u32): i32 {
  const slots: usize = model(SLOTS)
  const mask = model(SLOT_MASK)
  const ends: usize = model(ENDS)
  const bytes: usize = model(BYTES)
  for (let slot = (hash ^ (hash >> 15)) & mask; ; slot = (slot + 1) & mask) {
    const entry = load<u32>(slots + (<usize>slot << 2))
    const word = <i32>(entry & mask) - 1
    if (word < 0) return NONE
    if (((entry ^ hash) & ~mask) != 0) continue
    const from = load<u32>(ends + (<usize>word << 2))
    if (load<u32>(ends + (<usize>word << 2), 4) - from != <u32>(end - start)) continue
    let own = bytes + from
    let i = start
    while (i < end && load<u8>(own) == load<u8>(i)) { own++; i++ }
    if (i == end) return word
  }
  return NONE // never reached: a table has free slots
}

function addEndOfLine(rows: usize): usize {
  const word = <i32>model(WORDS)
  const id = endOfLineWord()
  if (id < 0 || id >= word) return rows
  store<i32>(rows, id)
  return rows + 4
}

/** Written by the host beside the model: what </s> is, or -1. */
const END_WORD: usize = 1312
// @ts-ignore: decorator
@inline
function endOfLineWord(): i32 { return load<i32>(END_WORD) }

/** The rows of one word: its own, where it is known, then those of its n-grams of characters. */
function addWord(rows: usize, id: i32, start: usize, end: usize): usize {
  if (model(LONGEST) == 0) {
    if (id < 0) return rows
    store<i32>(rows, id)
    return rows + 4
  }
  if (id < 0) return addCharacterNgrams(rows, start, end)
  const starts: usize = model(WORD_ROW_STARTS) + (<usize>id << 2)
  const from: usize = load<u32>(starts)
  const bytes: usize = (<usize>load<u32>(starts, 4) - from) << 2
  memory.copy(rows, model(WORD_ROWS) + (from << 2), bytes)
  return rows + bytes
}

/**
 * Rows of the n-grams of a word between its borders < and >. The byte before the word is not needed any more; the one
 * after it is put back.
 */
export function addCharacterNgrams(rows: usize, start: usize, end: usize): usize {
  const shortest = model(SHORTEST)
  const longest = model(LONGEST)
  const buckets = model(BUCKETS)
  const before = start - 1
  const stop = end + 1
  const kept = load<u8>(end)
  store<u8>(before, 60)
  store<u8>(end, 62)
  for (let from = before; from < stop; from++) {
    if (isContinuation(load<u8>(from))) continue
    let hash = HASH_BASIS
    let at = from
    for (let length: u32 = 1; at < stop && length <= longest; length++) {
      do hash = hashByte(hash, load<u8>(at))
      while (++at < stop && isContinuation(load<u8>(at)))
      // A border alone says nothing.
      if (length < shortest || (length == 1 && (from == before || at == stop))) continue
      rows = addBucket(rows, hash % buckets)
    }
  }
  store<u8>(end, kept)
  return rows
}

function addWordNgrams(rows: usize, hashes: usize, count: usize): usize {
  const longest: usize = model(WORD_NGRAMS)
  const buckets: u64 = model(BUCKETS)
  for (let i: usize = 0; i < count; i++) {
    let hash: u64 = <u64>(<i64>load<i32>(hashes + (i << 2)))
    const stop = min(count, i + longest)
    for (let j = i + 1; j < stop; j++) {
      hash = hash * 116049371 + <u64>(<i64>load<i32>(hashes + (j << 2)))
      rows = addBucket(rows, <u32>(hash % buckets))
    }
  }
  return rows
}

function addBucket(rows: usize, bucket: u32): usize {
  const bitmap: usize = model(BITMAP)
  let row = bucket
  if (bitmap != 0) {
    const at = bitmap + (<usize>(bucket >> 5) << 3)
    const bits = load<u32>(at)
    const bit: u32 = 1 << (bucket & 31)
    if ((bits & bit) == 0) return rows
    row = load<u32>(model(BUCKET_ROWS) + (<usize>(load<u32>(at, 4) + popcnt<u32>(bits & (bit - 1))) << 2))
  }
  store<u32>(rows, model(WORDS) + row)
  return rows + 4
}

/** The mean of the line's rows, into the scratch's hidden vector. */
export function averageLine(scratch: usize): void {
  averageRows(model(INPUT), field(scratch, ROWS), field(scratch, LINE_ROWS), model(DIMENSIONS), field(scratch, HIDDEN))
}

// ---- random numbers as libstdc++ draws them ----

const RANDOM_MODULUS: u64 = 2147483647

// @ts-ignore: decorator
@inline
function next(state: u32): u32 { return <u32>((<u64>state * 48271) % RANDOM_MODULUS) }

/** minstd_rand, as uniform_int_distribution(0, count - 1) scales it: by division, what is left over drawn again. */
function drawBelow(scratch: usize, count: u32): u32 {
  const scaling = <u32>(RANDOM_MODULUS - 2) / count
  const past = scaling * count
  let state = field(scratch, RANDOM)
  do state = next(state)
  while (state - 1 >= past)
  store<u32>(scratch, state, RANDOM)
  return (state - 1) / scaling
}

/** f32[count] from uniform_real_distribution<double>(-limit, limit): two numbers of minstd_rand(seed) make one. */
export function fillUniform(at: usize, count: u32, limit: f32, seed: u32): void {
  const range: f64 = <f64>(RANDOM_MODULUS - 1)
  const width = <f64>limit * 2
  let state = seed % <u32>RANDOM_MODULUS
  if (state == 0) state = 1
  for (let end = at + (<usize>count << 2); at < end; at += 4) {
    state = next(state)
    let sum = <f64>(state - 1)
    state = next(state)
    sum += <f64>(state - 1) * range
    store<f32>(at, <f32>(sum / (range * range) * width - <f64>limit))
  }
}

// ---- training ----

/**
 * Trains on the lines of a block, at rates that follow how many tokens all threads have done.
 *
 * @returns false once all epochs are done, the stop word is set, or a product was not a number
 */
export function trainLines(scratch: usize, at: usize, end: usize): bool {
  const all = load<f32>(ALL_TOKENS)
  const rate = load<f64>(RATE)
  const reportTokens = load<u32>(REPORT_TOKENS)
  while (at < end) {
    const done = atomic.load<i64>(TOKENS_DONE)
    if (<f32>done >= all || atomic.load<i32>(STOP) != 0) return false
    const progress: f32 = <f32>done / all
    at = readLine(scratch, at, end)
    if (field(scratch, LINE_ROWS) != 0 && field(scratch, LINE_LABELS) != 0) {
      if (!trainLine(scratch, <f32>(rate * (1.0 - <f64>progress)))) return false
    }
    const pending = field(scratch, PENDING_TOKENS) + field(scratch, LINE_TOKENS)
    const reports = pending > reportTokens
    if (reports) atomic.add<i64>(TOKENS_DONE, pending)
    store<u32>(scratch, reports ? 0 : pending, PENDING_TOKENS)
  }
  return true
}

function trainLine(scratch: usize, rate: f32): bool {
  const dimensions = model(DIMENSIONS)
  const count = field(scratch, LINE_ROWS)
  const gradient: usize = field(scratch, GRADIENT)
  averageLine(scratch)
  memory.fill(gradient, 0, <usize>dimensions << 2)
  const loss = backward(scratch, rate)
  if (loss != loss) {
    store<u32>(scratch, 1, DIVERGED)
    return false
  }
  store<f64>(scratch, load<f64>(scratch, LOSS_SUM) + loss, LOSS_SUM)
  store<f64>(scratch, load<f64>(scratch, EXAMPLES) + 1, EXAMPLES)
  addToRows(model(INPUT), field(scratch, ROWS), count, dimensions, gradient, <f32>(1.0 / <f64>count))
  return true
}

/** Changes the output matrix, fills the gradient, and gives the loss. */
function backward(scratch: usize, rate: f32): f64 {
  const loss = model(LOSS)
  const targets: usize = field(scratch, TARGETS)
  const targetCount = field(scratch, LINE_LABELS)
  if (loss < HIERARCHICAL || loss > SOFTMAX) return oneVsAll(scratch, targets, targetCount, rate)
  const target = load<u32>(targets + (<usize>drawBelow(scratch, targetCount) << 2))
  if (loss == SOFTMAX) return softmax(scratch, target, rate)
  return loss == HIERARCHICAL ? hierarchical(scratch, target, rate) : negativeSampling(scratch, target, rate)
}

// @ts-ignore: decorator
@inline
function outputRow(row: u32): usize { return model(OUTPUT) + ((<usize>row * model(DIMENSIONS)) << 2) }

function softmax(scratch: usize, target: u32, rate: f32): f64 {
  const labels = model(LABELS)
  const dimensions = model(DIMENSIONS)
  const hidden: usize = field(scratch, HIDDEN)
  const scores: usize = field(scratch, SCORES)
  const gradient: usize = field(scratch, GRADIENT)
  let largest: f32 = -Infinity
  for (let i: u32 = 0; i < labels; i++) {
    const score = dot(outputRow(i), hidden, dimensions)
    if (score != score) return NaN
    store<f32>(scores + (<usize>i << 2), score)
    largest = max(largest, score)
  }
  const scale: f32 = 1 / exponentials(scores, labels, largest)
  for (let i: u32 = 0; i < labels; i++) {
    const wanted: f32 = i == target ? 1 : 0
    const change = rate * (wanted - load<f32>(scores + (<usize>i << 2)) * scale)
    addScaledRow(gradient, outputRow(i), hidden, change, dimensions)
  }
  return -logarithm(load<f32>(scores + (<usize>target << 2)) * scale)
}

function hierarchical(scratch: usize, target: u32, rate: f32): f64 {
  const starts: usize = model(PATH_STARTS) + (<usize>target << 2)
  const steps: usize = model(PATH_STEPS)
  let loss: f64 = 0
  for (let i: usize = load<u32>(starts), stop: usize = load<u32>(starts, 4); i < stop; i++) {
    const step = load<u32>(steps + (i << 2))
    loss += binary(scratch, step >> 1, (step & 1) != 0, rate)
  }
  return loss
}

function negativeSampling(scratch: usize, target: u32, rate: f32): f64 {
  let loss = binary(scratch, target, true, rate)
  for (let n = model(NEGATIVES); n > 0; n--) {
    let negative = drawNegative(scratch)
    while (negative == target) negative = drawNegative(scratch)
    loss += binary(scratch, negative, false, rate)
  }
  return loss
}

/** By bisection: the label in whose share of the table a number falls. */
function drawNegative(scratch: usize): u32 {
  const ends: usize = model(NEGATIVE_ENDS)
  let low: u32 = 0
  let high: u32 = model(LABELS) - 1
  const drawn = drawBelow(scratch, load<u32>(ends + (<usize>high << 2)))
  while (low < high) {
    const middle = (low + high) >> 1
    if (load<u32>(ends + (<usize>middle << 2)) > drawn) high = middle
    else low = middle + 1
  }
  return low
}

function oneVsAll(scratch: usize, targets: usize, targetCount: u32, rate: f32): f64 {
  let loss: f64 = 0
  for (let i: u32 = 0; i < model(LABELS); i++) {
    let isTarget = false
    for (let t: u32 = 0; t < targetCount; t++) if (load<u32>(targets + (<usize>t << 2)) == i) isTarget = true
    loss += binary(scratch, i, isTarget, rate)
  }
  return loss
}

/** One logistic regression: the row is drawn to the line, or pushed away. */
function binary(scratch: usize, row: u32, isPositive: bool, rate: f32): f64 {
  const dimensions = model(DIMENSIONS)
  const hidden: usize = field(scratch, HIDDEN)
  const at = outputRow(row)
  const x = dot(at, hidden, dimensions)
  if (x != x) return NaN
  const score = sigmoid(x)
  addScaledRow(field(scratch, GRADIENT), at, hidden, rate * ((isPositive ? <f32>1 : <f32>0) - score), dimensions)
  return -logarithm(isPositive ? score : <f32>1 - score)
}

/** Looked up at the next lower of 512 steps from -8 to 8. */
function sigmoid(x: f32): f32 {
  if (x < -8) return 0
  if (x > 8) return 1
  return load<f32>(model(SIGMOID) + (<usize>((x + 8) * 512 / 8 / 2) << 2))
}

function logarithm(x: f32): f64 {
  return x > 1 ? 0 : load<f32>(model(LOGARITHM) + (<usize>(x * 512) << 2))
}
