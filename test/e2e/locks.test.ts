// Two runs that would write into one output folder keep out of each other's way, whatever their run folders.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { killAll, runWords, scratch, sluice, start } from './sluice.ts'

const pipelineFile = fileURLToPath(new URL('./pipelines/texts.ts', import.meta.url))

function writeInput(folder: string): void {
  mkdirSync(join(folder, 'in'))
  const lines = Array.from({ length: 40 }, (_, i) => `${JSON.stringify({ text: `text number ${i} of forty` })}\n`)
  writeFileSync(join(folder, 'in', '0.jsonl'), lines.join(''))
}

test('a second run into the same output is refused while the first works, also from another run folder', async (t) => {
  const folder = scratch(t)
  writeInput(folder)
  const lock = join(folder, 'out', '.lock')
  const first = start(runWords(pipelineFile, folder, '--slow-ms', '50'))
  while (!existsSync(lock)) await sleep(20)
  const second = await sluice([...runWords(pipelineFile, folder), '--run', join(folder, 'another')])
  assert.equal(second.code, 1)
  assert.match(second.stderr, /another sluice works in this folder.*SLUICE_RUN_LOCKED/)
  assert.match(second.stderr, new RegExp(`folder ${join(folder, 'out')}`))
  const { code, stderr } = await first.ended
  assert.equal(code, 0, stderr)
  assert.ok(!existsSync(lock))
  assert.equal((await sluice([...runWords(pipelineFile, folder), '--run', join(folder, 'another')])).code, 0, 'afterwards it may')
})

test('the lock of a killed run does not hold, and readers of the output see none', async (t) => {
  const folder = scratch(t)
  writeInput(folder)
  const killed = start(runWords(pipelineFile, folder, '--slow-ms', '50'))
  while (!existsSync(join(folder, 'out', '.lock'))) await sleep(20)
  killAll(killed.child)
  await killed.ended
  assert.ok(existsSync(join(folder, 'out', '.lock')))
  const { code, stderr } = await sluice(runWords(pipelineFile, folder))
  assert.equal(code, 0, stderr)
  const { shards } = JSON.parse(readFileSync(join(folder, 'out', 'manifest.json'), 'utf8'))
  const names = shards.map(({ name }: { name: string }) => name)
  assert.deepEqual(readdirSync(join(folder, 'out')).sort(), [...names, 'manifest.json'].sort())
})

test('a folder of the user’s own files is refused, and left as it was', async (t) => {
  const folder = scratch(t)
  writeInput(folder)
  mkdirSync(join(folder, 'out'))
  writeFileSync(join(folder, 'out', 'letter.txt'), 'mine')
  const { code, stderr } = await sluice(runWords(pipelineFile, folder))
  assert.equal(code, 1)
  assert.match(stderr, /SLUICE_OUTPUT_TAKEN/)
  assert.deepEqual(readdirSync(join(folder, 'out')), ['letter.txt'])
})
