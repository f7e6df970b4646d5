// What fine-tuned models are asked on the command line: labels, and targets.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { sluice } from '../e2e/sluice.ts'
import { temporaryFolder } from '../train/corpora.ts'
import { byteTokenizer } from './byte-tokenizer.ts'

const folder = await temporaryFolder()
const at = (name: string) => join(folder.path, name)
const lines = (values: readonly object[]) => values.map((value) => JSON.stringify(value)).join('\n')
const words = ['--batch-tokens', '512', '--lr', '0.01', '--threads', '1', '--tokenizer', at('tokenizer.json')]
const labelled = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => ({
    id: `n${from + i}`,
    text: `${from + i} ${i % 2 ? 'xx' : 'yy'}`,
    label: i % 2 ? 'ex' : 'wye',
  }))

after(async () => await folder[Symbol.asyncDispose]())
before(async () => {
  await writeFile(at('tokenizer.json'), byteTokenizer())
  const size = { contextLength: 32, layers: 1, width: 32, heads: 2 }
  await writeFile(at('encoder.json'), JSON.stringify({ architecture: 'encoder', ...size }))
  await writeFile(at('t5.json'), JSON.stringify({ architecture: 'encoder-decoder', ...size }))
  await writeFile(at('train.jsonl'), lines(labelled(0, 300)))
  await writeFile(at('test.jsonl'), lines(labelled(900, 920)))
  const pairs = Array.from({ length: 300 }, (_, i) => ({ input: `${i * 7} ${i % 2 ? 'xx' : 'yy'}`, target: i % 2 ? 'ex' : 'wye' }))
  await writeFile(at('pairs.jsonl'), lines(pairs))
})

test('a classifier labels texts of files and of the command line, and says how many labels are right', async () => {
  const model = at('classifier')
  const trained = await sluice(['train', at('train.jsonl'), '--model', at('encoder.json'), '--steps', '60', '--out', model, ...words])
  assert.equal(trained.code, 0, trained.stderr)
  const { code, stdout, stderr } = await sluice(['predict', model, at('test.jsonl'), '--batch', '7', '--threads', '1'])
  assert.equal(code, 0, stderr)
  const predicted = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    predicted.map(({ id, label }) => ({ id, label })),
    labelled(900, 920).map(({ id, label }) => ({ id, label })),
  )
  assert.ok(predicted.every(({ probability }) => probability > 0.5 && probability <= 1))
  assert.match(stderr, /20 of 20 labels are right, 100\.00 %/)

  const asked = await sluice(['predict', model, '--text', '5 xx', '--all'])
  const { label, probabilities } = JSON.parse(asked.stdout)
  assert.equal(label, 'ex')
  assert.ok(Math.abs(probabilities.ex + probabilities.wye - 1) < 1e-6 && probabilities.ex > 0.5)
  const both = await sluice(['predict', model, '--text', '5 xx', at('test.jsonl')])
  assert.match(both.stderr, /test\.jsonl is a file, and stands beside --text.*SLUICE_PREDICT_INPUT/)
  const refused = await sluice(['sample', model])
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /SLUICE_MODEL_ARCHITECTURE/)
})

test('an encoder-decoder writes the target of each prompt alone', async () => {
  const model = at('writer')
  const trained = await sluice(['train', at('pairs.jsonl'), '--model', at('t5.json'), '--steps', '150', '--out', model, ...words])
  assert.equal(trained.code, 0, trained.stderr)
  const greedy = ['--temperature', '0', '--prompt', '700 xx', '701 yy', '--tokens', '20']
  const { stdout, stderr } = await sluice(['sample', model, ...greedy])
  assert.equal(stdout, 'ex\n---\nwye\n', stderr)
  const { stdout: json } = await sluice(['sample', model, ...greedy, '--json', '--batch', '1'])
  const texts = json
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    texts.map(({ prompt, text, end }) => ({ prompt, text, end })),
    [
      { prompt: '700 xx', text: 'ex', end: 'stop' },
      { prompt: '701 yy', text: 'wye', end: 'stop' },
    ],
  )
  const refused = await sluice(['predict', model, '--text', 'x'])
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /SLUICE_MODEL_ARCHITECTURE/)
})
