// What `sluice clusters` tells of a run with duplicates.

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { scratch, sluice } from './sluice.ts'

const pipelineFile = fileURLToPath(new URL('./pipelines/nightly.ts', import.meta.url))
const letters = (number: number) => [...String(number)].map((digit) => 'abcdefghij'[Number(digit)]).join('')
const text = (seed: number) => Array.from({ length: 80 }, (_, i) => letters((i * 31 + seed * 7919) % 997)).join(' ')

test('clusters are shown with what they share, found by a member, and written as data', async (t) => {
  const folder = scratch(t)
  mkdirSync(join(folder, 'in'))
  const mail = 'write to somebody@mail.example.org today'
  const texts = [text(1), `${mail} ${text(2)}`, `${mail} ${text(2)} and a little more`, text(3), text(1), `${mail} ${text(2)} then some`]
  writeFileSync(join(folder, 'in', 'texts.jsonl'), texts.map((text) => `${JSON.stringify({ text })}\n`).join(''))
  const run = join(folder, 'run')
  const places = ['--run', run, '--input', join(folder, 'in'), '--output', join(folder, 'out'), '--index', join(folder, 'index')]
  const ran = await sluice(['run', pipelineFile, '--json', '--threads', '1', ...places])
  assert.equal(ran.code, 0, ran.stderr)

  const exact = await sluice(['clusters', run])
  assert.match(exact.stdout, /^exactDedup: 1 clusters\n\n2 documents\n {2}stays {5}1\.00 .*\n {2}duplicate 1\.00 /m)
  const near = await sluice(['clusters', run, '--stage', 'minhashDedup', '--json'])
  const [cluster] = near.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.equal(cluster.size, 3)
  assert.ok(cluster.members[1].similarity > 0.8 && cluster.members[1].similarity < 1)
  const one = await sluice(['clusters', run, '--stage', 'minhashDedup', '--id', cluster.members[2].id])
  assert.match(one.stdout, /^ {2}shared: write to <EMAIL> today /m)
  assert.doesNotMatch(one.stdout, /somebody/)

  const file = join(folder, 'clusters.jsonl')
  assert.equal((await sluice(['clusters', run, '--stage', 'minhashDedup', '--out', file])).code, 0)
  const members = readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    members.map(({ fate, size }) => [fate, size]),
    [
      ['stays', 3],
      ['duplicate', 3],
      ['duplicate', 3],
    ],
  )
  assert.equal(new Set(members.map(({ cluster }) => cluster)).size, 1)

  assert.match((await sluice(['clusters', run, '--stage', 'lineDedup'])).stderr, /it has exactDedup, minhashDedup/)
  assert.equal((await sluice(['clean', run])).code, 0)
  assert.match((await sluice(['clusters', run])).stderr, /left nothing to read/)
})
