// What the audit reads from a run folder, and what it makes of it.

import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { funnelOf } from '../../src/audit/funnel.ts'
import { Queries } from '../../src/audit/queries.ts'
import { readRun } from '../../src/audit/read-run.ts'
import { reportHtml } from '../../src/audit/report.ts'
import { readSamples } from '../../src/audit/samples.ts'
import { funnelTable } from '../../src/audit/terminal-table.ts'
import { SluiceError } from '../../src/core/errors.ts'
import { assertCloses } from '../../src/engine/summary.ts'
import { HOSTILE, inventRun } from './invented-run.ts'

const folder = await mkdtemp(join(tmpdir(), 'sluice-audit-'))
after(() => rm(folder, { recursive: true }))
const path = join(folder, 'run')
const summary = await inventRun(path)
const run = await readRun(path)

test('the invented run closes, as a real one must', () => {
  assertCloses(summary, 'the invented run')
})

test('the funnel has every stage in order, with what it dropped and why', () => {
  const { stages, ...funnel } = funnelOf(run)
  assert.deepEqual(
    [funnel.records, funnel.documents, funnel.kept, funnel.dropped, funnel.quarantined, funnel.damaged],
    [210, 200, 78, 120, 2, 4],
  )
  assert.deepEqual(
    stages.map(({ stage, phase, in: entered, kept, dropped, quarantined }) => [stage, phase, entered, kept, dropped, quarantined]),
    [
      ['gopherQuality', 0, 200, 150, 50, 0],
      ['mine', 0, 150, 118, 30, 2],
      ['minhashDedup', 1, 118, 78, 40, 0],
    ],
  )
  assert.deepEqual([stages[0].variant, stages[1].variant], ['gopher@invented-1', undefined])
  assert.deepEqual(stages[0].reasons, [{ reason: 'gopher_short_doc', documents: 50 }])
  assert.deepEqual(funnel.outputs, [{ path: '/corpora/invented', shards: 2, documents: 78, tokens: 24_690, bytes: 10_000 }])
  assert.deepEqual(funnel.missing, [])
})

test('SQL sees each document once a phase, and nothing of an attempt that lost', async () => {
  using queries = await Queries.open(run)
  const rows = await queries.rows(
    'select phase, outcome, count(*)::int as n, count(distinct id)::int as ids from receipts group by all order by all',
  )
  assert.deepEqual(
    rows.map(({ phase, outcome, n, ids }) => [phase, outcome, n, ids]),
    [
      [0, 'dropped', 80, 80],
      [0, 'kept', 118, 118],
      [0, 'quarantined', 2, 2],
      [1, 'dropped', 40, 40],
      [1, 'kept', 78, 78],
    ],
  )
  const [{ n }] = await queries.rows('select count(*)::int as n from receipts where "gopherQuality.n_non_symbol_words" < 50')
  assert.equal(n, 50)
  await assert.rejects(
    queries.rows('select nothing from nowhere'),
    (error) => error instanceof SluiceError && error.code === 'SLUICE_QUERY',
  )
})

test('samples are a few of every reason, the same each time, with the numbers of all stages so far', async () => {
  using queries = await Queries.open(run)
  const samples = await readSamples(queries, { count: 3, characters: 20 })
  const counts = Map.groupBy(samples, ({ stage, reason }) => `${stage}/${reason}`)
  assert.deepEqual(
    [...counts].map(([key, list]) => [key, list.length]),
    [
      ['gopherQuality/gopher_short_doc', 3],
      ['mine/max share', 3],
      ['minhashDedup/minhash_duplicate', 3],
    ],
  )
  assert.deepEqual(await readSamples(queries, { count: 3, characters: 20 }), samples)
  assert.ok(samples.every(({ text, characters }) => [...text].length === Math.min(20, characters)))
  assert.deepEqual(Object.keys(samples[3].statistics).sort(), [
    'gopherQuality.avg_word_length',
    'gopherQuality.n_non_symbol_words',
    'mine.share',
  ])
  const one = await readSamples(queries, { count: 1, characters: 20, stage: 'mine', reason: 'max share' })
  assert.deepEqual(one, [samples[3]])
})

