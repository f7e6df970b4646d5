// Private folders and corpora in one mixture, through the command: counts by subset, and the same bytes for any threads.

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import { contents, runWords, scratch, sluice } from './sluice.ts'

const pipelineFile = fileURLToPath(new URL('./pipelines/mixture.ts', import.meta.url))

function writeInputs(folder: string): void {
  const files: Record<string, string> = {
    'books.csv': `text,title\n${Array.from({ length: 50 }, (_, n) => `"book, ${n}",t${n}`).join('\n')}\nonly one field\n`,
    'notes/a.md': '---\ntitle: A\n---\nnote a',
    'notes/node_modules/x.md': 'not read',
    'code/LICENSE': 'MIT License',
    'code/main.ts': 'export {}',
    'code/.gitignore': 'out/',
    'code/out/main.js': 'not read',
  }
  for (let file = 0; file < 3; file++)
    files[`web/${file}.jsonl`] =
      `${Array.from({ length: 100 }, (_, n) => JSON.stringify({ text: `web ${file} ${n}` })).join('\n')}\n{"broken`
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
}

test('a mixture counts by subset, keeps the subset as a column, and is the same for any number of threads', async (t) => {
  const folder = scratch(t)
  writeInputs(join(folder, 'in'))
  for (const threads of ['1', '3']) {
    const more = [
      '--threads',
      threads,
      '--partition-size',
      '1kB',
      '--run',
      join(folder, `run${threads}`),
      '--output',
      join(folder, `out${threads}`),
    ]
    const { code, stderr } = await sluice(runWords(pipelineFile, folder, ...more))
    assert.equal(code, 0, stderr)
  }
  const shards = (threads: number) => Object.entries(contents(join(folder, `out${threads}`))).filter(([name]) => name.endsWith('.parquet'))
  assert.deepEqual(shards(1), shards(3))
  const { records, documents, damaged, ignored, subsets } = JSON.parse(readFileSync(join(folder, 'run1', 'summary.json'), 'utf8'))
  assert.equal(damaged, 3 + 2, 'a broken line a file, and a short row in each epoch')
  assert.equal(records, documents + damaged + ignored.left_out_by_weight)
  assert.deepEqual([subsets.books.documents, subsets.notes.documents, subsets.code.documents], [100, 1, 1])
  assert.ok(subsets.web.documents > 110 && subsets.web.documents < 190, `${subsets.web.documents} of 300`)
  const duck = await (await DuckDBInstance.create()).connect()
  const rows = await duck.runAndReadAll(
    `select subset, count(*)::int n, count(distinct id)::int ids from '${folder}/out1/*.parquet' group by 1 order by 1`,
  )
  for (const { subset, n, ids } of rows.getRowObjects()) {
    assert.equal(n, ids)
    assert.equal(n, subsets[String(subset)].kept)
  }
  const audit = await sluice(['audit', join(folder, 'run1')])
  assert.match(audit.stdout + audit.stderr, /subset +documents +kept/)
})

test('a column that is not there ends the run with those that are', async (t) => {
  const folder = scratch(t)
  writeInputs(join(folder, 'in'))
  writeFileSync(join(folder, 'in', 'books.csv'), 'Text,title\na,b\n')
  const { code, stderr } = await sluice(runWords(pipelineFile, folder))
  assert.notEqual(code, 0)
  assert.match(stderr, /did you mean Text\?/)
})
