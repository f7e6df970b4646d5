// The published package, as a user gets it: packed, installed into an empty folder, and run there on a pipeline of his own.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { scratch } from './sluice.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
/** What users have: the host's own Node first, not the one that `npm test` put in front. */
const hostPath = (process.env.PATH ?? '').split(':').filter((folder) => !folder.includes('node_modules'))
const environment = { ...process.env, NODE_TEST_CONTEXT: '', NODE_OPTIONS: '', PATH: [...hostPath, dirname(process.execPath)].join(':') }

const PIPELINE = `
import { pipeline } from 'sluice'
import * as s from 'sluice/stages'

export default pipeline('mine', { seed: 1 })
  .from(s.jsonl({ path: 'in/*.jsonl' }))
  .pipe(s.filter('not-empty', (document) => document.text !== ''))
  .pipe(s.minhashDedup())
  .to(s.parquetShards({ path: 'out' }))
`

test('npm pack gives a package whose npx sluice runs a pipeline file in an empty folder', async (t) => {
  const folder = scratch(t)
  const npm = (...words: string[]) => run('npm', [...words, '--no-audit', '--no-fund'], { cwd: folder, env: environment, maxBuffer: 64e6 })
  await run('npm', ['pack', '--pack-destination', folder], { cwd: root, env: environment, maxBuffer: 64e6 })
  const [archive] = readdirSync(folder).filter((name) => name.endsWith('.tgz'))
  writeFileSync(join(folder, 'package.json'), '{ "name": "user", "private": true, "type": "module" }')
  try {
    await npm('install', '--prefer-offline', `./${archive}`)
  } catch (error) {
    if (!/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT/.test(String(error))) throw error
    t.skip('no npm registry can be reached from here')
    return
  }

  mkdirSync(join(folder, 'in'))
  const words = 'one two three four five six seven eight nine ten eleven twelve'
  writeFileSync(
    join(folder, 'in', 'a.jsonl'),
    [words, words, 'another text altogether'].map((text) => `${JSON.stringify({ text })}\n`).join(''),
  )
  writeFileSync(join(folder, 'mine.ts'), PIPELINE)
  const { stdout } = await run('npx', ['sluice', 'run', 'mine.ts', '--json'], { cwd: folder, env: environment, maxBuffer: 64e6 })
  const result = JSON.parse(stdout)
  assert.deepEqual([result.documents, result.kept], [3, 2])
  assert.ok(readdirSync(join(folder, 'out')).some((name) => name.endsWith('.parquet')))

  const { stdout: doctor } = await run('npx', ['sluice', 'doctor'], { cwd: folder, env: environment })
  assert.match(doctor, /ok +kernels/)
})