test('the report escapes all that comes from outside, and every link of it leads somewhere', async () => {
  using queries = await Queries.open(run)
  const html = reportHtml(run, await readSamples(queries, { count: 20, characters: 2000 }))
  assert.equal(html.match(/<script|<img|<b>in|<u>failed|<record>|\0/g), null)
  assert.ok(html.includes('&#60;/script&#62;'), 'the hostile text is there as text')
  assert.ok(!html.includes(HOSTILE))
  assert.equal(html.match(/(?:src|href)="(?!#)/g), null, 'nothing is loaded from anywhere')
  const ids = [...html.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id)
  assert.equal(new Set(ids).size, ids.length)
  for (const [, target] of html.matchAll(/href="#([^"]*)"/g)) assert.ok(ids.includes(target), `#${target}`)
  for (const expected of ['gopher_short_doc', 'max share', 'SLUICE_WARC_TRUNCATED', '24,690', '39.0 %', 'f'.repeat(32)])
    assert.ok(html.includes(expected), expected)
})

test('the table fits 80 columns, and 100 with the rates', () => {
  const plain = (text: string) => text
  for (const columns of [80, 100]) {
    const lines = funnelTable(funnelOf(run), { columns, strong: plain, soft: plain }).split('\n')
    for (const line of lines) assert.ok(line.length <= columns, line)
    assert.equal(lines[2].includes('documents/s'), columns === 100)
    assert.match(lines[3], /^gopherQuality +200 +150 +50 +25\.0 % +25\.0 %/)
    assert.match(lines[4], /^ {2}gopher_short_doc +50$/)
    assert.ok(lines.includes('set aside: 4 damaged records, 2 quarantined documents'))
  }
})

test('an unfinished run shows what there is and says what is missing', async () => {
  for (const [state, stages, missing] of [
    ['one phase', 2, ['phase 2 of 2 (up to parquetShards)']],
    ['one task', 2, ['phase 1 of 2 (up to minhashDedup): 1 task done', 'phase 2 of 2 (up to parquetShards)']],
  ] as const) {
    const at = join(folder, state)
    const { documents } = await inventRun(at, state)
    const unfinished = await readRun(at)
    const funnel = funnelOf(unfinished)
    assert.equal(unfinished.isFinished, false)
    assert.equal(funnel.documents, documents)
    assert.equal(funnel.stages.length, stages)
    assert.deepEqual(funnel.missing, missing)
    using queries = await Queries.open(unfinished)
    assert.ok((await readSamples(queries, { count: 1, characters: 9 })).length > 0)
    assert.ok(reportHtml(unfinished, []).includes('Not finished'))
  }
})

test('what an earlier night left in the folder is not taken for tonight’s', async () => {
  const other = join(folder, 'other inputs')
  await inventRun(other)
  const [, second] = (await readdir(join(other, 'phases'))).sort().map((name) => join(other, 'phases', name, 'seal.json'))
  const seal = JSON.parse(await readFile(second, 'utf8'))
  await writeFile(second, JSON.stringify({ ...seal, tasks: seal.tasks.slice(1) }))
  assert.deepEqual(funnelOf(await readRun(other)).missing, ['phase 2 of 2 (up to parquetShards): 2 tasks done'])

  const unpublished = join(folder, 'unpublished')
  await inventRun(unpublished)
  const manifest = JSON.parse(await readFile(join(unpublished, 'manifest.json'), 'utf8'))
  await writeFile(join(unpublished, 'manifest.json'), JSON.stringify({ ...manifest, planHash: 'of another plan' }))
  const { missing, outputs, kept } = funnelOf(await readRun(unpublished))
  assert.deepEqual([missing, outputs, kept], [['publishing of the shards'], [], 78])
})

test('a folder that is no run, and one that is not there, are refused', async () => {
  for (const at of [folder, join(folder, 'nowhere')])
    await assert.rejects(readRun(at), (error) => error instanceof SluiceError && error.code === 'SLUICE_RUN_MISSING')
})

test('a damaged file of the run is named, not a fault of ours', async () => {
  const at = join(folder, 'damaged')
  await inventRun(at)
  const damaged = await readRun(at)
  await writeFile(damaged.phases[0].rejected[0], 'no Parquet')
  const isCorrupt = (error: unknown) => error instanceof SluiceError && error.code === 'SLUICE_RUN_CORRUPT'
  await assert.rejects(Queries.open(damaged), isCorrupt)
  await writeFile(join(at, 'manifest.json'), '{')
  await assert.rejects(readRun(at), isCorrupt)
})
