// Files of tokenizers: Hugging Face `tokenizer.json` (byte-level BPE) and tiktoken's rank files, read and written. What a
// file asks for and sluice cannot do exactly is refused, never guessed.

import { z } from 'zod'
import { SluiceError, type Where } from '../core/errors.ts'
import { type BpeModel, mergesOfRanks } from './bpe.ts'
import { patternSources, type SplitStep } from './pretokenize.ts'

/** A token that is not made by merging: found in the text as a whole, before pre-tokenization. */
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

export const normalizations = ['NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase'] as const
export type Normalization = (typeof normalizations)[number]

/** All that decides which ids a text has. */
export interface TokenizerDefinition {
  readonly model: BpeModel
  readonly added: readonly AddedToken[]
  readonly normalizations: readonly Normalization[]
  readonly splits: readonly SplitStep[]
  /** A text that does not begin with a blank gets one. */
  readonly addsPrefixSpace: boolean
}

export function specialToken(id: number, content: string): AddedToken {
  return { id, content, special: true, takesLeft: false, takesRight: false, normalized: false }
}

/** One more than the largest id. */
export function vocabularySize(definition: TokenizerDefinition): number {
  return definition.added.reduce((size, token) => Math.max(size, token.id + 1), definition.model.starts.length - 1)
}

// ---- bytes as characters ----

/** GPT-2's spelling of bytes: printable Latin-1 stands for itself, the others are U+0100 and up, in order. */
const byteCharacters = buildByteCharacters()
const characterBytes = new Map(byteCharacters.map((character, byte) => [character, byte]))

function buildByteCharacters(): string[] {
  let next = 0x100
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad)
    return String.fromCharCode(isPrintable ? byte : next++)
  })
}

/** The bytes in the order of their characters: the order of base tokens in files made by Hugging Face's trainer and in GPT-2. */
export const alphabet: readonly number[] = [...characterBytes.keys()].sort().map((character) => characterBytes.get(character) ?? 0)

function spell(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byteCharacters[byte]
  return text
}

/** Appends the bytes that the characters stand for; false, and nothing, where one stands for none. */
function unspellInto(text: string, out: number[]): boolean {
  const from = out.length
  for (const character of text) {
    const byte = characterBytes.get(character)
    if (byte === undefined) {
      out.length = from
      return false
    }
    out.push(byte)
  }
  return true
}

// ---- tiktoken ranks ----

/**
 * Reads a rank file: a line a token, its bytes in base64 and its rank.
 *
 * @throws SluiceError `SLUICE_TOKENIZER_FILE` with the line
 */
export function parseRanks(file: Uint8Array, where: Where = {}): BpeModel {
  const tokens: Buffer[] = []
  const lines = Buffer.from(file.buffer, file.byteOffset, file.byteLength).toString('latin1').split('\n')
  lines.forEach((line, i) => {
    const match = /^([A-Za-z0-9+/]+={0,2}) (\d+)\r?$/.exec(line)
    if (match) tokens[Number(match[2])] = Buffer.from(match[1], 'base64')
    else if (line.trim() !== '')
      throw fileError(`not a line of a rank file: ${JSON.stringify(line.slice(0, 60))}`, { ...where, line: i + 1 })
  })
  if (tokens.length === 0) throw fileError('the rank file holds no tokens', where)
  const { bytes, starts } = concatenate(tokens)
  return { bytes, starts, merges: mergesOfRanks(bytes, starts), takesWholePieces: true }
}

/** A rank file of the ordinary tokens. Only models whose merges follow from ranks alone come back the same. */
export function serializeRanks(model: BpeModel): string {
  const lines: string[] = []
  for (let id = 0; id + 1 < model.starts.length; id++) {
    const bytes = model.bytes.subarray(model.starts[id], model.starts[id + 1])
    if (bytes.length > 0) lines.push(`${Buffer.from(bytes).toString('base64')} ${id}\n`)
  }
  return lines.join('')
}

/** Bytes of all tokens one after another; a hole in the list is a token without bytes. */
function concatenate(tokens: readonly (ArrayLike<number> | undefined)[]) {
  const starts = new Uint32Array(tokens.length + 1)
  for (let id = 0; id < tokens.length; id++) starts[id + 1] = starts[id] + (tokens[id]?.length ?? 0)
  const bytes = new Uint8Array(starts[tokens.length])
  for (let id = 0; id < tokens.length; id++) {
    const token = tokens[id]
    if (token) bytes.set(token, starts[id])
  }
  return { bytes, starts }
}

// ---- tokenizer.json ----

