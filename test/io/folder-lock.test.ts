import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { lockFolder } from '../../src/io/folder-lock.ts'

function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

test('a folder is taken once, and free again when it is given back', async (t) => {
  const folder = scratch(t)
  {
    await using _lock = await lockFolder(folder)
    await assert.rejects(lockFolder(folder), { code: 'SLUICE_RUN_LOCKED' })
  }
  await using _again = await lockFolder(folder)
})

test('a lock of a dead process, of another process with its number, or torn, does not hold', async (t) => {
  const folder = scratch(t)
  const since = '2026-01-01T00:00:00.000Z'
  const dead = [
    { pid: 2 ** 22 - 1, host: hostname(), since },
    { pid: process.pid, host: hostname(), since, started: '1' },
  ].map((holder) => JSON.stringify(holder))
  for (const content of [...dead, '{"pid":']) {
    writeFileSync(join(folder, 'lock'), content)
    await using _lock = await lockFolder(folder)
    assert.equal(JSON.parse(readFileSync(join(folder, 'lock'), 'utf8')).pid, process.pid)
  }
})

test('a lock of another host holds: nobody here can tell whether its owner lives', async (t) => {
  const folder = scratch(t)
  writeFileSync(join(folder, 'lock'), JSON.stringify({ pid: 1, host: 'elsewhere', since: '2026-01-01T00:00:00.000Z' }))
  await assert.rejects(lockFolder(folder), { code: 'SLUICE_RUN_LOCKED' })
})

test('of many starts over a dead lock one gets the folder', async (t) => {
  const folder = scratch(t)
  writeFileSync(join(folder, 'lock'), JSON.stringify({ pid: 2 ** 22 - 1, host: hostname(), since: '2026-01-01T00:00:00.000Z' }))
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => lockFolder(folder)))
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
})
