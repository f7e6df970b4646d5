// The fixture is made by bench/peers/gguf_fixture.py.

import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { SluiceError } from '../../src/core/errors.ts'
import { ggufParameterName, ggufTokenizer, readGgufConfig, turnBack } from '../../src/model/hf/read-gguf.ts'
import { parseTokenizerJson, serializeTokenizerJson } from '../../src/tokenizer/formats.ts'
import { createTokenizer, loadTokenizer } from '../../src/tokenizer/tokenizer.ts'
import { GgufFile } from '../../src/train/gguf.ts'
import { readPretrained } from '../../src/train/pretrained.ts'
import { readGgufModel } from '../../src/train/pretrained-gguf.ts'
import { temporaryFolder } from './corpora.ts'

const fixtures = fileURLToPath(new URL('../../fixtures', import.meta.url))
const fixture = join(fixtures, 'gguf/packings.gguf')
const code = (wanted: string) => (error: unknown) => error instanceof SluiceError && error.code === wanted

test('every packing gives the bits that the package of llama.cpp gives', async () => {
  await using file = await GgufFile.open(fixture)
  for (const name of ['F16', 'BF16', 'Q4_0', 'Q4_1', 'Q8_0', 'Q4_K', 'Q6_K']) {
    assert.equal(file.tensors.get(name)?.shape[0], 3)
    const expected = await file.read(`${name} as f32`)
    assert.ok(expected.every(Number.isFinite))
    assert.deepEqual(await file.read(name), expected, name)
  }
})

test('metadata of all types are read', async () => {
  await using file = await GgufFile.open(fixture)
  const { metadata } = file
  const read = ['general.architecture', 'text', 'list', 'float', 'long', 'negative', 'yes'].map((key) => metadata.get(key))
  assert.deepEqual(read, ['llama', 'Grüße', [1, -2, 3], 0.25, 2 ** 40, -5, true])
})

test('a file that was cut anywhere is refused as damaged', async () => {
  await using folder = await temporaryFolder()
  const whole = await readFile(fixture)
  const path = join(folder.path, 'cut.gguf')
  for (const length of [0, 3, 20, 100, 700, whole.length - 1]) {
    await writeFile(path, whole.subarray(0, length))
    const readAll = async () => {
      await using file = await GgufFile.open(path)
      for (const name of file.tensors.keys()) await file.read(name)
    }
    await assert.rejects(readAll(), code('SLUICE_GGUF_DAMAGED'), `${length} bytes`)
  }
})

test('rows of heads come back to where transformers has them', () => {
  // a head of 4 rows, of one column each: 0 and 2 are a pair, 1 and 3 another; llama.cpp keeps pairs side by side
  assert.deepEqual(turnBack(Float32Array.of(0, 2, 1, 3, 10, 12, 11, 13), 2, 4), Float32Array.of(0, 1, 2, 3, 10, 11, 12, 13))
})

const llama = new Map<string, unknown>([
  ['general.architecture', 'llama'],
  ['llama.block_count', 2],
  ['llama.context_length', 64],
  ['llama.embedding_length', 16],
  ['llama.feed_forward_length', 28],
  ['llama.attention.head_count', 4],
  ['llama.attention.head_count_kv', 2],
  ['llama.attention.layer_norm_rms_epsilon', Math.fround(1e-5)],
])
const tensors = new Map([['token_embd.weight', { shape: [48, 16] }]])

test('a configuration says what the metadata say', () => {
  const config = readGgufConfig(llama, tensors, 'x.gguf')
  const { layers, contextLength, width, hiddenWidth, heads, kvHeads, headSize, normEpsilon, tiedEmbeddings, vocabularySize } = config
  assert.deepEqual([layers, contextLength, width, hiddenWidth, heads, kvHeads, headSize], [2, 64, 16, 28, 4, 2, 4])
  assert.deepEqual([normEpsilon, tiedEmbeddings, vocabularySize], [1e-5, true, 48])
  assert.equal(ggufParameterName('blk.1.attn_q.weight'), 'model.layers.1.self_attn.q_proj.weight')
  assert.equal(ggufParameterName('blk.1.ffn_gate_inp.weight'), undefined)
})