const splitSchema = z.object({
  type: z.literal('Split'),
  pattern: z.union([z.object({ Regex: z.string() }), z.object({ String: z.string() })]),
  behavior: z.string(),
  invert: z.boolean().default(false),
})
const byteLevelSchema = z.object({
  type: z.literal('ByteLevel'),
  add_prefix_space: z.boolean().default(true),
  use_regex: z.boolean().default(true),
})
const digitsSchema = z.object({ type: z.literal('Digits'), individual_digits: z.boolean().default(false) })
const preTokenizerSchema = z.discriminatedUnion('type', [splitSchema, byteLevelSchema, digitsSchema])
const normalizerSchema = z.object({ type: z.enum(normalizations) })

const fileSchema = z.object({
  added_tokens: z
    .array(
      z.object({
        id: z.int().min(0),
        content: z.string().min(1),
        special: z.boolean().default(false),
        single_word: z.literal(false, { error: 'added tokens that match single words only are not supported' }).default(false),
        lstrip: z.boolean().default(false),
        rstrip: z.boolean().default(false),
        normalized: z.boolean().default(true),
      }),
    )
    .default([]),
  normalizer: z
    .union([normalizerSchema, z.object({ type: z.literal('Sequence'), normalizers: z.array(normalizerSchema) })])
    .nullish()
    .transform((normalizer) =>
      !normalizer ? [] : (normalizer.type === 'Sequence' ? normalizer.normalizers : [normalizer]).map(({ type }) => type),
    ),
  pre_tokenizer: z
    .union([preTokenizerSchema, z.object({ type: z.literal('Sequence'), pretokenizers: z.array(preTokenizerSchema) })])
    .transform((preTokenizer) => (preTokenizer.type === 'Sequence' ? preTokenizer.pretokenizers : [preTokenizer])),
  model: z.object({
    type: z.literal('BPE').default('BPE'),
    dropout: z.null({ error: 'dropout makes the ids random' }).or(z.literal(0)).optional(),
    continuing_subword_prefix: z.literal(['', null]).optional(),
    end_of_word_suffix: z.literal(['', null]).optional(),
    byte_fallback: z.literal(false, { error: 'byte fallback belongs to SentencePiece models, not to byte-level BPE' }).default(false),
    ignore_merges: z.boolean().default(false),
    vocab: z.record(z.string(), z.int().min(0)),
    merges: z.union([z.array(z.string()), z.array(z.tuple([z.string(), z.string()]))]),
  }),
})
type TokenizerFile = z.output<typeof fileSchema>

/**
 * Reads a `tokenizer.json` of Hugging Face's tokenizers: byte-level BPE, merges spelled "a b" or ["a", "b"].
 *
 * @throws SluiceError `SLUICE_TOKENIZER_FILE` where it is none, or asks for what is not supported
 */
export function parseTokenizerJson(text: string, where: Where = {}): TokenizerDefinition {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw fileError('the file is not JSON', where, cause)
  }
  const parsed = fileSchema.safeParse(json)
  if (!parsed.success) throw fileError(`not a tokenizer.json of byte-level BPE:\n${z.prettifyError(parsed.error)}`, where)
  const file = parsed.data
  const byteLevel = file.pre_tokenizer.find((step) => step.type === 'ByteLevel')
  if (!byteLevel) throw fileError('not a byte-level tokenizer: its pre_tokenizer has no ByteLevel', where)
  return {
    model: readModel(file, where),
    added: file.added_tokens.map(({ id, content, special, lstrip, rstrip, normalized }) => {
      return { id, content, special, takesLeft: lstrip, takesRight: rstrip, normalized }
    }),
    normalizations: file.normalizer,
    splits: file.pre_tokenizer.flatMap((step) => readSplit(step, where)),
    addsPrefixSpace: byteLevel.add_prefix_space,
  }
}

function readSplit(step: z.output<typeof preTokenizerSchema>, where: Where): SplitStep[] {
  if (step.type === 'ByteLevel') return step.use_regex ? [{ pattern: patternSources.gpt2, dropsGaps: false }] : []
  if (step.type === 'Digits') return [{ pattern: step.individual_digits ? String.raw`\p{N}` : String.raw`\p{N}+`, dropsGaps: false }]
  const pattern = 'Regex' in step.pattern ? step.pattern.Regex : RegExp.escape(step.pattern.String)
  if (step.behavior === 'Isolated') return [{ pattern, dropsGaps: false }]
  if (step.behavior === 'Removed' && step.invert) return [{ pattern, dropsGaps: true }]
  throw fileError(`pre_tokenizer Split with behavior ${step.behavior}${step.invert ? ', inverted,' : ''} is not supported`, where)
}

