import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pipeline } from 'sluice'
import * as s from 'sluice/stages'
import { RunFolder } from '../../src/engine/run-folder.ts'
import { inputFolder, runHere } from './runs-here.ts'

test('a folder of the user’s, a file, and another pipeline’s run are refused as run folders', async (t) => {
  const folder = inputFolder(t, ['one'])
  const check = (name: string) => new RunFolder(join(folder, name)).check('p')
  await assert.rejects(check('in'), { code: 'SLUICE_RUN_TAKEN' })
  await assert.rejects(check('in/0.jsonl'), { code: 'SLUICE_RUN_TAKEN' })
  const other = pipeline('other')
    .from(s.jsonl({ path: join(folder, 'in') }))
    .to(s.jsonlShards({ path: join(folder, 'out') }))
  await runHere(other, { run: join(folder, 'run') })
  await assert.rejects(check('run'), { code: 'SLUICE_RUN_OTHER' })
  await new RunFolder(join(folder, 'run')).check('other')
})

test('a folder that is not there, and what a run leaves that was killed early, are accepted', async (t) => {
  const folder = inputFolder(t)
  await new RunFolder(join(folder, 'new')).check('p')
  mkdirSync(join(folder, 'killed'))
  for (const name of ['lock', 'lock.0a1b2c3d', 'in-flight', 'run.json.0a1b2c3d.tmp']) writeFileSync(join(folder, 'killed', name), '')
  await new RunFolder(join(folder, 'killed')).check('p')
})
