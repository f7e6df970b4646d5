import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeWhole } from '../../src/io/write-whole.ts'

test('a file that cannot be written leaves nothing behind and an error that names it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const inTheWay = join(folder, 'manifest.json')
  mkdirSync(inTheWay)
  await assert.rejects(writeWhole(inTheWay, 'text'), { code: 'SLUICE_FILE_MISSING', where: { file: inTheWay } })
  assert.deepEqual(readdirSync(folder), ['manifest.json'])
  await assert.rejects(writeWhole(join(folder, 'nowhere', 'a'), 'text'), { code: 'SLUICE_FILE_MISSING' })
})
