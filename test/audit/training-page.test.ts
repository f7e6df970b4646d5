// The page of a training run: what it reads off a log, and how it looks in a real browser.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { TrainingLogReader } from '../../src/audit/training-log.ts'
import { trainingPage } from '../../src/audit/training-page.ts'

const executablePath = '/usr/bin/chromium'
const skip = existsSync(executablePath) ? false : `no ${executablePath} here`

/** A run of 2,000 steps that stands at 1,200: a spike at 700, and one rollback from 905 to 800. */
function inventLog(): string {
  const settings = { steps: 2000 }
  const lines: object[] = [
    { event: 'start', step: 0, shards: ['a.parquet', 'b.parquet'], vocabulary: 'x', parameters: 1_300_000, settings },
  ]
  const trainTo = (from: number, to: number) => {
    for (let step = from; step <= to; step++) {
      const loss = 3 + 5 * Math.exp(-step / 200) + 0.1 * Math.sin(step * 12.9898)
      const rates = {
        gradientNorm: 0.5 + 20 * Math.exp(-step / 50),
        learningRate: 1e-3 * Math.min(1, step / 100),
        tokensPerSecond: 4000 + (step % 7) * 20,
      }
      lines.push({
        event: 'step',
        step,
        epoch: 0,
        seenTokens: step * 8192,
        loss,
        ...rates,
        utilization: 0.4,
        documents: { 0: [step, step + 1], 1: [3] },
      })
      if (step % 100 === 0) lines.push({ event: 'evaluation', step, loss: loss + 0.2, bitsPerByte: loss / 3, targets: 5000 })
    }
  }
  trainTo(1, 699)
  lines.push({ event: 'skip', step: 700, reason: 'loss 9.31, 4.12 is the most that is normal', documents: { 1: [77] } })
  trainTo(701, 900)
  for (let step = 901; step <= 905; step++) lines.push({ event: 'skip', step, reason: 'gradient norm <NaN>', loss: null, documents: {} })
  lines.push({ event: 'rollback', step: 905, to: 800 })
  trainTo(801, 1200)
  return `${lines.map((line) => JSON.stringify(line)).join('\n')}\n{"event":"step","st`
}

test('a log is read up to a line that is not whole yet, without the steps that were taken back', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-log-'))
  await writeFile(join(folder, 'log.jsonl'), inventLog())
  const history = await new TrainingLogReader(join(folder, 'log.jsonl')).read()
  await rm(folder, { recursive: true })
  const steps = history.steps.map(({ step }) => step)
  assert.equal(steps.length, 1199)
  assert.deepEqual(
    [...steps].sort((a, b) => a - b),
    steps,
  )
  assert.deepEqual([history.start?.parameters, history.skips.length, history.rollbacks.length], [1_300_000, 6, 1])
  assert.deepEqual(
    history.evaluations.map(({ step }) => step),
    [100, 200, 300, 400, 500, 600, 800, 900, 1000, 1100, 1200],
  )
})

test('a log that grows is followed by whole lines, one that went back is read anew', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-log-'))
  const file = join(folder, 'log.jsonl')
  const [whole, rest] = [inventLog().slice(0, 60_000), inventLog().slice(60_000)]
  await writeFile(file, whole)
  const reader = new TrainingLogReader(file)
  const before = (await reader.read()).steps.length
  assert.ok(before > 100 && before < 1199)
  await appendFile(file, rest)
  assert.deepEqual(await reader.read(), await new TrainingLogReader(file).read())
  await writeFile(file, whole)
  assert.equal((await reader.read()).steps.length, before)
  await rm(folder, { recursive: true })
})

