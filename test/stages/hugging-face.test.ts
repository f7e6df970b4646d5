// Data sets as the Hugging Face hub lays them out: by their card, or by folders and names.

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { DuckDBInstance } from '@duckdb/node-api'
import { huggingFace } from '../../stages/hugging-face.ts'
import { readAll } from './read-source.ts'

const root = await mkdtemp(join(tmpdir(), 'sluice-hf-'))
after(() => rm(root, { recursive: true }))
const duck = await (await DuckDBInstance.create()).connect()

/** Files by path; the text of each is its path. */
async function dataset(name: string, files: readonly string[], card?: string): Promise<string> {
  const folder = join(root, name)
  for (const path of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    if (path.endsWith('.parquet')) await duck.run(`copy (select '${path}' as text) to '${join(folder, path)}' (format parquet)`)
    else await writeFile(join(folder, path), path.endsWith('.csv') ? `text\n${path}\n` : `{"text":"${path}"}\n`)
  }
  if (card !== undefined) await writeFile(join(folder, 'README.md'), `---\n${card}---\n# Card\n`)
  return folder
}
const texts = async (options: Parameters<typeof huggingFace>[0]) => (await readAll(huggingFace(options))).items.map(({ text }) => text)

test('shards are of the split that their names say, in order', async () => {
  const shard = (split: string, n: number) => `data/${split}-0000${n}-of-00002.parquet`
  const path = await dataset('sharded', [shard('train', 1), shard('train', 0), shard('test', 0), shard('train_sft', 0)])
  assert.deepEqual(await texts({ path }), [shard('train', 0), shard('train', 1)])
  assert.deepEqual(await texts({ path, split: 'train_sft' }), [shard('train_sft', 0)])
  await assert.rejects(texts({ path, split: 'dev' }), /no split dev: there are test, train, train_sft/)
})

test('folders name configurations and splits; files without a word for it are for training', async () => {
  const path = await dataset('folders', ['en/train/a.jsonl', 'en/dev/b.csv', 'data/de/c.jsonl', '.cache/x/train.jsonl'])
  assert.deepEqual(await texts({ path, config: 'en' }), ['en/train/a.jsonl'])
  assert.deepEqual(await texts({ path, config: 'en', split: 'validation' }), ['en/dev/b.csv'])
  assert.deepEqual(await texts({ path, config: 'de' }), ['data/de/c.jsonl'])
  await assert.rejects(texts({ path, config: 'fr' }), { code: 'SLUICE_DATASET_LAYOUT' })
})

test('the card of a data set decides', async () => {
  const card = `configs:
- config_name: first
  data_files: "one/*.jsonl"
- config_name: second
  default: true
  data_files:
  - split: train
    path: ["two/a.jsonl", "two/b.parquet"]
  - split: held_out
    path: two/c.csv
- config_name: third
  data_dir: three
`
  const path = await dataset(
    'card',
    ['one/x.jsonl', 'two/a.jsonl', 'two/b.parquet', 'two/c.csv', 'three/test.jsonl', 'three/train.jsonl'],
    card,
  )
  assert.deepEqual(await texts({ path }), ['two/a.jsonl', 'two/b.parquet'])
  assert.deepEqual(await texts({ path, split: 'held_out' }), ['two/c.csv'])
  assert.deepEqual(await texts({ path, config: 'first' }), ['one/x.jsonl'])
  assert.deepEqual(await texts({ path, config: 'third', split: 'test' }), ['three/test.jsonl'])
  await assert.rejects(texts({ path, config: 'fourth' }), /there are first, second, third/)
  await assert.rejects(texts({ path: join(root, 'none') }), { code: 'SLUICE_INPUT_MISSING' })
})
