// Decontamination in a run, and what the audit says of it.

import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runWords, scratch, sluice } from './sluice.ts'

const pipelineFile = fileURLToPath(new URL('./pipelines/contaminated.ts', import.meta.url))
const riddle = 'what walks on four legs in the morning on two legs at noon and on three in the evening'

test('what was hit, where and how much is told by the audit', async (t) => {
  const folder = scratch(t)
  mkdirSync(join(folder, 'in'))
  writeFileSync(
    join(folder, 'in', 'riddles.txt'),
    `${riddle}\nwhat has roots as nobody sees is taller than trees up up it goes and yet never grows\n`,
  )
  const texts = ['a text of its own', `An old riddle: ${riddle}?`, riddle.slice(0, 40)]
  writeFileSync(join(folder, 'in', 'texts.jsonl'), texts.map((text) => `${JSON.stringify({ text })}\n`).join(''))
  const { code, stderr } = await sluice(runWords(pipelineFile, folder))
  assert.equal(code, 0, stderr)
  const run = join(folder, 'run')
  const table = await sluice(['audit', run, '--contamination'])
  assert.match(table.stdout, /^riddles +13 +2 +0 +1 +1 +50(\.0)? %$/m)
  const report = await sluice(['audit', run, '--contamination', '--json'])
  assert.deepEqual(JSON.parse(report.stdout).sets[0].found, [{ example: 0, share: 1, documents: 1 }])
  const rows = await sluice([
    'audit',
    run,
    '--json',
    '--query',
    `select "decontaminate.example" as example, reason from receipts where reason is not null`,
  ])
  assert.deepEqual(JSON.parse(rows.stdout), { example: 0, reason: 'contaminated_riddles' })
})