test('what would be computed otherwise is refused by its name', () => {
  const cases: [key: string, value: unknown, named: RegExp][] = [
    ['general.architecture', 'gemma2', /gemma2/],
    ['llama.expert_count', 8, /expert_count/],
    ['llama.rope.scaling.type', 'yarn', /rope\.scaling\.type/],
    ['llama.rope.dimension_count', 2, /rope\.dimension_count/],
    ['llama.attention.sliding_window', 32, /sliding_window/],
    ['llama.block_count', undefined, /block_count/],
  ]
  for (const [key, value, named] of cases)
    assert.throws(
      () => readGgufConfig(new Map([...llama, [key, value]]), tensors, 'x.gguf'),
      (error) => error instanceof SluiceError && error.code === 'SLUICE_MODEL_FAMILY' && named.test(error.message),
      key,
    )
})

test('a Llama out of a GGUF file is that of transformers, rows of queries and keys in their order', async () => {
  const { config, weights, tokenizer } = await readGgufModel(join(fixtures, 'gguf/llama.gguf'))
  const same = await readPretrained(join(fixtures, 'models/llama'))
  assert.deepEqual(config, same.config)
  assert.deepEqual(new Map([...weights].sort()), new Map([...same.weights].sort()))
  assert.equal(tokenizer, undefined)
})

test('tensors without a place, of another shape or missing are refused', async () => {
  await using folder = await temporaryFolder()
  const whole = await readFile(join(fixtures, 'gguf/llama.gguf'), 'latin1')
  const cases: [from: string, to: string][] = [
    ['blk.0.ffn_up.weight', 'blk.7.ffn_up.weight'],
    ['blk.0.ffn_up.weight', 'blk.0.ffn_xx.weight'],
    ['blk.0.ffn_up.weight', 'blk.0.attn_q.weight'],
  ]
  for (const [i, [from, to]] of cases.entries()) {
    const path = join(folder.path, `${i}.gguf`)
    await writeFile(path, whole.replace(from, to), 'latin1')
    await assert.rejects(readGgufModel(path), code('SLUICE_MODEL_WEIGHTS'), to)
  }
})

const tokenizerSchema = z.looseObject({
  added_tokens: z.array(z.looseObject({ id: z.int() })),
  model: z.looseObject({ vocab: z.record(z.string(), z.int()), merges: z.array(z.unknown()) }),
})
const MERGES = 1200

/** GPT-2's tokenizer with its first merges alone: tokenizer.json, and what a GGUF file says of it. */
async function smallGpt2(): Promise<{ json: string; metadata: Map<string, unknown> }> {
  const { definition } = await loadTokenizer('gpt2')
  assert.ok(definition.kind === 'bytes')
  const whole = tokenizerSchema.parse(JSON.parse(serializeTokenizerJson(definition)))
  const endOfText = 256 + MERGES
  const kept = Object.entries(whole.model.vocab).filter(([, id]) => id < endOfText)
  const vocab = { ...Object.fromEntries(kept), '<|endoftext|>': endOfText }
  const merges = whole.model.merges.slice(0, MERGES)
  const added_tokens = whole.added_tokens.map((token) => ({ ...token, id: endOfText }))
  const tokens: string[] = []
  for (const [token, id] of Object.entries(vocab)) tokens[id] = token
  const metadata = new Map<string, unknown>([
    ['tokenizer.ggml.model', 'gpt2'],
    ['tokenizer.ggml.pre', 'gpt-2'],
    ['tokenizer.ggml.tokens', tokens],
    ['tokenizer.ggml.token_type', tokens.map((_, id) => (id === endOfText ? 3 : 1))],
    ['tokenizer.ggml.merges', merges.map((merge) => (Array.isArray(merge) ? merge.join(' ') : merge))],
  ])
  return { json: JSON.stringify({ ...whole, added_tokens, model: { ...whole.model, vocab, merges } }), metadata }
}

test('the tokenizer of a file gives the ids of the one it was made of; with smollm each digit is a token', async () => {
  const text = "It's 1984:\n\n  Übermäßig  12,345 <|endoftext|> 你好"
  const { json, metadata } = await smallGpt2()
  const open = (content: string) => createTokenizer('x', parseTokenizerJson(content, { file: 'x' }), '')
  const tokenizerOf = (from: Map<string, unknown>) => open(JSON.stringify(ggufTokenizer(from)))
  const expected = open(json)
  const own = tokenizerOf(metadata)
  assert.deepEqual(own.encode(text), expected.encode(text))
  assert.deepEqual(own.encodeWithSpecials(text), expected.encodeWithSpecials(text))
  assert.equal(own.endOfText, expected.endOfText)
  assert.equal(expected.encode('1910').length, 2)
  assert.equal(tokenizerOf(new Map([...metadata, ['tokenizer.ggml.pre', 'smollm']])).encode('1910').length, 4)
  assert.equal(ggufTokenizer(new Map([...metadata, ['tokenizer.ggml.pre', 'tekken']])), undefined)
})
