// All that decides which ids a text has: what a tokenizer file says, parsed. Two kinds: byte-level BPE, whose tokens are bytes,
// and models whose tokens are pieces of words (WordPiece, Unigram, BPE over characters).

import type { BpeModel } from './bpe.ts'
import type { CharacterBpeModel } from './character-bpe.ts'
import type { Decoder } from './decoders.ts'
import type { Normalizer } from './normalizers.ts'
import type { PostProcessor } from './post-processors.ts'
import type { SplitStep } from './pretokenize.ts'
import type { UnigramModel } from './unigram.ts'
import type { Splitter } from './word-splitters.ts'
import type { WordPieceModel } from './wordpiece.ts'

/** A token that is not made by the model: found in the text as a whole, before pre-tokenization. */
export interface AddedToken {
  readonly id: number
  readonly content: string
  /** Special tokens steer the model: in a text they count as ordinary characters unless the caller allows them. */
  readonly special: boolean
  /** Takes the blanks in front of it, or behind it, along. */
  readonly takesLeft: boolean
  readonly takesRight: boolean
  /** Found in the text after normalization. */
  readonly normalized: boolean
}

export type TokenizerDefinition = ByteLevelDefinition | PieceDefinition

interface Surroundings {
  readonly added: readonly AddedToken[]
  readonly normalizers: readonly Normalizer[]
  /** Say which special tokens a model expects around a text. */
  readonly processors: readonly PostProcessor[]
}

export interface ByteLevelDefinition extends Surroundings {
  readonly kind: 'bytes'
  readonly model: BpeModel
  readonly splits: readonly SplitStep[]
  /** A text that does not begin with a blank gets one. */
  readonly addsPrefixSpace: boolean
}

export interface PieceDefinition extends Surroundings {
  readonly kind: 'pieces'
  readonly model: PieceModel
  readonly splitters: readonly Splitter[]
  readonly decoders: readonly Decoder[]
}

export type PieceModel =
  | ({ readonly type: 'WordPiece' } & WordPieceModel)
  | ({ readonly type: 'Unigram' } & UnigramModel)
  | ({ readonly type: 'BPE' } & CharacterBpeModel)

export function specialToken(id: number, content: string): AddedToken {
  return { id, content, special: true, takesLeft: false, takesRight: false, normalized: false }
}

/** One more than the largest id. */
export function vocabularySize({ added, model }: TokenizerDefinition): number {
  return added.reduce((size, token) => Math.max(size, token.id + 1), modelSize(model))
}

function modelSize(model: TokenizerDefinition['model']): number {
  if ('starts' in model) return model.starts.length - 1
  if ('pieces' in model) return model.pieces.length
  return model.vocabulary.values().reduce((size, id) => Math.max(size, id + 1), 0)
}

/** Pieces of a model by id; a hole where no piece has the id. */
export function piecesById(model: PieceModel): readonly (string | undefined)[] {
  if ('pieces' in model) return model.pieces.map(([piece]) => piece)
  const pieces: (string | undefined)[] = []
  for (const [piece, id] of model.vocabulary) pieces[id] = piece
  return pieces
}
