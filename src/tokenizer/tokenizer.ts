// A loaded tokenizer: text to ids and back. Names: gpt2, cl100k, o200k (ranks from the npm package gpt-tokenizer); else the
// path of a tokenizer.json or of a .tiktoken rank file.

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename } from 'node:path'
import { SluiceError } from '../core/errors.ts'
import { BpeEncoder, type BpeModel } from './bpe.ts'
import {
  type AddedToken,
  type Normalization,
  parseRanks,
  parseTokenizerJson,
  serializeTokenizerJson,
  specialToken,
  type TokenizerDefinition,
  vocabularySize,
} from './formats.ts'
import { fitsKernel, KernelEncoder, LONGEST_KERNEL_TEXT } from './kernel.ts'
import { type PatternName, PieceBuffer, patternName, patternSources, preTokenizer, type SplitStep } from './pretokenize.ts'

export interface Tokenizer {
  readonly name: string
  /** One more than the largest id. */
  readonly vocabularySize: number
  /** Id of the token that ends a document. */
  readonly endOfText: number
  /** SHA-256 of the tokenizer.json that says the same, in hex: ids of equal hashes mean the same. */
  readonly hash: string
  /** Ids of a text. Special tokens written in it count as ordinary characters; lone surrogates become U+FFFD. */
  encode(text: string): Uint32Array
  /** Text of ids; bytes that are not UTF-8 become U+FFFD. */
  decode(tokens: ArrayLike<number>): string
  decodeBytes(tokens: ArrayLike<number>): Uint8Array
}

/** A tokenizer with what is behind it. */
export interface LoadedTokenizer extends Tokenizer {
  readonly definition: TokenizerDefinition
  /** As `encode`, but special tokens written in the text, all or the named ones, get their ids. */
  encodeWithSpecials(text: string, allowed?: ReadonlySet<string>): Uint32Array
}

export const tokenizerNames = ['gpt2', 'cl100k', 'o200k'] as const
export type TokenizerName = (typeof tokenizerNames)[number]

export function isTokenizerName(text: string): text is TokenizerName {
  return tokenizerNames.some((name) => name === text)
}

interface NamedTokenizer {
  readonly ranks: string
  readonly pattern: PatternName
  readonly specials: readonly (readonly [string, number])[]
  /** SHA-256 of what `serializeTokenizerJson` makes of it: known, so that loading need not write it. A test compares. */
  readonly hash: string
}

const namedTokenizers: Readonly<Record<TokenizerName, NamedTokenizer>> = {
  gpt2: {
    ranks: 'r50k_base.tiktoken',
    pattern: 'gpt2',
    specials: [['<|endoftext|>', 50256]],
    hash: '389c7ddd438b388b22e03195d09dab7f407ba9a7cee7336945fcedd22f4d4093',
  },
  cl100k: {
    ranks: 'cl100k_base.tiktoken',
    pattern: 'gpt4',
    specials: [
      ['<|endoftext|>', 100257],
      ['<|fim_prefix|>', 100258],
      ['<|fim_middle|>', 100259],
      ['<|fim_suffix|>', 100260],
      ['<|endofprompt|>', 100276],
    ],
    hash: '21ae2890811bd93dd5301f7a090d79ebf902f2713765a87aa2a281a12dc9db53',
  },
  o200k: {
    ranks: 'o200k_base.tiktoken',
    pattern: 'gpt4o',
    specials: [
      ['<|endoftext|>', 199999],
      ['<|endofprompt|>', 200018],
    ],
    hash: '446d69e0fbdbd17c011b7612e7b2e129df4e5c8cd9b0079d207a68084d5ce2b4',
  },
}

/** What published tokenizers call the token that ends a document, likeliest first. */
export const endOfTextNames = ['<|endoftext|>', '<|end_of_text|>', '</s>', '<eos>', '<|eos|>', '[EOS]', '<|im_end|>']

/**
 * Loads a tokenizer by name, or from a file.
 *
 * @param pattern pre-tokenization of a rank file, which does not say its own; gpt4 (cl100k's) where none is given
 * @throws SluiceError `SLUICE_TOKENIZER_…`
 */
export async function loadTokenizer(nameOrPath: string, pattern: PatternName = 'gpt4'): Promise<LoadedTokenizer> {
  if (isTokenizerName(nameOrPath)) {
    let loading = loadedByName.get(nameOrPath)
    if (!loading) loadedByName.set(nameOrPath, (loading = loadNamed(nameOrPath)))
    return await loading
  }
  const file = await readTokenizerFile(nameOrPath)
  const where = { file: nameOrPath }
  if (nameOrPath.endsWith('.tiktoken')) {
    const model = parseRanks(file, where)
    const definition = rankDefinition(model, pattern, [['<|endoftext|>', model.starts.length - 1]])
    return createTokenizer(basename(nameOrPath), definition, sha256(serializeTokenizerJson(definition)))
  }
  return createTokenizer(basename(nameOrPath), parseTokenizerJson(new TextDecoder().decode(file), where), sha256(file))
}

