import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { findCheckpoint } from '../../src/train/checkpoint.ts'
import { markovDocuments, temporaryFolder, writeShard } from '../train/corpora.ts'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const STEPS = 60
const SAVE_EVERY = 2
const report = z.looseObject({ event: z.string(), step: z.number().optional() })

/** Two shards and a model so small that a run takes a second or two. */
async function prepare(folder: string): Promise<void> {
  await mkdir(join(folder, 'shards'))
  await writeShard(join(folder, 'shards', 'a.parquet'), markovDocuments(90, 64, 1), { rowGroupRows: 20 })
  await writeShard(join(folder, 'shards', 'b.parquet'), markovDocuments(70, 64, 2), { rowGroupRows: 20, firstOrdinal: 90 })
  await writeFile(join(folder, 'model.json'), JSON.stringify({ contextLength: 32, layers: 2, width: 32, heads: 2 }))
}

/** `sluice train` as a process of its own. A save after every other step, so that kills hit saves too. */
function startTraining(folder: string, out: string): ChildProcess {
  const settings = [
    '--steps',
    `${STEPS}`,
    '--batch-tokens',
    '256',
    '--save-every',
    `${SAVE_EVERY}`,
    '--evaluate-every',
    '10',
    '--validation-share',
    '0.1',
  ]
  const corpus = ['--window-tokens', '2000', '--packing', 'best-fit', '--threads', '2']
  const words = [
    'train',
    join(folder, 'shards'),
    '--model',
    join(folder, 'model.json'),
    '--out',
    join(folder, out),
    '--json',
    ...settings,
    ...corpus,
  ]
  return spawn(process.execPath, ['--conditions=source', main, ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
}

async function filesOf(folder: string): Promise<Record<string, Buffer>> {
  const names = (await readdir(folder)).sort()
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const)))
}

/** Log lines without what the clock decides and without the notes of resuming. */
async function lossLog(folder: string): Promise<unknown[]> {
  const lines = (await readFile(join(folder, 'log.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  return lines.filter(({ event }) => event !== 'resume').map(({ tokensPerSecond: _, utilization: __, ...line }) => line)
}

test('a run killed at random moments, saves included, ends with the bytes and the losses of one that was not', async () => {
  await using folder = await temporaryFolder()
  await prepare(folder.path)
  const [code] = await once(startTraining(folder.path, 'whole'), 'exit')
  assert.equal(code, 0)
  let kills = 0
  for (let exitCode: number | null = null; exitCode !== 0; ) {
    const child = startTraining(folder.path, 'parts')
    const exited = once(child, 'exit')
    // The first kills come after a few steps, so that every one finds a run under way.
    let reports = 0
    let lastStep = 0
    const isToBeKilled = kills < 4
    assert.ok(child.stdout)
    for await (const line of createInterface(child.stdout)) {
      const { event, step } = report.parse(JSON.parse(line))
      if (event === 'step') lastStep = step ?? 0
      if (isToBeKilled && ++reports === 9) setTimeout(() => child.kill('SIGKILL'), Math.random() * 60)
    }
    if (isToBeKilled) kills++
    exitCode = (await exited)[0]
    assert.ok(exitCode === 0 || exitCode === null, `exit code ${exitCode}`)
    // What a kill costs: the interval, and as much again where it came while the newest was being written.
    const { checkpoint } = await findCheckpoint(join(folder.path, 'parts'))
    assert.ok((checkpoint?.state.step ?? 0) >= lastStep - 2 * SAVE_EVERY, `${lastStep} steps, kept ${checkpoint?.state.step}`)
  }
  assert.ok(kills >= 3, `${kills} kills`)
  assert.deepEqual(await lossLog(join(folder.path, 'parts')), await lossLog(join(folder.path, 'whole')))
  assert.deepEqual(await filesOf(join(folder.path, 'parts', `step-${STEPS}`)), await filesOf(join(folder.path, 'whole', `step-${STEPS}`)))
  assert.ok(!existsSync(join(folder.path, 'parts', `step-${STEPS}.tmp`)))
})

test('Ctrl-C saves the last whole step and exits with 130; the same command goes on', async () => {
  await using folder = await temporaryFolder()
  await prepare(folder.path)
  const child = startTraining(folder.path, 'out')
  const exited = once(child, 'exit')
  assert.ok(child.stdout)
  const lines: { event: string; step: number; text?: string; isInterrupted?: boolean }[] = []
  for await (const line of createInterface(child.stdout)) {
    lines.push(JSON.parse(line))
    if (lines.length === 9) child.kill('SIGINT')
  }
  assert.equal((await exited)[0], 130)
  const result = lines[lines.length - 1]
  assert.equal(result.event, 'result')
  assert.equal(result.isInterrupted, true)
  assert.ok(lines.some(({ event, text }) => event === 'notice' && text?.startsWith('stopping, and saving')))
  assert.equal(await readFile(join(folder.path, 'out', 'latest'), 'utf8'), `step-${result.step}\n`)
  const again = startTraining(folder.path, 'out')
  again.stdout?.resume()
  assert.equal((await once(again, 'exit'))[0], 0)
})

test('a reader of the lines that goes away stops a run as Ctrl-C does: nothing is lost', async () => {
  await using folder = await temporaryFolder()
  await prepare(folder.path)
  const child = startTraining(folder.path, 'out')
  const exited = once(child, 'exit')
  assert.ok(child.stdout)
  let last = 0
  for await (const line of createInterface(child.stdout)) {
    const { event, step } = report.parse(JSON.parse(line))
    if (event === 'step') last = step ?? 0
    if (last === 3) break
  }
  child.stdout.destroy()
  assert.equal((await exited)[0], 130)
  const { checkpoint } = await findCheckpoint(join(folder.path, 'out'))
  assert.ok((checkpoint?.state.step ?? 0) >= last)
})

test('a run without a terminal goes on where the one it was started from is closed, as nohup wants it', async () => {
  await using folder = await temporaryFolder()
  await prepare(folder.path)
  const child = startTraining(folder.path, 'out')
  const exited = once(child, 'exit')
  assert.ok(child.stdout)
  let lines = 0
  for await (const _ of createInterface(child.stdout)) if (++lines === 9) child.kill('SIGHUP')
  assert.equal((await exited)[0], 0)
  assert.equal((await findCheckpoint(join(folder.path, 'out'))).checkpoint?.state.step, STEPS)
})
