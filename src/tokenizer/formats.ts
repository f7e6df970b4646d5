// Files of tokenizers: Hugging Face `tokenizer.json` and tiktoken's rank files, read and written. What a file asks for and
// sluice cannot do exactly is refused, never guessed. Models over pieces of words are piece-formats.ts's matter.

import { z } from 'zod'
import { SluiceError, type Where } from '../core/errors.ts'
import { type BpeModel, mergesOfRanks } from './bpe.ts'
import type { AddedToken, ByteLevelDefinition, TokenizerDefinition } from './definition.ts'
import { normalizersSchema } from './normalizers.ts'
import { isByteLevel, readPieceDefinition, writePieceDefinition } from './piece-formats.ts'
import { processorsSchema } from './post-processors.ts'
import { patternSources, type SplitStep } from './pretokenize.ts'
import { inSequence, toSequence } from './sequence.ts'

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
const preTokenizerSchema = z.discriminatedUnion('type', [splitSchema, byteLevelSchema, digitsSchema], {
  error: ({ input }) => `the pre_tokenizer ${JSON.stringify(input)?.slice(0, 100)} is not supported beside ByteLevel`,
})

/** What all files have, whatever the model. */
const surroundingsSchema = z.object({
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
  normalizer: normalizersSchema,
  post_processor: processorsSchema,
})

const byteLevelFileSchema = z.object({
  pre_tokenizer: inSequence('pretokenizers', preTokenizerSchema),
  model: z.object({
    type: z.literal('BPE').default('BPE'),
    dropout: z.null({ error: 'dropout makes the ids random' }).or(z.literal(0)).optional(),
    continuing_subword_prefix: z.literal(['', null]).optional(),
    end_of_word_suffix: z.literal(['', null]).optional(),
    byte_fallback: z.literal(false, { error: 'byte fallback belongs to models over characters, not to byte-level BPE' }).default(false),
    ignore_merges: z.boolean().default(false),
    vocab: z.record(z.string(), z.int().min(0)),
    merges: z.union([z.array(z.string()), z.array(z.tuple([z.string(), z.string()]))]),
  }),
})
type ByteLevelFile = z.output<typeof byteLevelFileSchema>

/**
 * Reads a `tokenizer.json` of Hugging Face's tokenizers: BPE, WordPiece, Unigram.
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
  const { added_tokens, normalizer: normalizers, post_processor: processors } = read(surroundingsSchema, json, where)
  const added = added_tokens.map(({ id, content, special, lstrip, rstrip, normalized }) => {
    return { id, content, special, takesLeft: lstrip, takesRight: rstrip, normalized }
  })
  const surroundings = { added, normalizers, processors }
  if (isByteLevel(json)) return readByteLevel(read(byteLevelFileSchema, json, where), surroundings, where)
  return { ...surroundings, ...readPieceDefinition((schema) => read(schema, json, where)) }
}

function read<T>(schema: z.ZodType<T>, json: unknown, where: Where): T {
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  throw fileError(`not a tokenizer.json that can be used here:\n${z.prettifyError(parsed.error)}`, where)
}

type Surroundings = Pick<ByteLevelDefinition, 'added' | 'normalizers' | 'processors'>

function readByteLevel(file: ByteLevelFile, surroundings: Surroundings, where: Where): ByteLevelDefinition {
  const byteLevel = file.pre_tokenizer.find((step) => step.type === 'ByteLevel')
  return {
    kind: 'bytes',
    model: readModel(file, surroundings.added, where),
    ...surroundings,
    splits: file.pre_tokenizer.flatMap((step) => readSplit(step, where)),
    addsPrefixSpace: byteLevel?.add_prefix_space ?? false,
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

function readModel(file: ByteLevelFile, addedTokens: readonly AddedToken[], where: Where): BpeModel {
  const { vocab, merges } = file.model
  const added = new Set(addedTokens.map((token) => token.id))
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
  const { added, normalizers } = definition
  const head = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added.map(({ id, content, special, takesLeft, takesRight, normalized }) => {
      return { id, content, single_word: false, lstrip: takesLeft, rstrip: takesRight, normalized, special }
    }),
    normalizer: toSequence('normalizers', normalizers),
  }
  if (definition.kind === 'pieces') return `${JSON.stringify({ ...head, ...writePieceDefinition(definition) }, null, 2)}\n`
  return writeByteLevel(head, definition)
}

function writeByteLevel(head: object, definition: ByteLevelDefinition): string {
  const { model, processors, addsPrefixSpace } = definition
  const spellings: string[] = []
  const vocab: [string, number][] = []
  for (let id = 0; id + 1 < model.starts.length; id++) {
    spellings[id] = spell(model.bytes.subarray(model.starts[id], model.starts[id + 1]))
    if (spellings[id] !== '') vocab.push([spellings[id], id])
  }
  const merges: string[][] = []
  for (let i = 0; i < model.merges.length; i += 3) merges.push([spellings[model.merges[i]], spellings[model.merges[i + 1]]])
  const byteLevel = { type: 'ByteLevel', add_prefix_space: addsPrefixSpace, trim_offsets: true }
  const file = {
    ...head,
    pre_tokenizer: writeSplits(definition, byteLevel),
    post_processor: toSequence('processors', [{ ...byteLevel, use_regex: true }, ...processors]),
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
  const beginning = JSON.stringify(file, null, 2).replace(/\n {2}\}\n\}$/, '')
  return `${beginning},\n    "vocab": {\n${vocabulary}\n    },\n    "merges": [\n${mergeLines}\n    ]\n  }\n}\n`
}

function writeSplits(definition: ByteLevelDefinition, byteLevel: object): object {
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
    fix: 'give a tokenizer.json (Hugging Face) of BPE, WordPiece or Unigram without what is named, or a .tiktoken rank file',
    cause,
  })
}
