import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { labelledLines } from '../lang/labelled-text.ts'
import { contents, runWords, scratch, sluice } from './sluice.ts'

const file = fileURLToPath(new URL('./pipelines/quality.ts', import.meta.url))

test('a run trains a classifier, keeps the share asked for whatever the number of threads, and reports how well it does', async () => {
  const texts = labelledLines(900, 8).map((line) => JSON.stringify({ text: line.replace(/__label__\S+ /g, '') }))
  const folder = scratch({ after })
  mkdirSync(join(folder, 'in'))
  const good = texts.slice(0, 300).filter((text) => text.includes('éown'))
  writeFileSync(join(folder, 'in', 'good.jsonl'), good.join('\n'))
  for (const part of [0, 1, 2])
    writeFileSync(join(folder, 'in', `part-${part}.jsonl`), texts.slice(300 + 200 * part, 500 + 200 * part).join('\n'))
  const shards: Record<string, string>[] = []
  for (const threads of ['1', '2']) {
    for (const made of ['run', 'out']) rmSync(join(folder, made), { recursive: true, force: true })
    const run = await sluice(runWords(file, folder, '--threads', threads))
    assert.equal(run.code, 0, run.stderr)
    shards.push(contents(join(folder, 'out')))
    const report = await sluice(['classifier', 'report', join(folder, 'run'), '--json'])
    const { heldOut, calibration } = JSON.parse(report.stdout)
    assert.ok(Math.abs(calibration.shareFrom - 0.2) < 0.01 && calibration.documents === 600)
    assert.ok(heldOut.areaUnderCurve > 0.6 && heldOut.positive > 0 && heldOut.negative > 0)
    const printed = (await sluice(['classifier', 'report', join(folder, 'run')])).stdout
    assert.match(printed, /never trained on.*\n.*precision +recall +F1\n.*at one half.*\n.*as applied/)
  }
  const data = (all: Record<string, string>) => Object.entries(all).filter(([name]) => !name.endsWith('manifest.json'))
  assert.deepEqual(data(shards[0]), data(shards[1]))
  // Other examples, the same command: the run learns from them, and does not go on with what it has.
  writeFileSync(join(folder, 'in', 'good.jsonl'), good.slice(good.length / 3).join('\n'))
  const again = await sluice(runWords(file, folder, '--threads', '2'))
  assert.equal(again.code, 0, again.stderr)
  assert.notDeepEqual(data(contents(join(folder, 'out'))), data(shards[1]))
})
