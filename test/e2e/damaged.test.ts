// Damaged input through a whole run: what can be read is read, what cannot is counted with its place, nothing vanishes.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { scratch, sluice } from './sluice.ts'

const pipelineFile = fileURLToPath(new URL('./pipelines/pages.ts', import.meta.url))
const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/warc/${name}`, import.meta.url))

function run(folder: string, ...inputs: string[]) {
  return sluice(['run', pipelineFile, '--json', '--run', join(folder, 'run'), '--input', inputs.join(','), '--output', join(folder, 'out')])
}

test('damaged files beside sound ones: every record is a document, ignored, or damage with its byte range', async (t) => {
  const folder = scratch(t)
  const damaged = [
    'bad-checksum.warc.gz',
    'bad-deflate.warc.gz',
    'cut-member.warc.gz',
    'garbage-between.warc.gz',
    'length-too-long.warc',
    'truncated.warc.gz',
  ]
  const { code, stdout, stderr } = await run(folder, ...['good.warc.gz', 'encodings.warc.gz', 'empty.warc', ...damaged].map(fixture))
  assert.equal(code, 0, stderr)
  const result = JSON.parse(stdout)
  const summary = JSON.parse(readFileSync(join(folder, 'run', 'summary.json'), 'utf8'))
  const ignored = Object.values<number>(summary.ignored).reduce((sum, count) => sum + count, 0)
  assert.equal(result.records, result.documents + ignored + result.damaged)
  assert.equal(result.documents, result.kept + result.dropped + result.quarantined)
  assert.ok(result.documents > 0 && result.damaged >= damaged.length - 1, stdout)
  for (const { source, offset, length, code: reason, message } of summary.damages) {
    assert.match(source, /^file:.*\.warc/)
    assert.ok(offset >= 0 && length > 0)
    assert.match(reason, /^SLUICE_/)
    assert.notEqual(message, '')
  }
})

test('a file that is no WARC at all is refused by name, with advice', async (t) => {
  const folder = scratch(t)
  const file = join(folder, 'picture.warc.gz')
  writeFileSync(file, gzipSync(Buffer.from('\u0089PNG, so to speak')))
  const { code, stderr } = await run(folder, file)
  assert.equal(code, 1)
  assert.match(stderr, /picture\.warc\.gz/)
  assert.match(stderr, /fix: /)
  assert.doesNotMatch(stderr, /\n {4}at /)
})

test('an input that is empty makes an empty corpus, not an error', async (t) => {
  const folder = scratch(t)
  const { code, stdout, stderr } = await run(folder, fixture('empty.warc'))
  assert.equal(code, 0, stderr)
  assert.deepEqual([JSON.parse(stdout).records, JSON.parse(stdout).kept], [0, 0])
})
