// Personal data in the input is nowhere in what a run leaves: shards, statistics, rejected documents, logs, reports, indexes.

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { scratch, sluice } from './sluice.ts'

const pipelineFile = fileURLToPath(new URL('./pipelines/private.ts', import.meta.url))

const planted = [
  'jane.doe-secret@example-corp.com',
  '+1 415 555 2671',
  '4111 1111 1111 1111',
  'GB82 WEST 1234 5698 7654 32',
  'AKIAIOSFODNN7EXAMPLE',
  '00:1B:44:11:3A:B7',
  '8.8.4.4',
  '1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa',
]
const login = 'bob:hunter2secret'

test('what is planted in texts, addresses, metadata, damaged lines and errors is written nowhere', async (t) => {
  const folder = scratch(t)
  const records = planted.flatMap((value, i) =>
    ['keep', 'keep', 'drop', 'throw'].map((fate) => ({
      text: `${fate} call or write ${value} for more`,
      url: `https://${login}@intranet.example-corp.com/${i}?mail=${planted[0]}`,
      author: value,
    })),
  )
  const damaged = planted.map((value) => `{"text": "${value}" oops}\n`).join('')
  mkdirSync(join(folder, 'in'))
  writeFileSync(join(folder, 'in', 'a.jsonl'), records.map((record) => `${JSON.stringify(record)}\n`).join('') + damaged)
  const run = join(folder, 'run')
  const places = ['--run', run, '--input', join(folder, 'in'), '--output', join(folder, 'out'), '--index', join(folder, 'index')]
  const ran = await sluice(['run', pipelineFile, ...places, '--json', '--max-error-rate', '1', '--rejected', 'all'])
  assert.equal(ran.code, 0, ran.stderr)
  const { kept, damaged: lost } = JSON.parse(ran.stdout)
  assert.deepEqual([kept, lost], [planted.length, planted.length])
  const said = [ran]
  for (const words of [
    ['audit', run],
    ['audit', run, '--json', '--query', 'select * from receipts'],
    ['audit', run, '--json', '--query', 'select * from rejected'],
    ['clusters', run],
    ['clusters', run, '--json'],
    ['clusters', run, '--out', join(folder, 'out', 'clusters')],
    ['index', 'inspect', join(folder, 'index')],
  ]) {
    const done = await sluice(words)
    assert.equal(done.code, 0, `${words.join(' ')}: ${done.stderr}`)
    said.push(done)
  }
  // Parquet and Arrow are compressed: what their rows say, the queries and the shards have shown.
  const files = ['run', 'out', 'index'].flatMap((name) =>
    readdirSync(join(folder, name), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  )
  const everything = [...said.flatMap(({ stdout, stderr }) => [stdout, stderr]), ...files.map((file) => readFileSync(file, 'latin1'))]
  for (const secret of [...planted, login, 'hunter2secret'])
    assert.ok(
      !everything.some((text) => text.includes(secret)),
      `${secret} is in ${files.find((file) => readFileSync(file, 'latin1').includes(secret))}`,
    )
})
