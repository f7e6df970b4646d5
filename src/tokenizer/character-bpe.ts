// Byte-pair encoding over characters, as SentencePiece has it (Llama 2, Mistral, Gemma): a character without a token becomes
// its bytes, or unknown. As Hugging Face's tokenizers 0.23. Merging itself is bpe.ts's matter.

import { SymbolMerger } from './bpe.ts'
import { byteIds, byteTable } from './unigram.ts'

export interface CharacterBpeModel {
  readonly vocabulary: ReadonlyMap<string, number>
  /** u32[3 × merges]: left id, right id, merged id, by priority. */
  readonly merges: Uint32Array
  /** Undefined: what is unknown is left out. */
  readonly unknown: number | undefined
  /** Unknown characters side by side are one unknown token. */
  readonly fusesUnknown: boolean
  readonly byteFallback: boolean
  /** A piece that is a token is taken as such, without merging. */
  readonly takesWholePieces: boolean
}

/** SentencePiece's mark for a blank. */
const META = '▁'

export class CharacterBpeEncoder {
  readonly #model: CharacterBpeModel
  readonly #merger: SymbolMerger
  readonly #bytes: Int32Array | undefined

  constructor(model: CharacterBpeModel) {
    this.#model = model
    this.#merger = new SymbolMerger(model.merges)
    this.#bytes = model.byteFallback ? byteTable(model.vocabulary) : undefined
  }

  /** Appends the ids of a piece. */
  encode(piece: string, ids: number[]): void {
    const whole = this.#model.takesWholePieces ? this.#model.vocabulary.get(piece) : undefined
    if (whole !== undefined) ids.push(whole)
    else for (const id of this.#merger.merge(this.#symbols(piece))) ids.push(id)
  }

  #symbols(piece: string): Int32Array {
    const { vocabulary, unknown, fusesUnknown } = this.#model
    const symbols: number[] = []
    let hasUnknown = false
    const flush = () => {
      if (hasUnknown && unknown !== undefined) symbols.push(unknown)
      hasUnknown = false
    }
    for (const character of piece) {
      const id = vocabulary.get(character)
      const bytes = id === undefined && this.#bytes ? byteIds(character, this.#bytes) : undefined
      if (id !== undefined) {
        flush()
        symbols.push(id)
      } else if (bytes) {
        // As the reference: unknown characters in front of it come behind it.
        symbols.push(...bytes)
      } else {
        if (!fusesUnknown) flush()
        hasUnknown = true
      }
    }
    flush()
    return Int32Array.from(symbols)
  }
}

/**
 * Cuts in front of each first blank of a run, where no merge could reach across: such parts have the same ids apart, and may be
 * remembered. A token that holds a blank behind something else forbids it.
 */
export function canCutAtBlanks({ vocabulary, takesWholePieces }: CharacterBpeModel): boolean {
  if (takesWholePieces || !vocabulary.has(META)) return false
  for (const token of vocabulary.keys()) if (/[^▁]▁/.test(token)) return false
  return true
}

export function cutAtBlanks(text: string): readonly string[] {
  return text.match(/▁*[^▁]+|▁+/g) ?? []
}
