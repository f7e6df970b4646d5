import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { platform } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { TRAINING_LOG_FILE } from '../../schemas/training-log.ts'
import { linesAfterStart, readLogStart } from '../../src/train/log.ts'
import { temporaryFolder } from './corpora.ts'

const skip = platform() === 'linux' ? false : 'open files are counted below /proc'

test('whoever reads the start of a log only leaves no file open', { skip }, async () => {
  await using folder = await temporaryFolder()
  const settings = { steps: 1, objective: 'causal' }
  const start = { event: 'start', step: 0, shards: ['a.parquet'], inputs: ['/a'], parameters: 1, settings }
  const others = Array.from({ length: 10_000 }, (_, step) => ({ event: 'none', step }))
  await writeFile(join(folder.path, TRAINING_LOG_FILE), [start, ...others].map((line) => JSON.stringify(line)).join('\n'))
  const open = () => readdirSync('/proc/self/fd').length
  const before = open()
  for (let i = 0; i < 50; i++) {
    assert.equal((await readLogStart(folder.path)).event, 'start')
    for await (const _ of linesAfterStart(folder.path)) break
  }
  // a file is closed soon after it was asked for
  assert.ok(open() < before + 10, `${open() - before} more files are open`)
})
