// The quality signals of RedPajama-v2: Weber et al. 2024, arxiv.org/abs/2411.12372, as its program computes them
// (togethercomputer/RedPajama-Data, commit 6d2cee9, app/src/core/quality_signals): the same names, numbers and rounding.
// Blanks cut a text into chunks, and nearly all signals are sums over what each chunk is by itself; so one pass looks chunks
// up among those met before, and only the n-grams, the entropy and the sentences are worked out anew.

import { codePointLength, countOccurrences, isBlank, strip } from '../text/characters.ts'
import { countNumeric, countUppercase, isWordCharacter } from '../text/kinds.ts'
import { isText, Lexicon } from '../text/lexicon.ts'
import { WordGrams } from '../text/repeats.ts'
import { roundTo } from './rounding.ts'

export interface SignalLists {
  /** Undefined where the language has no list: the signal is NaN. */
  readonly stopWords: ReadonlySet<string> | undefined
  /** Entries of a block list: words, and phrases with single spaces between their words. */
  readonly badWords: readonly string[]
}

export type RedPajamaSignals = Readonly<ReturnType<typeof signalsOf>>

/**
 * A function that measures texts with these lists. Signals of lines are in the order of lines; NaN where the reference has
 * None: where there is no word, or no line, to share among.
 */
export function redPajamaMeter(lists: SignalLists): (text: string) => RedPajamaSignals {
  const chunks = new Chunks(lists)
  return (text) => signalsOf(text, countChunks(text, chunks), lists.stopWords !== undefined)
}

/** Where each line starts and ends, in code points: the spans that the reference writes before a line's score. */
export function lineSpans(text: string): [start: number, end: number][] {
  let start = 0
  const lines = text.split(/(?<=\n)/)
  return lines.filter((line) => line !== '').map((line) => [start, (start += codePointLength(line))])
}

// ---- the signals, of sums ----

function signalsOf(text: string, sums: Sums, hasStopWords: boolean) {
  const { lines, words, ids, lexicon, rawWords } = sums
  const grams = new WordGrams({ ids, lexicon, sentenceEnds: noEnds })
  const { characters } = grams
  const counts = countEqual(ids, lexicon.words.length)
  const top = (n: number) => {
    const gram = grams.mostFrequent(n)
    return gram === undefined || gram.count <= 1 ? 0 : round8((gram.characters * gram.count) / characters)
  }
  const duplicate = (n: number) => (words < n ? 0 : round8(grams.charactersInRepeated(n) / characters))
  return {
    rps_doc_curly_bracket: sums.brackets === 0 ? 0 : round8(sums.brackets / sums.characters),
    rps_doc_ldnoobw_words: sums.badWords,
    rps_doc_lorem_ipsum: sums.loremIpsum === 0 ? 0 : round8(sums.loremIpsum / (characters + words - 1)),
    rps_doc_stop_word_fraction: !hasStopWords ? Number.NaN : words === 0 ? 0 : round8(sums.stopWords / rawWords),
    rps_doc_symbol_to_word_ratio: round8(sums.symbols / rawWords),
    rps_doc_frac_no_alph_words: round8(1 - sums.withLetter / rawWords),
    rps_doc_frac_all_caps_words: round8(sums.capitals / rawWords),
    rps_doc_word_count: words,
    rps_doc_mean_word_length: round8(characters / words),
    rps_doc_frac_unique_words: round8(counts.length / words),
    rps_doc_unigram_entropy: words === 0 ? Number.NaN : round8(entropy(counts, words)),
    rps_doc_num_sentences: countSentences(text),
    rps_doc_frac_lines_end_with_ellipsis: round8(lines.ellipses / lines.numWords.length),
    rps_doc_frac_chars_top_2gram: top(2),
    rps_doc_frac_chars_top_3gram: top(3),
    rps_doc_frac_chars_top_4gram: top(4),
    rps_doc_frac_chars_dupe_5grams: duplicate(5),
    rps_doc_frac_chars_dupe_6grams: duplicate(6),
    rps_doc_frac_chars_dupe_7grams: duplicate(7),
    rps_doc_frac_chars_dupe_8grams: duplicate(8),
    rps_doc_frac_chars_dupe_9grams: duplicate(9),
    rps_doc_frac_chars_dupe_10grams: duplicate(10),
    rps_lines_ending_with_terminal_punctution_mark: lines.ended, // spelt so by the reference
    rps_lines_javascript_counts: lines.javascript,
    rps_lines_num_words: lines.numWords,
    rps_lines_numerical_chars_fraction: lines.numerical,
    rps_lines_start_with_bulletpoint: lines.bullets,
    rps_lines_uppercase_letter_fraction: lines.uppercase,
  }
}

