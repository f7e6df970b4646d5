// What a model does between a normalized text and ids: byte-level BPE, in the kernel where that knows the pattern, or pieces
// of words. Added tokens, normalization and special tokens around a text are tokenizer.ts's matter.

import { BpeEncoder, type BpeModel } from './bpe.ts'
import { CharacterBpeEncoder, canCutAtBlanks, cutAtBlanks } from './character-bpe.ts'
import { decoderOf, isByte } from './decoders.ts'
import { type ByteLevelDefinition, type PieceDefinition, type PieceModel, piecesById, type TokenizerDefinition } from './definition.ts'
import { fitsKernel, KernelEncoder, LONGEST_KERNEL_TEXT } from './kernel.ts'
import { PieceBuffer, patternName, preTokenizer, type SplitStep } from './pretokenize.ts'
import { UnigramEncoder } from './unigram.ts'
import { splitterOf } from './word-splitters.ts'
import { WordPieceEncoder } from './wordpiece.ts'

export interface Codec {
  /**
   * Ids of a normalized text in which no added token is looked for.
   *
   * @param fromStart the text is the beginning of what the user gave
   */
  encode(text: string, fromStart: boolean): Uint32Array
  readonly decoding: ByteDecoding | PieceDecoding
}

export interface ByteDecoding {
  readonly kind: 'bytes'
  /** Undefined where the model has no such id. */
  bytesOf(id: number): Uint8Array | undefined
}

export interface PieceDecoding {
  readonly kind: 'pieces'
  /** Undefined where the model has no such id. */
  pieceOf(id: number): string | undefined
  textOf(pieces: readonly string[]): string
  /** Whether the text of a piece depends on what follows: one byte of a character. */
  mayGoOn(piece: string): boolean
}

export function codecOf(definition: TokenizerDefinition): Codec {
  return definition.kind === 'bytes' ? byteCodec(definition) : pieceCodec(definition)
}

// ---- bytes ----

function byteCodec({ model, splits, addsPrefixSpace }: ByteLevelDefinition): Codec {
  const encode = byteEncoder(model, splits)
  const { bytes, starts } = model
  return {
    encode: (text) => encode(addsPrefixSpace && text !== '' && !text.startsWith(' ') ? ` ${text}` : text),
    decoding: {
      kind: 'bytes',
      bytesOf: (id) => (id + 1 < starts.length && starts[id + 1] > starts[id] ? bytes.subarray(starts[id], starts[id + 1]) : undefined),
    },
  }
}

/** Through the kernel where it knows the pattern, else plainly. */
function byteEncoder(model: BpeModel, splits: readonly SplitStep[]): (text: string) => Uint32Array {
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

// ---- pieces of words ----

const CACHED_WORDS = 1 << 16
/** In UTF-16 units. */
const LONGEST_CACHED_WORD = 64
/** Shorter parts of a string are copies of their own to V8; longer ones keep the whole string alive. */
const SHORTEST_SLICE = 13

function pieceCodec({ model, splitters, decoders }: PieceDefinition): Codec {
  const split = splitterOf(splitters)
  const cutsAtBlanks = model.type === 'BPE' && canCutAtBlanks(model)
  const encodeWord = wordEncoder(model)
  const cache = new Map<string, readonly number[]>()
  const pieces = piecesById(model)
  const append = (word: string, ids: number[]) => {
    if (word.length > LONGEST_CACHED_WORD) return encodeWord(word, ids)
    let known = cache.get(word)
    if (known === undefined) {
      const fresh: number[] = []
      encodeWord(word, fresh)
      if (cache.size === CACHED_WORDS) cache.clear()
      cache.set(word.length < SHORTEST_SLICE ? word : Buffer.from(word, 'utf16le').toString('utf16le'), fresh)
      known = fresh
    }
    for (const id of known) ids.push(id)
  }
  return {
    encode: (text, fromStart) => {
      const ids: number[] = []
      for (const part of split(text, fromStart)) {
        if (cutsAtBlanks) for (const word of cutAtBlanks(part)) append(word, ids)
        else append(part, ids)
      }
      return Uint32Array.from(ids)
    },
    decoding: {
      kind: 'pieces',
      pieceOf: (id) => pieces[id],
      textOf: decoderOf(decoders),
      mayGoOn: decoders.some(({ type }) => type === 'ByteFallback') ? isByte : () => false,
    },
  }
}

function wordEncoder(model: PieceModel): (word: string, ids: number[]) => void {
  const encoder =
    model.type === 'WordPiece'
      ? new WordPieceEncoder(model)
      : model.type === 'Unigram'
        ? new UnigramEncoder(model)
        : new CharacterBpeEncoder(model)
  return (word, ids) => encoder.encode(word, ids)
}
