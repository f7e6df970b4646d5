// The entry file on a Node that is too old for sluice: it finds the one the package brings, or says what to do.

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { scratch } from './sluice.ts'

const entry = fileURLToPath(new URL('../../bin/sluice.mjs', import.meta.url))
const old = oldNode()
const skip = old === undefined ? 'no Node older than 26 on this machine' : false

/** The host's own Node, where it is older: not the one that `npm test` puts in front. */
function oldNode(): string | undefined {
  const folders = (process.env.PATH ?? '').split(':').filter((folder) => !folder.includes('node_modules'))
  for (const folder of folders) {
    const { stdout } = spawnSync(join(folder, 'node'), ['--version'], { encoding: 'utf8' })
    const major = Number(/^v(\d+)/.exec(stdout ?? '')?.[1])
    if (major < 26) return join(folder, 'node')
  }
  return undefined
}

test('on an older Node the command runs under the one that the package brings', { skip }, () => {
  const found = JSON.parse(execFileSync(old ?? '', [entry, 'doctor', '--json'], { encoding: 'utf8' }))
  const node = found.findings.find(({ check }: { check: string }) => check === 'Node')
  assert.match(node.found, /^v(2[6-9]|[3-9]\d)\./)
})

test('without that Node it says what to do, and an exit code passes through', { skip }, (t) => {
  const folder = scratch(t)
  mkdirSync(join(folder, 'bin'))
  cpSync(entry, join(folder, 'bin', 'sluice.mjs'))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  const { status, stderr } = spawnSync(old ?? '', [join(folder, 'bin', 'sluice.mjs'), '--help'], { encoding: 'utf8' })
  assert.equal(status, 1)
  assert.match(stderr, /needs Node 26 or newer[\s\S]*without --omit=optional/)
  assert.equal(spawnSync(old ?? '', [entry, 'run', 'nowhere.ts']).status, 1)
})
