// Turns text into token ids: the last step before token shards. BPE, WordPiece and Unigram, see src/tokenizer.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { LARGEST_U16_VOCABULARY, TOKENIZER_FILE } from '../schemas/tokens.ts'
import type { Document, Json, TokenizedDocument, Vocabulary } from '../src/core/document.ts'
import { SluiceError } from '../src/core/errors.ts'
import { type Barrier, mapStage, type Stage, type StageContext } from '../src/core/stage.ts'
import { codePointLength } from '../src/text/characters.ts'
import type { Frame } from '../src/tokenizer/post-processors.ts'
import { frameFor, isTokenizerName, type LoadedTokenizer, loadTokenizer, sha256 } from '../src/tokenizer/tokenizer.ts'
import { tokenizerFile } from '../src/tokenizer/tokenizer-file.ts'

const trained = z.custom<Barrier<Document>>(
  (value) => typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'barrier',
  'neither a name or path nor what trainTokenizer returned',
)

export const tokenizeOptions = z.strictObject({
  tokenizer: z
    .union([z.string().min(1), trained])
    .default('gpt2')
    .describe('gpt2, cl100k, o200k, the path of a tokenizer.json or .tiktoken file, or what trainTokenizer returned'),
  appendEndOfText: z.boolean().default(true).describe('ends each document with the token that says so: [SEP] of BERT, </s> of T5'),
  modelFrame: z
    .boolean()
    .default(false)
    .describe('puts around each document the special tokens that the tokenizer says its model expects, as [CLS] and [SEP]'),
})
export type TokenizeOptions = z.input<typeof tokenizeOptions>

/** Text to ids, u16 where they fit. Statistics: `tokens` (the end included), `charactersPerToken` (code points). */
export function tokenize(options: TokenizeOptions = {}): Stage<Document, TokenizedDocument> {
  const { tokenizer, appendEndOfText, modelFrame } = tokenizeOptions.parse(options)
  return mapStage<Document, TokenizedDocument>('tokenize', {
    options: { tokenizer: describeTokenizer(tokenizer), appendEndOfText, modelFrame },
    prepare: async (context) => {
      const { loaded, vocabulary } = await load(typeof tokenizer === 'string' ? tokenizer : artifactPath(tokenizer, context))
      const frame = frameFor(loaded, { modelFrame, appendEnd: appendEndOfText })
      return (document, report) => {
        const tokens = encode(loaded, document.text, frame)
        report({ tokens: tokens.length, charactersPerToken: codePointLength(document.text) / tokens.length })
        return { ...itemOf(document), vocabulary, tokens }
      }
    },
  })
}

/** What enters the plan hash: a file counts by its content, a trained tokenizer by how it is trained. */
export function describeTokenizer(tokenizer: string | Barrier<Document>): Json {
  if (typeof tokenizer !== 'string') return { trainedBy: tokenizer.name, options: tokenizer.options }
  if (isTokenizerName(tokenizer)) return tokenizer
  try {
    return { file: tokenizer, hash: sha256(readFileSync(tokenizer)) }
  } catch (cause) {
    throw new SluiceError('SLUICE_TOKENIZER_UNKNOWN', `no tokenizer of that name, and no file that can be read: ${tokenizer}`, {
      where: { stage: 'tokenize', tokenizer },
      fix: 'name gpt2, cl100k or o200k, or give the path of a tokenizer.json or .tiktoken file',
      cause,
    })
  }
}

const artifactPath = (barrier: Barrier<Document>, context: StageContext) => join(context.artifact(barrier.name), TOKENIZER_FILE)

/** Loaded once per thread: tasks follow each other there, most with the same tokenizer. */
const loadedTokenizers = new Map<string, Promise<{ loaded: LoadedTokenizer; vocabulary: Vocabulary }>>()

function load(nameOrPath: string) {
  const key = isTokenizerName(nameOrPath) ? nameOrPath : `${nameOrPath} ${sha256(readFileSync(nameOrPath))}`
  let loading = loadedTokenizers.get(key)
  if (!loading) {
    loading = loadWithVocabulary(nameOrPath)
    loadedTokenizers.clear()
    loadedTokenizers.set(key, loading)
  }
  return loading
}

async function loadWithVocabulary(nameOrPath: string) {
  const loaded = await loadTokenizer(nameOrPath)
  const { hash, vocabularySize: size, endOfText } = loaded
  return { loaded, vocabulary: { hash, size, endOfText, file: await tokenizerFile(loaded, nameOrPath) } }
}

function encode(tokenizer: LoadedTokenizer, text: string, { before, after }: Frame): Uint16Array | Uint32Array {
  const ids = tokenizer.encode(text)
  const length = before.length + ids.length + after.length
  const tokens = tokenizer.vocabularySize <= LARGEST_U16_VOCABULARY ? new Uint16Array(length) : new Uint32Array(length)
  tokens.set(before)
  tokens.set(ids, before.length)
  tokens.set(after, before.length + ids.length)
  return tokens
}

/** What a document carries besides its text. */
function itemOf({ id, source, offset, length, url, date, subset, metadata }: Document) {
  return { id, source, offset, length, url, date, subset, metadata }
}
