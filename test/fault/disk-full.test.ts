// A full disk: the run fails at once, says so, and goes on when there is room again.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { scratch, sluice } from '../e2e/sluice.ts'

const pipelineFile = fileURLToPath(new URL('../e2e/pipelines/texts.ts', import.meta.url))

/** A file system of 3 MB; undefined, and the test is skipped, where it may not be mounted. */
function smallDisk(t: TestContext): string | undefined {
  const disk = mkdtempSync(join(tmpdir(), 'sluice-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', disk], { stdio: 'ignore' })
  } catch {
    t.skip('no right to mount a small file system here')
    return undefined
  }
  t.after(() => execFileSync('umount', [disk]))
  return disk
}

test('a full disk ends the run with advice, and the same command finishes it when there is room', async (t) => {
  const disk = smallDisk(t)
  if (disk === undefined) return
  const folder = scratch(t)
  mkdirSync(join(folder, 'in'))
  const noise = (i: number) => Array.from({ length: 200 }, (_, j) => Math.imul(i * 200 + j, 2654435761) >>> 0).join(' ')
  writeFileSync(join(folder, 'in', '0.jsonl'), Array.from({ length: 500 }, (_, i) => `${JSON.stringify({ text: noise(i) })}\n`).join(''))
  const ballast = join(disk, 'ballast')
  writeFileSync(ballast, Buffer.alloc(2.5e6, 1))
  const words = ['run', pipelineFile, '--json', '--run', join(disk, 'run'), '--input', join(folder, 'in'), '--output', join(folder, 'out')]
  const failed = await sluice(words)
  assert.equal(failed.code, 1, failed.stderr)
  assert.match(failed.stderr, /SLUICE_DISK_FULL|ENOSPC/)
  assert.match(failed.stderr, /fix: /)
  assert.doesNotMatch(failed.stderr, /\n {4}at /)
  rmSync(ballast)
  const { code, stdout, stderr } = await sluice(words)
  assert.equal(code, 0, stderr)
  assert.equal(JSON.parse(stdout).kept, 500)
})

test('a disk that will not hold the run ends it after its first tasks, and what they did stays', async (t) => {
  const disk = smallDisk(t)
  if (disk === undefined) return
  const folder = scratch(t)
  mkdirSync(join(folder, 'in'))
  // Forty files whose items take about 0.4 MB each: 16 MB for a disk of 3 MB, which would be full after seven of them.
  const noise = (i: number) => Array.from({ length: 10_000 }, (_, j) => Math.imul(i * 10_000 + j, 2654435761) >>> 0).join(' ')
  for (let file = 0; file < 40; file++)
    writeFileSync(
      join(folder, 'in', `${file}.jsonl`),
      Array.from({ length: 10 }, (_, i) => `${JSON.stringify({ text: noise(file * 10 + i) })}\n`).join(''),
    )
  const words = ['run', pipelineFile, '--json', '--threads', '1', '--input', join(folder, 'in'), '--output', join(folder, 'out')]
  const failed = await sluice([...words, '--run', join(disk, 'run')])
  assert.equal(failed.code, 1, failed.stderr)
  assert.match(failed.stderr, /SLUICE_DISK_FORECAST/)
  assert.match(failed.stderr, /tasksDone [12]\b/)
  assert.match(failed.stderr, /fix: +free some space/)
})
