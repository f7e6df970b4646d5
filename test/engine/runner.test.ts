// The gate in one process: what it takes for done, what it does again, what it refuses.

import assert from 'node:assert/strict'
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Document, type Pipeline, pipeline, type Stage } from 'sluice'
import * as s from 'sluice/stages'
import { RunFolder } from '../../src/engine/run-folder.ts'
import { inputFolder, runHere, shardTexts } from './runs-here.ts'

const source = (folder: string) => s.jsonl({ path: join(folder, 'in', '*.jsonl') })
const sink = (path: string) => s.jsonlShards({ path, compression: 'none' })

function asIs(process: (batch: Document[]) => Document[]): Stage<Document> {
  return { kind: 'map', name: 'mine', version: 1, options: {}, open: async () => ({ process }) }
}

// ---- no document lost or doubled ----

test('a stage that loses one document and doubles another is refused though the sums close', async (t) => {
  const folder = inputFolder(t, ['one', 'two', 'three'])
  const run = (process: (batch: Document[]) => Document[]) =>
    runHere(
      pipeline('p')
        .from(source(folder))
        .pipe(asIs(process))
        .to(sink(join(folder, 'out'))),
      { run: join(folder, 'run') },
    )
  const refusal = { code: 'SLUICE_STAGE_ITEMS' }
  await assert.rejects(
    run(([first, , third]) => [first, first, third]),
    refusal,
  )
  await assert.rejects(
    run((batch) => batch.slice(1)),
    refusal,
  )
  await assert.rejects(
    run((batch) => batch.map((document) => ({ ...document, id: 'f'.repeat(32) }))),
    refusal,
  )
  assert.equal((await run((batch) => batch)).summary.kept, 3)
})

test('an input that two sources name is refused', async (t) => {
  const folder = inputFolder(t, ['one'])
  const twice = pipeline('p')
    .from(source(folder), source(folder))
    .to(sink(join(folder, 'out')))
  await assert.rejects(runHere(twice, { run: join(folder, 'run') }), { code: 'SLUICE_INPUT_TWICE' })
})

test('two sinks in one folder are refused however the folder is spelled', () => {
  const from = pipeline('p').from(s.jsonl({ path: 'in' }))
  assert.throws(() => from.tee(sink('out')).to(sink('./out/')), { code: 'SLUICE_PIPELINE_NAME' })
})

test('a stage that throws on a batch gets its documents one by one', async (t) => {
  const folder = inputFolder(t, ['one', 'bad', 'three'])
  const stage = asIs((batch) => {
    if (batch.some(({ text }) => text === 'bad')) throw new Error('bad')
    return batch
  })
  const { summary } = await runHere(
    pipeline('p')
      .from(source(folder))
      .pipe(stage)
      .to(sink(join(folder, 'out'))),
    { run: join(folder, 'run') },
  )
  assert.deepEqual([summary.kept, summary.quarantined], [2, 1])
  assert.deepEqual(shardTexts(join(folder, 'out')), [['one', 'three']])
})

test('a filter that gives something else than true or false sets documents aside and says so', async (t) => {
  const folder = inputFolder(t, ['one', 'two'])
  const match = (): boolean => JSON.parse('["of a regular expression"]')
  const { summary } = await runHere(
    pipeline('p')
      .from(source(folder))
      .pipe(s.filter('mine', match, { version: 1 }))
      .to(sink(join(folder, 'out'))),
    { run: join(folder, 'run') },
  )
  assert.deepEqual([summary.kept, summary.dropped, summary.quarantined], [0, 0, 2])
  assert.match(summary.quarantines[0].message, /the filter "mine" gave object, not true or false/)
})

test('an error outside the work on one document names the stage and the line', async (t) => {
  const folder = inputFolder(t, ['one'])
  const broken: Stage<Document> = { ...asIs((batch) => batch), open: () => Promise.reject(new Error('no model')) }
  await assert.rejects(
    runHere(
      pipeline('p')
        .from(source(folder))
        .pipe(broken)
        .to(sink(join(folder, 'out'))),
      { run: join(folder, 'run') },
    ),
    (error: { code: string; where: { stage: string; at: string } }) => {
      assert.equal(error.code, 'SLUICE_STAGE_FAILED')
      assert.equal(error.where.stage, 'mine')
      assert.match(error.where.at, /runner\.test\.ts:\d+$/)
      return true
    },
  )
})

// ---- what counts as done ----

test('a run that failed for its errors fails again when all its tasks are done', async (t) => {
  const folder = inputFolder(t, ['one'])
  appendFileSync(join(folder, 'in', '0.jsonl'), 'no json\n'.repeat(20))
  const run = (maxErrorRate?: number) =>
    runHere(
      pipeline('p')
        .from(source(folder))
        .to(sink(join(folder, 'out'))),
      { run: join(folder, 'run'), maxErrorRate },
    )
  await assert.rejects(run(), { code: 'SLUICE_ERROR_RATE' })
  await assert.rejects(run(), { code: 'SLUICE_ERROR_RATE' })
  assert.equal((await run(1)).summary.damaged, 20)
})