async function readTokenizerFile(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new SluiceError('SLUICE_TOKENIZER_UNKNOWN', `no tokenizer of that name, and no file that can be read: ${path}`, {
      where: { tokenizer: path },
      fix: `name one of ${tokenizerNames.join(', ')}, or give the path of a tokenizer.json or .tiktoken file`,
      cause,
    })
  }
}

/** A thread runs task after task, each asking anew. */
const loadedByName = new Map<TokenizerName, Promise<LoadedTokenizer>>()

async function loadNamed(name: TokenizerName): Promise<LoadedTokenizer> {
  const { ranks, pattern, specials, hash } = namedTokenizers[name]
  const require = createRequire(import.meta.url)
  const file = await readFile(require.resolve(`gpt-tokenizer/data/${ranks}`))
  return createTokenizer(name, rankDefinition(parseRanks(file, { file: ranks }), pattern, specials), hash)
}

function rankDefinition(model: BpeModel, pattern: PatternName, specials: readonly (readonly [string, number])[]): TokenizerDefinition {
  return {
    model,
    added: specials.map(([content, id]) => specialToken(id, content)),
    normalizations: [],
    splits: [{ pattern: patternSources[pattern], dropsGaps: false }],
    addsPrefixSpace: false,
  }
}

/**
 * Makes a tokenizer of a definition.
 *
 * @param hash SHA-256 of its tokenizer.json
 * @throws SluiceError where no added token ends a document
 */
export function createTokenizer(name: string, definition: TokenizerDefinition, hash: string): LoadedTokenizer {
  return new BpeTokenizer(name, definition, hash)
}

export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

class BpeTokenizer implements LoadedTokenizer {
  readonly name: string
  readonly definition: TokenizerDefinition
  readonly hash: string
  readonly vocabularySize: number
  readonly endOfText: number
  /** Ids of text in which no added token is looked for. */
  readonly #encodeOrdinary: (text: string) => Uint32Array
  readonly #added: ReadonlyMap<number, Uint8Array>
  /** Tokens that every text is searched for: those that are not special. */
  readonly #always: AddedTokenFinder | undefined

  constructor(name: string, definition: TokenizerDefinition, hash: string) {
    this.name = name
    this.definition = definition
    this.hash = hash
    this.vocabularySize = vocabularySize(definition)
    this.endOfText = findEndOfText(name, definition.added)
    this.#encodeOrdinary = ordinaryEncoder(definition)
    this.#added = new Map(definition.added.map((token) => [token.id, new TextEncoder().encode(token.content)]))
    this.#always = finderOf(
      definition.added.filter((token) => !token.special),
      definition.normalizations,
    )
  }

  encode(text: string): Uint32Array {
    return this.#encode(text, this.#always)
  }

  encodeWithSpecials(text: string, allowed?: ReadonlySet<string>): Uint32Array {
    const isFound = (token: AddedToken) => !token.special || allowed === undefined || allowed.has(token.content)
    return this.#encode(text, finderOf(this.definition.added.filter(isFound), this.definition.normalizations))
  }

  /** Raw text is searched for tokens that must stand there as they are, then normalized and searched for the others. */
  #encode(text: string, finder: AddedTokenFinder | undefined): Uint32Array {
    const { normalizations } = this.definition
    if (!finder) return this.#encodeNormal(normalize(text, normalizations))
    const parts: Uint32Array[] = []
    const token = (id: number) => parts.push(Uint32Array.of(id))
    splitByTokens(text, finder.raw, token, (part) =>
      splitByTokens(normalize(part, normalizations), finder.normalized, token, (ordinary) => parts.push(this.#encodeNormal(ordinary))),
    )
    return parts.length === 1 ? parts[0] : concatenate(parts)
  }

  #encodeNormal(text: string): Uint32Array {
    return this.#encodeOrdinary(this.definition.addsPrefixSpace && text !== '' && !text.startsWith(' ') ? ` ${text}` : text)
  }

  decode(tokens: ArrayLike<number>): string {
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(this.decodeBytes(tokens))
  }

  decodeBytes(tokens: ArrayLike<number>): Uint8Array {
    let length = 0
    for (let i = 0; i < tokens.length; i++) length += this.#bytesOf(tokens[i]).length
    const out = new Uint8Array(length)
    let at = 0
    for (let i = 0; i < tokens.length; i++) {
      const bytes = this.#bytesOf(tokens[i])
      out.set(bytes, at)
      at += bytes.length
    }
    return out
  }

  #bytesOf(id: number): Uint8Array {
    const added = this.#added.get(id)
    if (added) return added
    const { bytes, starts } = this.definition.model
    if (id >= 0 && id + 1 < starts.length && starts[id + 1] > starts[id]) return bytes.subarray(starts[id], starts[id + 1])
    throw new SluiceError('SLUICE_TOKENIZER_ID', `no token has the id ${id}`, {
      where: { tokenizer: this.name, vocabularySize: this.vocabularySize },
      fix: 'decode with the tokenizer that encoded: compare the hashes',
    })
  }
}