const noEnds = new Int32Array(0)

// Reused between texts: 1 + the place of an id among the distinct ones, or 0.
let places = new Int32Array(1 << 12)

/** How often each distinct id occurs, in order of first occurrence. */
function countEqual(ids: Int32Array, idCount: number): number[] {
  if (places.length < idCount) places = new Int32Array(idCount * 2)
  const counts: number[] = []
  for (const id of ids) {
    if (places[id] === 0) places[id] = counts.push(0)
    counts[places[id] - 1]++
  }
  for (const id of ids) places[id] = 0
  return counts
}

function entropy(counts: readonly number[], total: number): number {
  let sum = 0
  for (const count of counts) sum += (-count / total) * Math.log(count / total)
  return sum
}

/** Matches of `\b[^.!?]+[.!?]*`: a sentence starts where a word starts or ends, and not with a mark. */
function countSentences(text: string): number {
  const length = text.length
  let sentences = 0
  let wasWord = false
  for (let i = 0; i < length; ) {
    const unit = text.charCodeAt(i)
    const isPair = (unit & 0xfc00) === 0xd800
    const isWord = isWordCharacter(isPair ? (text.codePointAt(i) ?? 0) : unit)
    if (isWord === wasWord || isMark(unit)) {
      wasWord = isWord
      i += isPair ? 2 : 1
      continue
    }
    sentences++
    while (i < length && !isMark(text.charCodeAt(i))) i++
    while (i < length && isMark(text.charCodeAt(i))) i++
    wasWord = false
  }
  return sentences
}

function isMark(unit: number): boolean {
  return unit === 0x2e || unit === 0x21 || unit === 0x3f
}

const round8 = (value: number) => roundTo(value, 8)

// ---- one pass over the chunks ----

/** What a text sums up to. */
interface Sums {
  characters: number
  rawWords: number
  stopWords: number
  withLetter: number
  capitals: number
  symbols: number
  brackets: number
  words: number
  /** Of the words; borrowed until the next text. */
  ids: Int32Array
  readonly lexicon: Lexicon
  badWords: number
  loremIpsum: number
  readonly lines: LineSums
}

/** A number for each line, and how many end with an ellipsis. */
interface LineSums {
  readonly ended: number[]
  readonly javascript: number[]
  readonly numWords: number[]
  readonly numerical: number[]
  readonly bullets: number[]
  readonly uppercase: number[]
  ellipses: number
}

/** What may go on in the next word. */
interface Begun {
  /** Bad phrases, and the place of the word that would go on with each. */
  phrases: { readonly words: readonly string[]; readonly next: number }[]
  loremIpsum: boolean
}

// Reused between texts; large enough for one word a unit.
let idBuffer = new Int32Array(1 << 15)

function countChunks(text: string, chunks: Chunks): Sums {
  chunks.begin()
  if (idBuffer.length < text.length) idBuffer = new Int32Array(text.length * 2)
  const sums: Sums = {
    characters: 0,
    rawWords: 0,
    stopWords: 0,
    withLetter: 0,
    capitals: 0,
    symbols: 0,
    brackets: 0,
    words: 0,
    ids: idBuffer,
    lexicon: chunks.lexicon,
    badWords: 0,
    loremIpsum: 0,
    lines: { ended: [], javascript: [], numWords: [], numerical: [], bullets: [], uppercase: [], ellipses: 0 },
  }
  const begun: Begun = { phrases: [], loremIpsum: false }
  for (let start = 0; start < text.length; ) start = countLine(text, start, chunks, sums, begun)
  sums.ids = sums.ids.subarray(0, sums.words)
  return sums
}

