// Poisonous documents: each is set aside, everything else comes through, and the counts close.

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runWords, scratch, sluice } from '../e2e/sluice.ts'

const pipelineFile = fileURLToPath(new URL('../e2e/pipelines/texts.ts', import.meta.url))

const barrierFile = fileURLToPath(new URL('../e2e/pipelines/barrier.ts', import.meta.url))

const runWith = (folder: string, poison: string[], ...more: string[]) => runFileWith(pipelineFile, folder, poison, ...more)

async function runFileWith(file: string, folder: string, poison: string[], ...more: string[]) {
  mkdirSync(join(folder, 'in'))
  const fine = (file: number) => Array.from({ length: 30 }, (_, i) => `an ordinary text, number ${i} of file ${file}`)
  for (let file = 0; file < 2; file++) {
    const texts = [...fine(file), ...(file === 0 ? poison : []), 'and a last one of file ' + file]
    writeFileSync(join(folder, 'in', `${file}.jsonl`), texts.map((text) => `${JSON.stringify({ text })}\n`).join(''))
  }
  const { code, stdout, stderr } = await sluice(runWords(file, folder, ...more))
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout)
}

function causes(folder: string): string[] {
  return JSON.parse(readFileSync(join(folder, 'run', 'quarantine.json'), 'utf8')).map(({ cause }: { cause: string }) => cause)
}

test('a document on which a stage throws is quarantined, and the run goes on', async (t) => {
  const folder = scratch(t)
  const result = await runWith(folder, ['throw me'])
  assert.deepEqual([result.documents, result.kept, result.quarantined], [63, 62, 1])
  const summary = JSON.parse(readFileSync(join(folder, 'run', 'summary.json'), 'utf8'))
  assert.equal(summary.quarantines[0].cause, 'threw')
  assert.equal(summary.quarantines[0].message, 'this document throws')
})

test('documents that abort the process, or end it as if all were well, are found and quarantined', async (t) => {
  const folder = scratch(t)
  const result = await runWith(folder, ['abort now', 'exit now'])
  assert.deepEqual([result.documents, result.kept, result.quarantined], [64, 62, 2])
  assert.deepEqual(causes(folder), ['crashed', 'crashed'])
})

test('poison in a barrier’s collect and behind the barrier is found, and no other document of its partition is blamed', async (t) => {
  const folder = scratch(t)
  const result = await runFileWith(barrierFile, folder, ['throw this', 'exit now', 'exit again'])
  assert.deepEqual([result.documents, result.kept, result.quarantined], [65, 62, 3])
  assert.deepEqual(causes(folder), ['threw', 'crashed', 'crashed'])
})

test('a document that hangs is found by its time and quarantined', async (t) => {
  const folder = scratch(t)
  const result = await runWith(folder, ['hang around'], '--document-timeout', '2')
  assert.deepEqual([result.kept, result.quarantined], [62, 1])
  assert.deepEqual(causes(folder), ['hung'])
})

test('a document that eats memory without end is found by the resident size and quarantined', async (t) => {
  const folder = scratch(t)
  const result = await runWith(folder, ['eat all'], '--memory', '1500MB')
  assert.deepEqual([result.kept, result.quarantined], [62, 1])
  assert.deepEqual(causes(folder), ['out_of_memory'])
})