test('the errors of an input that was taken away no longer count', async (t) => {
  const folder = inputFolder(t, ['one'], [])
  const damaged = join(folder, 'in', '1.jsonl')
  appendFileSync(damaged, 'no json\n'.repeat(20))
  appendFileSync(join(folder, 'in', '2.jsonl'), '{"text":"two"}\n')
  const run = () =>
    runHere(
      pipeline('p')
        .from(source(folder))
        .to(sink(join(folder, 'out'))),
      { run: join(folder, 'run') },
    )
  await assert.rejects(run(), { code: 'SLUICE_ERROR_RATE' })
  rmSync(damaged)
  assert.equal((await run()).summary.kept, 2)
})

/** A pipeline whose answer depends on `least`. */
const longer = (folder: string, least: number, out = 'out'): Pipeline =>
  pipeline('p')
    .from(source(folder))
    .pipe(s.filter('longer', ({ text }: Document) => text.length >= least, { version: least }))
    .to(sink(join(folder, out)))

test('options changed there and back give the first output again', async (t) => {
  const folder = inputFolder(t, ['a', 'bb'], ['c', 'dd'])
  const here = { run: join(folder, 'run') }
  await runHere(longer(folder, 1), here)
  await runHere(longer(folder, 2), here)
  assert.deepEqual(shardTexts(join(folder, 'out')).flat().sort(), ['bb', 'dd'])
  await runHere(longer(folder, 1), here)
  assert.deepEqual(shardTexts(join(folder, 'out')).flat().sort(), ['a', 'bb', 'c', 'dd'])
})

test('killed while it replaces the shards of another plan, no run takes one plan’s shard for the other’s', async (t) => {
  const folder = inputFolder(t, ['a', 'bb'], ['c', 'dd'])
  const here = { run: join(folder, 'run') }
  await runHere(longer(folder, 1), here)
  const last =
    readdirSync(join(folder, 'out'))
      .filter((name) => name.endsWith('.jsonl'))
      .sort()
      .at(-1) ?? ''
  rmSync(join(folder, 'out', last))
  mkdirSync(join(folder, 'out', last, 'in-the-way'), { recursive: true })
  await assert.rejects(runHere(longer(folder, 2), here)) // the first shard is replaced, the second cannot be
  rmSync(join(folder, 'out', last), { recursive: true })
  await runHere(longer(folder, 1), here)
  assert.deepEqual(shardTexts(join(folder, 'out')).flat().sort(), ['a', 'bb', 'c', 'dd'])
})

test('stopped before it published, a run with another output path still writes everything', async (t) => {
  const folder = inputFolder(t, ['a', 'bb'], ['c', 'dd'])
  const run = join(folder, 'run')
  const stop = () => {
    throw new Error('stopped by the test')
  }
  await assert.rejects(runHere(longer(folder, 1), { run, reporter: { phaseDone: stop } }), /stopped by the test/)
  await runHere(longer(folder, 1, 'elsewhere'), { run })
  assert.deepEqual(shardTexts(join(folder, 'elsewhere')).flat().sort(), ['a', 'bb', 'c', 'dd'])
})

test('where a task is done again without a document quarantined since, so is all that was made of it', async (t) => {
  const folder = inputFolder(t, ['a', 'same', 'b'], ['c', 'same', 'd'])
  const run = join(folder, 'run')
  const deduplicated = pipeline('p')
    .from(source(folder))
    .tee(sink(join(folder, 'tee')))
    .pipe(s.exactDedup())
    .to(sink(join(folder, 'out')))
  const first = await runHere(deduplicated, { run })
  assert.equal(first.summary.kept, 5)
  const [shard] = readdirSync(join(folder, 'tee')).filter(
    (name) => name.endsWith('.jsonl') && /"a"/.test(readFileSync(join(folder, 'tee', name), 'utf8')),
  )
  const { id, source: input, offset } = JSON.parse(readFileSync(join(folder, 'tee', shard), 'utf8').split('\n')[0])
  await new RunFolder(run).addQuarantine({ id, source: input, offset, stage: 'x', cause: 'crashed', message: '' })
  rmSync(join(folder, 'tee', shard)) // its task has to be done again, with one row fewer
  const { summary } = await runHere(deduplicated, { run })
  assert.deepEqual([summary.kept, summary.dropped, summary.quarantined], [4, 1, 1])
  assert.deepEqual(shardTexts(join(folder, 'out')).flat().sort(), ['b', 'c', 'd', 'same'])
})

test('a removed input leaves the output, and comes back with it', async (t) => {
  const folder = inputFolder(t, ['a'], ['b'])
  const here = { run: join(folder, 'run') }
  await runHere(longer(folder, 1), here)
  const file = join(folder, 'in', '1.jsonl')
  const content = readFileSync(file)
  rmSync(file)
  await runHere(longer(folder, 1), here)
  assert.deepEqual(shardTexts(join(folder, 'out')), [['a']])
  appendFileSync(file, content)
  await runHere(longer(folder, 1), here)
  assert.deepEqual(shardTexts(join(folder, 'out')).flat().sort(), ['a', 'b'])
  assert.ok(existsSync(join(folder, 'run', 'summary.json')))
})
