// `sluice audit` on a run that `sluice run` made, and on folders that are none.

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { scratch, sluice } from './sluice.ts'

const pipelineFile = fileURLToPath(new URL('./pipelines/texts.ts', import.meta.url))

/** 40 documents: 4 tiny, 4 that throw, 16 that are all the same, 16 of their own. */
async function runTexts(folder: string): Promise<string> {
  const texts = Array.from({ length: 40 }, (_, i) =>
    i % 10 === 0 ? 'tiny' : i % 10 === 1 ? `throw ${i} now` : i % 2 ? 'the same text again and again' : `a text of its own, number ${i}`,
  )
  mkdirSync(join(folder, 'in'))
  writeFileSync(join(folder, 'in', 'texts.jsonl'), texts.map((text) => `${JSON.stringify({ text })}\n`).join(''))
  const run = join(folder, 'run')
  const { code, stderr } = await sluice([
    'run',
    pipelineFile,
    '--run',
    run,
    '--input',
    join(folder, 'in'),
    '--output',
    join(folder, 'out'),
    '--threads',
    '1',
    '--json',
    '--max-error-rate',
    '1',
  ])
  assert.equal(code, 0, stderr)
  return run
}

test('the funnel of a real run, on the terminal, as JSON, as a report, by reason and by SQL', async (t) => {
  const run = await runTexts(scratch(t))
  const table = await sluice(['audit', run])
  assert.equal(table.code, 0, table.stderr)
  assert.match(table.stdout, /^texts: 17 of 40 documents kept \(42\.5 %\)$/m)
  assert.match(table.stdout, /^not-poisonous +40 +36 +0/m)
  assert.match(table.stdout, /^ {2}quarantined +4$/m)
  assert.ok(table.stdout.includes(`report: ${join(run, 'audit.html')}`))
  assert.ok(readFileSync(join(run, 'audit.html'), 'utf8').includes('this document throws'))

  const { stdout } = await sluice(['audit', run, '--json'])
  const funnel = JSON.parse(stdout)
  assert.deepEqual([funnel.documents, funnel.kept, funnel.dropped, funnel.quarantined, funnel.isFinished], [40, 17, 19, 4, true])
  assert.deepEqual(
    funnel.stages.map(({ stage, in: entered, kept }: { stage: string; in: number; kept: number }) => [stage, entered, kept]),
    [
      ['not-poisonous', 40, 36],
      ['long-enough', 36, 32],
      ['exactDedup', 32, 17],
    ],
  )

  const samples = await sluice(['audit', run, '--stage', 'exactDedup', '--samples', '2', '--json'])
  assert.deepEqual(
    samples.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).text),
    ['the same text again and again', 'the same text again and again'],
  )
  const rows = await sluice(['audit', run, '--json', '--query', "select count(*) as n from receipts where outcome = 'dropped'"])
  assert.deepEqual(JSON.parse(rows.stdout), { n: 19 })
})

test('a slip of the pen is told with what there is', async (t) => {
  const folder = scratch(t)
  const none = await sluice(['audit', folder])
  assert.equal(none.code, 1)
  assert.match(none.stderr, /SLUICE_RUN_MISSING/)
  const run = await runTexts(folder)
  const stage = await sluice(['audit', run, '--stage', 'exactDedupe'])
  assert.match(stage.stderr, /no stage of this run is called exactDedupe.*\n +fix: +it has not-poisonous, long-enough, exactDedup/)
  const query = await sluice(['audit', run, '--query', 'select * from recipes'])
  assert.match(query.stderr, /SLUICE_QUERY/)
  for (const { code, stderr } of [stage, query]) {
    assert.equal(code, 1)
    assert.doesNotMatch(stderr, /\n {4}at /)
  }
})