function readModel(file: TokenizerFile, where: Where): BpeModel {
  const { vocab, merges } = file.model
  const added = new Set(file.added_tokens.map((token) => token.id))
  const tokens: (number[] | undefined)[] = []
  const triples = new Uint32Array(3 * merges.length)
  merges.forEach((merge, i) => {
    const [left, right] = typeof merge === 'string' ? splitMerge(merge) : merge
    for (const [k, spelling] of [left, right, left + right].entries()) {
      const id = vocab[spelling]
      if (id === undefined)
        throw fileError(`merge ${i + 1} (${left} ${right}) needs the token ${spelling}, which the vocabulary lacks`, where)
      triples[3 * i + k] = id
    }
    added.delete(triples[3 * i + 2])
  })
  for (const [spelling, id] of Object.entries(vocab)) {
    const bytes: number[] = []
    // An added token may stand in the vocabulary too; no piece ever becomes it.
    if (added.has(id)) continue
    if (!unspellInto(spelling, bytes)) throw fileError(`token ${id} (${JSON.stringify(spelling)}) is not spelled in bytes`, where)
    tokens[id] = bytes
  }
  return { ...concatenate(tokens), merges: triples, takesWholePieces: file.model.ignore_merges }
}

/** "a b", where neither holds a blank. */
function splitMerge(merge: string): [string, string] {
  const blank = merge.indexOf(' ')
  return [merge.slice(0, blank), merge.slice(blank + 1)]
}

/** Writes a `tokenizer.json`; `parseTokenizerJson` gives the same definition back. */
export function serializeTokenizerJson(definition: TokenizerDefinition): string {
  const { model, added, addsPrefixSpace } = definition
  const spellings: string[] = []
  const vocab: [string, number][] = []
  for (let id = 0; id + 1 < model.starts.length; id++) {
    spellings[id] = spell(model.bytes.subarray(model.starts[id], model.starts[id + 1]))
    if (spellings[id] !== '') vocab.push([spellings[id], id])
  }
  const merges: string[][] = []
  for (let i = 0; i < model.merges.length; i += 3) merges.push([spellings[model.merges[i]], spellings[model.merges[i + 1]]])
  const normalizers = definition.normalizations.map((type) => ({ type }))
  const byteLevel = { type: 'ByteLevel', add_prefix_space: addsPrefixSpace, trim_offsets: true }
  const file = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added.map(({ id, content, special, takesLeft, takesRight, normalized }) => {
      return { id, content, single_word: false, lstrip: takesLeft, rstrip: takesRight, normalized, special }
    }),
    normalizer: normalizers.length === 0 ? null : normalizers.length === 1 ? normalizers[0] : { type: 'Sequence', normalizers },
    pre_tokenizer: writeSplits(definition, byteLevel),
    post_processor: { ...byteLevel, use_regex: true },
    decoder: { ...byteLevel, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: model.takesWholePieces,
    },
  }
  // The vocabulary is spliced in by hand: an object would put a token named "1" in front of all others.
  const vocabulary = vocab.map(([spelling, id]) => `      ${JSON.stringify(spelling)}: ${id}`).join(',\n')
  const mergeLines = merges.map((merge) => `      ${JSON.stringify(merge)}`).join(',\n')
  const head = JSON.stringify(file, null, 2).replace(/\n {2}\}\n\}$/, '')
  return `${head},\n    "vocab": {\n${vocabulary}\n    },\n    "merges": [\n${mergeLines}\n    ]\n  }\n}\n`
}

function writeSplits(definition: TokenizerDefinition, byteLevel: object): object {
  const { splits } = definition
  if (splits.length === 1 && splits[0].pattern === patternSources.gpt2 && !splits[0].dropsGaps) return { ...byteLevel, use_regex: true }
  const steps = splits.map(({ pattern, dropsGaps }) => {
    return { type: 'Split', pattern: { Regex: pattern }, behavior: dropsGaps ? 'Removed' : 'Isolated', invert: dropsGaps }
  })
  return { type: 'Sequence', pretokenizers: [...steps, { ...byteLevel, use_regex: false }] }
}

function fileError(message: string, where: Where, cause?: unknown): SluiceError {
  return new SluiceError('SLUICE_TOKENIZER_FILE', message, {
    where,
    fix: 'give a tokenizer.json of byte-level BPE (Hugging Face), or a .tiktoken rank file',
    cause,
  })
}
