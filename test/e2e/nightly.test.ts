// Night after night into one corpus: what earlier builds have is dropped, and nothing is lost to an interruption.

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { contents, killAll, scratch, sluice, start } from './sluice.ts'

const pipelineFile = fileURLToPath(new URL('./pipelines/nightly.ts', import.meta.url))

const letters = (number: number) => [...String(number)].map((digit) => 'abcdefghij'[Number(digit)]).join('')
const text = (seed: number) => Array.from({ length: 50 }, (_, i) => letters((i * 31 + seed * 7919) % 997)).join(' ')

function writeNight(folder: string, night: string, seeds: readonly number[]): void {
  mkdirSync(join(folder, night), { recursive: true })
  writeFileSync(join(folder, night, 'texts.jsonl'), seeds.map((seed) => `${JSON.stringify({ text: text(seed) })}\n`).join(''))
}

function words(folder: string, night: string, run = night): string[] {
  const places = {
    run: join(folder, 'runs', run),
    input: join(folder, night),
    output: join(folder, 'out', night),
    index: join(folder, 'index'),
  }
  return ['run', pipelineFile, '--json', '--threads', '2', ...Object.entries(places).flatMap(([name, path]) => [`--${name}`, path])]
}

const published = (folder: string, night: string) =>
  readdirSync(join(folder, 'out', night))
    .filter((name) => name.endsWith('.jsonl'))
    .flatMap((name) =>
      readFileSync(join(folder, 'out', night, name), 'utf8')
        .trimEnd()
        .split('\n'),
    )
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line).text)

test('a second night publishes only what is new, however often it is run, and the index can be tended', async (t) => {
  const folder = scratch(t)
  writeNight(folder, 'monday', [1, 2, 3, 2])
  writeNight(folder, 'tuesday', [3, 4, 1, 5])
  const monday = await sluice(words(folder, 'monday'))
  assert.equal(monday.code, 0, monday.stderr)
  const tuesday = await sluice(words(folder, 'tuesday'))
  assert.equal(tuesday.code, 0, tuesday.stderr)
  assert.deepEqual(published(folder, 'tuesday'), [text(4), text(5)])
  const before = contents(join(folder, 'out', 'tuesday'))
  // The same again: as it stands, and with its run folder gone.
  assert.equal((await sluice(words(folder, 'tuesday'))).code, 0)
  rmSync(join(folder, 'runs', 'tuesday'), { recursive: true })
  assert.equal((await sluice(words(folder, 'tuesday'))).code, 0)
  assert.deepEqual(contents(join(folder, 'out', 'tuesday')), before)

  const facts = JSON.parse((await sluice(['index', 'inspect', join(folder, 'index', 'exact'), '--json'])).stdout)
  const records = facts.segments.map((segment: { records: number }) => segment.records).sort() // segments are named by hashes of paths
  assert.deepEqual([facts.stage, records], ['exactDedup', [2, 3]])
  const compacted = await sluice(['index', 'compact', join(folder, 'index', 'exact')])
  assert.match(compacted.stdout, /^2 segments became one of 5 records$/m)
  writeNight(folder, 'wednesday', [5, 6])
  assert.equal((await sluice(words(folder, 'wednesday'))).code, 0)
  assert.deepEqual(published(folder, 'wednesday'), [text(6)])
})

test('a plan’s pilot leaves no trace in the index: the run that follows publishes all', async (t) => {
  const folder = scratch(t)
  writeNight(folder, 'monday', [1, 2, 3])
  const planned = await sluice(['plan', ...words(folder, 'monday').slice(1)].filter((word) => word !== '--json'))
  assert.match(planned.stdout, /about 3 documents, 100 % kept/)
  assert.equal((await sluice(words(folder, 'monday'))).code, 0)
  assert.deepEqual(published(folder, 'monday'), [text(1), text(2), text(3)])
})

test('killed at any moment, a night run to its end gives what an undisturbed one gives', async (t) => {
  const folder = scratch(t)
  writeNight(folder, 'monday', [1, 2, 3])
  assert.equal((await sluice(words(folder, 'monday'))).code, 0)
  writeNight(folder, 'tuesday', [3, 4, 1, 5, 4])
  for (const delay of [300, 450, 600, 750]) {
    const { child, ended } = start(words(folder, 'tuesday'))
    await Promise.race([setTimeout(delay), ended])
    killAll(child)
    await ended
  }
  const finished = await sluice(words(folder, 'tuesday'))
  assert.equal(finished.code, 0, finished.stderr)
  assert.deepEqual(published(folder, 'tuesday'), [text(4), text(5)])
  const facts = JSON.parse((await sluice(['index', 'inspect', join(folder, 'index', 'minhash'), '--json'])).stdout)
  assert.deepEqual(facts.segments.map(({ records }: { records: number }) => records / 14).sort(), [2, 3])
})