/** @returns where the next line starts: behind "\n" */
function countLine(text: string, start: number, chunks: Chunks, sums: Sums, begun: Begun): number {
  const length = text.length
  const wordsBefore = sums.words
  let first: Chunk | undefined
  let last: Chunk | undefined
  let characters = 0
  let uppercase = 0
  let wordCharacters = 0
  let numeric = 0
  let javascript = 0
  let i = start
  while (i < length) {
    let unit = text.charCodeAt(i)
    if (isBlank(unit)) {
      characters++
      i++
      if (unit === 10) break
      continue
    }
    const chunkStart = i
    let hash = 0
    for (; i < length && !isBlank(unit); unit = text.charCodeAt(++i)) hash = (Math.imul(hash, 0x01000193) + unit) | 0
    const chunk = chunks.get(text, chunkStart, i, hash)
    first ??= chunk
    last = chunk
    characters += chunk.characters
    uppercase += chunk.uppercase
    addRawWords(sums, chunk)
    if (chunk.word === '') continue
    sums.ids[sums.words++] = chunk.id
    wordCharacters += chunk.wordCharacters
    numeric += chunk.numeric
    if (chunk.word === 'javascript') javascript++
    if (chunk.isSpecial || begun.phrases.length > 0 || begun.loremIpsum) lookAt(chunk, sums, begun)
  }
  const { lines } = sums
  const words = sums.words - wordsBefore
  sums.characters += characters
  lines.ended.push(Number(last?.endsSentence ?? false))
  lines.bullets.push(Number(first?.isBullet ?? false))
  if (last?.endsWithEllipsis) lines.ellipses++
  lines.javascript.push(javascript)
  lines.numWords.push(words)
  lines.numerical.push(words === 0 ? 0 : round8(numeric / (wordCharacters + words - 1)))
  lines.uppercase.push(round8(uppercase / characters))
  return i
}

function addRawWords(sums: Sums, chunk: Chunk): void {
  sums.rawWords += chunk.rawWords
  sums.stopWords += chunk.stopWords
  sums.withLetter += chunk.withLetter
  sums.capitals += chunk.capitals
  sums.symbols += chunk.symbols
  sums.brackets += chunk.brackets
}

/** For bad words and phrases, and lorem ipsum. */
function lookAt({ word, isBad, phrases }: Chunk, sums: Sums, begun: Begun): void {
  if (begun.loremIpsum && word.startsWith('ipsum')) sums.loremIpsum++
  begun.loremIpsum = word.endsWith('lorem')
  if (isBad) sums.badWords++
  const before = begun.phrases
  begun.phrases = phrases.map((words) => ({ words, next: 1 }))
  for (const { words, next } of before) {
    if (words[next] !== word) continue
    if (next + 1 === words.length) sums.badWords++
    else begun.phrases.push({ words, next: next + 1 })
  }
}

// ---- chunks ----

/** A stretch without blanks. Its word is what is left in lower case without ASCII punctuation; its raw words are runs of letters and digits, and of other signs. */
interface Chunk {
  readonly text: string
  readonly hash: number
  characters: number
  uppercase: number
  rawWords: number
  stopWords: number
  /** Raw words with a letter from A to Z; raw words in capitals. */
  withLetter: number
  capitals: number
  symbols: number
  brackets: number
  readonly isBullet: boolean
  readonly endsSentence: boolean
  readonly endsWithEllipsis: boolean
  /** Empty where nothing is left. */
  readonly word: string
  readonly id: number
  readonly wordCharacters: number
  readonly numeric: number
  readonly isBad: boolean
  /** Bad phrases that begin with the word. */
  readonly phrases: readonly (readonly string[])[]
  /** Bad, or begins something. */
  readonly isSpecial: boolean
}

/** Longer chunks are not remembered, nor more than so many. */
const LONGEST_CHUNK = 64
const MOST_CHUNKS = 1 << 17