/** Through the kernel where it knows the pattern, else plainly. */
function ordinaryEncoder({ model, splits }: TokenizerDefinition): (text: string) => Uint32Array {
  const plain = plainEncoder(model, splits)
  const pattern = splits.length === 1 ? patternName(splits[0].pattern) : undefined
  if (pattern === undefined || !fitsKernel(model)) return plain
  const kernel = new KernelEncoder(model, pattern)
  return (text) => (text.length <= LONGEST_KERNEL_TEXT ? kernel.encode(text) : plain(text))
}

function plainEncoder(model: BpeModel, splits: readonly SplitStep[]): (text: string) => Uint32Array {
  const preTokenize = preTokenizer(splits)
  const pieces = new PieceBuffer()
  let encoder: BpeEncoder | undefined
  return (text) => {
    encoder ??= new BpeEncoder(model)
    pieces.clear()
    preTokenize(text, pieces)
    encoder.encode(pieces)
    return encoder.take()
  }
}

function concatenate(parts: readonly Uint32Array[]): Uint32Array {
  const out = new Uint32Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

function findEndOfText(name: string, added: readonly AddedToken[]): number {
  for (const content of endOfTextNames) {
    const token = added.find((candidate) => candidate.content === content)
    if (token) return token.id
  }
  throw new SluiceError('SLUICE_TOKENIZER_NO_END', 'the tokenizer has no token that ends a document', {
    where: { tokenizer: name },
    fix: `add one of ${endOfTextNames.join(', ')} to its added_tokens`,
  })
}

function normalize(text: string, normalizations: readonly Normalization[]): string {
  let normal = text
  for (const form of normalizations) normal = form === 'Lowercase' ? lowerCase(normal) : normal.normalize(form)
  return normal
}

/** Character by character, as Hugging Face's: no final sigma at the end of a word. */
function lowerCase(text: string): string {
  return text.replaceAll('Σ', 'σ').toLowerCase()
}

// ---- added tokens in text ----

interface Finder {
  /** Finds the longest of the leftmost. */
  readonly expression: RegExp
  readonly tokens: ReadonlyMap<string, AddedToken>
}

interface AddedTokenFinder {
  readonly raw: Finder | undefined
  readonly normalized: Finder | undefined
}

function finderOf(tokens: readonly AddedToken[], normalizations: readonly Normalization[]): AddedTokenFinder | undefined {
  if (tokens.length === 0) return undefined
  const normalized = tokens.filter((token) => token.normalized)
  return {
    raw: finder(tokens.filter((token) => !token.normalized)),
    normalized: finder(normalized.map((token) => ({ ...token, content: normalize(token.content, normalizations) }))),
  }
}

function finder(tokens: readonly AddedToken[]): Finder | undefined {
  if (tokens.length === 0) return undefined
  const byLength = tokens.map(({ content }) => content).sort((a, b) => b.length - a.length)
  return {
    expression: new RegExp(byLength.map((content) => RegExp.escape(content)).join('|'), 'gu'),
    tokens: new Map(tokens.map((token) => [token.content, token])),
  }
}

/** Not `\s`, which lacks U+0085 and has U+FEFF. */
const whiteSpace = /\p{White_Space}/u

/** Gives the tokens found and the text between them, in order. A token takes no blanks that the one before it has taken. */
function splitByTokens(text: string, found: Finder | undefined, token: (id: number) => void, between: (text: string) => void): void {
  let end = 0
  for (const match of found ? text.matchAll(found.expression) : []) {
    const added = found?.tokens.get(match[0])
    if (!added) continue
    let start = match.index
    if (added.takesLeft) while (start > end && whiteSpace.test(text[start - 1])) start--
    if (start > end) between(text.slice(end, start))
    token(added.id)
    end = match.index + match[0].length
    if (added.takesRight) while (end < text.length && whiteSpace.test(text[end])) end++
  }
  if (end < text.length) between(end === 0 ? text : text.slice(end))
}
