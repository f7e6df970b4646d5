// A selection of a crawl through the command: from a server that misbehaves, killed and gone on with.

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { serve } from '../io/faulty-server.ts'
import { makeCrawl } from '../stages/crawl.ts'
import { contents, killAll, type Options, scratch, sluice, start } from './sluice.ts'

const pipelineFile = fileURLToPath(new URL('./pipelines/crawl.ts', import.meta.url))
const crawl = await makeCrawl('CC-MAIN-2024-22', { warcFiles: 4, pages: 400 })

function words(folder: string, base: string, ...more: string[]): string[] {
  const places = ['--run', join(folder, 'run'), '--output', join(folder, 'out')]
  return ['run', pipelineFile, '--json', '--base', base, '--partition-size', '8MB', '--threads', '2', ...places, ...more]
}

function homeIn(folder: string): Options {
  return { env: { XDG_CACHE_HOME: join(folder, 'home') } }
}

const shards = (folder: string) => Object.entries(contents(join(folder, 'out'))).filter(([name]) => name.endsWith('.parquet'))

test('killed in the plan and in the work, from a server with a bad day, with and without a cache, the shards are the same bytes', async (t) => {
  const folder = scratch(t)
  // One address for all: where a page came from is in the shards.
  await using server = await serve(crawl.files, { latencyMs: 30, busyEvery: 40 })
  const calm = join(folder, 'calm')
  const undisturbed = await sluice(words(calm, server.url, '--threads', '1'), homeIn(calm))
  assert.equal(undisturbed.code, 0, undisturbed.stderr)
  const selected = crawl.captures.filter(
    ({ content_languages, content_mime_detected }) => content_mime_detected === 'text/html' && /eng|deu/.test(content_languages ?? ''),
  )
  assert.equal(JSON.parse(undisturbed.stdout).records, selected.length)

  const killed = join(folder, 'killed')
  mkdirSync(killed)
  const cache = ['--cache', join(killed, 'cache')]
  let kills = 0
  for (let moment = 1200; ; moment += 1300) {
    const { child, ended } = start(words(killed, server.url, ...cache), homeIn(killed))
    const timer = setTimeout(() => {
      kills++
      killAll(child)
    }, moment)
    const { code, stderr } = await ended
    clearTimeout(timer)
    if (code === 0) break
    assert.ok(kills < 30, stderr)
  }
  assert.ok(kills > 0)
  assert.deepEqual(shards(killed), shards(calm))
  assert.ok(readdirSync(join(killed, 'cache', 'objects')).length > 0)
})

test('a crawl that is misspelt ends with the way ids look', async (t) => {
  const folder = scratch(t)
  await using server = await serve({})
  const { code, stderr } = await sluice(words(folder, server.url), homeIn(folder))
  assert.equal(code, 1)
  assert.match(stderr, /has no URL index of CC-MAIN-2024-22/)
  assert.match(stderr, /named by year and week/)
})