const asciiPunctuation = /[!-/:-@[-`{-~]+/g
const nonAscii = /[^\0-\x7f]/
const rawWord = /[\p{L}\p{N}_]+|[^\p{L}\p{N}_]+/gu
const capital = /\p{Uppercase}/u
const notCapital = /[\p{Lowercase}\p{Lt}]/u

class Chunks {
  lexicon = new Lexicon()
  readonly #known: Chunk[] = []
  /** Open addressing, at most half full: 1 + the place among the known ones, or 0. */
  readonly #slots = new Int32Array(MOST_CHUNKS * 2)
  readonly #stopWords: ReadonlySet<string>
  readonly #badWords = new Set<string>()
  readonly #badPhrases = new Map<string, string[][]>()

  /** Quirk of the reference: entries are not normalized as the text is, so one with an accent or a hyphen is never found. */
  constructor({ stopWords, badWords }: SignalLists) {
    this.#stopWords = stopWords ?? new Set()
    for (const entry of new Set(badWords.map(strip))) {
      const words = entry.split(' ')
      if (words.length === 1) this.#badWords.add(entry)
      else this.#badPhrases.set(words[0], [...(this.#badPhrases.get(words[0]) ?? []), words])
    }
  }

  /** Before each text: what is remembered is a cache, and is dropped where it has grown large. */
  begin(): void {
    if (!this.lexicon.isFull && this.#known.length < MOST_CHUNKS) return
    this.lexicon = new Lexicon()
    this.#known.length = 0
    this.#slots.fill(0)
  }

  /** The chunk that is `text[start … end)`. Looked up by its hash: cutting it out, for a map of strings, takes twice as long. */
  get(text: string, start: number, end: number, hash: number): Chunk {
    const slots = this.#slots
    let slot = (Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 8) & (slots.length - 1)
    for (; slots[slot] !== 0; slot = (slot + 1) & (slots.length - 1)) {
      const known = this.#known[slots[slot] - 1]
      if (known.hash === hash && isText(known.text, text, start, end)) return known
    }
    // A copy: a slice would keep the whole text in memory.
    const chunk = this.#examine(Buffer.from(text.slice(start, end), 'utf16le').toString('utf16le'), hash)
    if (end - start <= LONGEST_CHUNK && this.#known.length < MOST_CHUNKS) slots[slot] = this.#known.push(chunk)
    return chunk
  }

  #examine(text: string, hash: number): Chunk {
    const plain = text.replace(asciiPunctuation, '').toLowerCase()
    const word = nonAscii.test(plain) ? plain.normalize('NFD') : plain
    const isBad = this.#badWords.has(word)
    const phrases = this.#badPhrases.get(word) ?? []
    return {
      text,
      hash,
      ...this.#countRawWords(text),
      characters: codePointLength(text),
      uppercase: countUppercase(text),
      symbols: countOccurrences(text, '#') + countOccurrences(text, '...') + countOccurrences(text, '…'),
      brackets: countOccurrences(text, '{') + countOccurrences(text, '}'),
      isBullet: /^[•‣▶◀◦■□▪▫–]/.test(text),
      endsSentence: /[.!?”]$/.test(text),
      endsWithEllipsis: /(?:\.\.\.|…)$/.test(text),
      word,
      id: this.lexicon.wordId(word),
      wordCharacters: codePointLength(word),
      numeric: countNumeric(word),
      isBad,
      phrases,
      isSpecial: isBad || phrases.length > 0 || word.endsWith('lorem'),
    }
  }

  /** Quirk of the reference: stop words with an apostrophe ("don't") fall apart and are not counted, nor are capitalized ones. */
  #countRawWords(text: string) {
    const words = text.match(rawWord) ?? []
    return {
      rawWords: words.length,
      stopWords: words.filter((word) => this.#stopWords.has(word)).length,
      withLetter: words.filter((word) => /[a-zA-Z]/.test(word)).length,
      // Python's `str.isupper`: some letter is upper case, and no cased one is not.
      capitals: words.filter((word) => capital.test(word) && !notCapital.test(word)).length,
    }
  }
}
