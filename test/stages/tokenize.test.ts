import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Document } from '../../src/core/document.ts'
import type { Stage, StageContext } from '../../src/core/stage.ts'
import { loadTokenizer, sha256 } from '../../src/tokenizer/tokenizer.ts'
import { tokenize } from '../../stages/tokenize.ts'
import { trainTokenizer } from '../../stages/train-tokenizer.ts'
import { runBarrier } from '../dedup/run-barrier.ts'
import { bert } from '../tokenizer/small-tokenizers.ts'
import { realTexts } from '../tokenizer/text.ts'

const root = mkdtempSync(join(tmpdir(), 'sluice-tokenize-'))
after(() => rmSync(root, { recursive: true }))

const documents: Document[] = realTexts(20).map((text, i) => {
  return { id: String(i), source: 'file:texts', offset: i, length: 0, metadata: { n: i }, text: text.toWellFormed() }
})

async function run<Out>(stage: Stage<Document, Out>, artifact = '') {
  const statistics: Record<string, number>[] = []
  const context: StageContext = {
    seed: 0,
    signal: new AbortController().signal,
    memoryBytes: 1 << 26,
    examine: (_, work) => work(),
    record: (_, measured) => statistics.push({ ...measured }),
    drop: () => false,
    artifact: (name) => join(root, artifact, name),
  }
  const opened = await stage.open(context)
  const out = await opened.process(documents)
  await opened.close?.()
  return { out, statistics }
}

test('documents become ids that end with the end of text, and say by which vocabulary', async () => {
  const { out, statistics } = await run(tokenize({ tokenizer: 'gpt2' }))
  const gpt2 = await loadTokenizer('gpt2')
  for (const [i, { tokens, vocabulary, ...item }] of out.entries()) {
    assert.ok(tokens instanceof Uint16Array)
    assert.deepEqual([...tokens], [...gpt2.encode(documents[i].text), 50256])
    assert.deepEqual({ ...vocabulary, file: '' }, { hash: gpt2.hash, size: 50257, endOfText: 50256, file: '' })
    assert.equal(sha256(readFileSync(vocabulary.file)), gpt2.hash)
    assert.deepEqual([item.id, item.metadata], [documents[i].id, documents[i].metadata])
    assert.equal(statistics[i].tokens, tokens.length)
    assert.equal(statistics[i].charactersPerToken, [...documents[i].text].length / tokens.length)
  }
})

test('a vocabulary beyond 65,536 gives u32, and the end may be left out', async () => {
  const { out } = await run(tokenize({ tokenizer: 'cl100k', appendEndOfText: false }))
  assert.ok(out[0].tokens instanceof Uint32Array)
  assert.notEqual(out[0].tokens.at(-1), 100257)
})

test('a tokenizer trained in the pipeline is found by the stage that it is given to', async () => {
  const training = trainTokenizer({ vocabSize: 1000 })
  const trained = join(root, training.name)
  // The folder of the artifact is what the engine keeps of the last merge step.
  mkdirSync(trained)
  const { kept } = await runBarrier(training, [documents.slice(0, 11), documents.slice(11)], {
    inspect: async (merged) => copyFileSync(join(merged, 'tokenizer.json'), join(trained, 'tokenizer.json')),
  })
  assert.deepEqual(kept.flat(), documents)
  const { out } = await run(tokenize({ tokenizer: training }))
  const tokenizer = await loadTokenizer(join(trained, 'tokenizer.json'))
  assert.equal(out[0].vocabulary.file, join(trained, 'tokenizer.json'))
  assert.equal(out[0].vocabulary.size, 1000)
  for (const [i, { tokens }] of out.entries()) assert.equal(tokenizer.decode(tokens.subarray(0, -1)), documents[i].text)
})

test('training gives the same file however the documents are divided', async () => {
  const files: string[] = []
  const inspect = async (merged: string) => void files.push(readFileSync(join(merged, 'tokenizer.json'), 'utf8'))
  const training = trainTokenizer({ vocabSize: 600, pattern: 'gpt2' })
  await runBarrier(training, [documents], { inspect })
  await runBarrier(training, [documents.slice(0, 3), [], documents.slice(3)], { inspect, memoryBytes: 40 << 20, batch: 2 })
  assert.equal(files[0], files[1])
})

test('wrong options are refused before anything runs', () => {
  assert.throws(() => tokenize({ tokenizer: join(root, 'missing.json') }), { code: 'SLUICE_TOKENIZER_UNKNOWN' })
  assert.throws(() => trainTokenizer({ vocabSize: 257, specialTokens: ['<|endoftext|>', '<|pad|>'] }), /too small/)
  assert.throws(() => trainTokenizer({ specialTokens: ['</s>', '</s>'] }), /twice/)
  assert.throws(() => trainTokenizer({ specialTokens: ['<pad>'] }), /none of them ends a document/)
})

test('the special tokens of the model stand around each document where asked for, the end not twice', async () => {
  const path = join(root, 'bert.json')
  writeFileSync(path, JSON.stringify(bert))
  const framed = await run(tokenize({ tokenizer: path, modelFrame: true }))
  const ended = await run(tokenize({ tokenizer: path }))
  const bare = await run(tokenize({ tokenizer: path, appendEndOfText: false }))
  bare.out.forEach(({ tokens }, i) => {
    assert.deepEqual([...framed.out[i].tokens], [2, ...tokens, 3])
    assert.deepEqual([...ended.out[i].tokens], [...tokens, 3])
  })
})