test('a log without a step makes a page without curves, a finished one no longer loads itself', () => {
  const empty = { start: undefined, steps: [], evaluations: [], skips: [], rollbacks: [] }
  const page = trainingPage('a <b> run', empty)
  assert.doesNotMatch(page, /<svg/)
  assert.match(page, /http-equiv="refresh"/)
  assert.match(page, /a &#60;b&#62; run/)
  const step = {
    event: 'step' as const,
    step: 1,
    seenTokens: 9,
    loss: 4,
    gradientNorm: 1,
    learningRate: 0,
    tokensPerSecond: 5,
    documents: {},
  }
  const start = { event: 'start' as const, step: 0 as const, shards: ['a'], parameters: 9, settings: { steps: 1 } }
  const evaluation = { event: 'evaluation' as const, step: 1, loss: 1, bitsPerByte: null, accuracy: 0.625 }
  const classifier = trainingPage('x', { ...empty, start, steps: [step], evaluations: [evaluation] })
  assert.match(classifier, /<dt>Right<\/dt><dd>62\.5 %/)
  assert.match(classifier, /Share right of held-out examples/)
  assert.doesNotMatch(classifier, /Bits per byte|NaN/)
  const finished = trainingPage('x', { ...empty, start, steps: [step] })
  assert.doesNotMatch(finished, /http-equiv="refresh"|NaN|Infinity/)
  assert.match(finished, /<svg/)
})

test('curves of a run that has just begun fill their frame, one point is a dot, and why it went back is said', () => {
  const stepAt = (step: number) => ({
    ...{ event: 'step' as const, step, seenTokens: 9 * step, loss: 4 / step, gradientNorm: 1, learningRate: 1, tokensPerSecond: 5 },
    documents: {},
  })
  const settings = { steps: 100_000, objective: 'classify' }
  const start = { event: 'start' as const, step: 0 as const, shards: ['a'], parameters: 9, settings }
  const rollback = { event: 'rollback' as const, step: 40, to: 20, reason: 'the validation loss at step 40 is no number' }
  const history = { start, steps: [1, 2, 50].map(stepAt), evaluations: [], skips: [], rollbacks: [rollback] }
  const page = trainingPage('x', history)
  assert.match(page, /text-anchor="end">50</)
  assert.doesNotMatch(page, />100,000</)
  assert.match(page, /1 file of examples/)
  assert.match(page, /step 40: the validation loss at step 40 is no number/)
  assert.doesNotMatch(page, /<circle/)
  assert.match(trainingPage('x', { ...history, steps: [stepAt(1)] }), /<circle/)
  assert.match(trainingPage('x', { ...history, steps: [1, 30_000].map(stepAt) }), />100,000</)
})

test('the page shows its curves within their frames, loads nothing and fits a telephone', { skip }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-page-'))
  await writeFile(join(folder, 'log.jsonl'), inventLog())
  const file = join(folder, 'curves.html')
  await writeFile(file, trainingPage('invented', await new TrainingLogReader(join(folder, 'log.jsonl')).read()))
  const { chromium } = await import('playwright-core')
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'] })
  try {
    for (const width of [1300, 390]) {
      const page = await browser.newPage({ viewport: { width, height: 900 } })
      const trouble: string[] = []
      page.on('console', (message) => trouble.push(message.text()))
      page.on('request', (request) => {
        if (request.url() !== pathToFileURL(file).href) trouble.push(request.url())
      })
      await page.goto(pathToFileURL(file).href)
      assert.equal(await page.title(), 'invented · training')
      assert.deepEqual(await page.locator('figcaption b').allTextContents(), [
        'Loss, nats a target',
        'Bits per byte of held-out text',
        'Norm of the gradient, before it is clipped',
        'Learning rate',
        'Tokens a second',
        'Share of peak arithmetic',
      ])
      assert.match((await page.locator('.notice').textContent()) ?? '', /6 steps were left out, 1 time the run went back/)
      assert.equal(await page.locator('script, img, iframe').count(), 0)
      const outside = await page.locator('svg').evaluateAll((charts) =>
        charts.flatMap((chart) => {
          const frame = chart.getBoundingClientRect()
          return [...chart.querySelectorAll('text, polyline, circle')]
            .map((part) => part.getBoundingClientRect())
            .filter(
              ({ left, right, top, bottom }) =>
                left < frame.left - 1 || right > frame.right + 1 || top < frame.top - 1 || bottom > frame.bottom + 1,
            )
        }),
      )
      assert.deepEqual(outside, [])
      assert.ok(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'))
      assert.deepEqual(trouble, [])
      if (process.env.SHOT) await page.screenshot({ path: `${process.env.SHOT}-${width}.png`, fullPage: true })
      await page.close()
    }
  } finally {
    await browser.close()
    await rm(folder, { recursive: true })
  }
})
