// The report in a real browser, as a reader opens it: from the disk, without a network, with the keyboard, at both widths.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { Queries } from '../../src/audit/queries.ts'
import { readRun } from '../../src/audit/read-run.ts'
import { reportHtml } from '../../src/audit/report.ts'
import { readSamples } from '../../src/audit/samples.ts'
import { HOSTILE, inventRun } from './invented-run.ts'

const executablePath = '/usr/bin/chromium'
const skip = existsSync(executablePath) ? false : `no ${executablePath} here`
const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

let folder = ''
let url = ''
let browser: Browser | undefined

before(async () => {
  if (skip) return
  folder = await mkdtemp(join(tmpdir(), 'sluice-report-'))
  await inventRun(join(folder, 'run'))
  const run = await readRun(join(folder, 'run'))
  using queries = await Queries.open(run)
  const file = join(folder, 'audit.html')
  await writeFile(file, reportHtml(run, await readSamples(queries, { count: 30, characters: 2000 })))
  url = pathToFileURL(file).href
  const { chromium } = await import('playwright-core')
  browser = await chromium.launch({ executablePath, args })
})
after(async () => {
  await browser?.close()
  if (folder) await rm(folder, { recursive: true })
})

/** Opens the report; `trouble` collects console messages, page errors and requests for anything else. */
async function open(width: number, colorScheme: 'light' | 'dark' = 'light'): Promise<{ page: Page; trouble: string[] }> {
  assert.ok(browser)
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme })
  const trouble: string[] = []
  page.on('console', (message) => trouble.push(message.text()))
  page.on('pageerror', (error) => trouble.push(String(error)))
  page.on('request', (request) => {
    if (request.url() !== url) trouble.push(request.url())
  })
  await page.goto(url)
  return { page, trouble }
}

test('the report shows the counts, loads nothing and runs nothing of what the documents hold', { skip }, async () => {
  const { page, trouble } = await open(1400)
  assert.equal(await page.title(), 'invented · audit')
  const numbers = await page
    .locator('.numbers > div')
    .evaluateAll((all) => all.map(({ children }) => [children[0].textContent, children[1].firstChild?.textContent]))
  assert.deepEqual(numbers, [
    ['Documents in', '200'],
    ['Kept', '78'],
    ['Dropped', '120'],
    ['Set aside', '6'],
    ['Tokens', '24,690'],
    ['Work', '2.50 s'],
  ])
  assert.deepEqual(await page.locator('.funnel summary .name').allTextContents(), [
    'gopherQuality gopher@invented-1',
    'mine',
    'minhashDedup',
  ])
  assert.equal(await page.locator('nav a').count(), await page.locator('section').count())
  assert.ok((await page.locator('svg rect.drops').count()) > 0)
  assert.equal(await page.locator('script, img, iframe').count(), 0)
  assert.deepEqual(trouble, [])
  await page.close()
})

test('a stage opens to its reasons, a reason leads to its samples, a sample shows hostile text as text', { skip }, async () => {
  const { page, trouble } = await open(1400)
  const reasons = page.locator('.funnel .reasons').first()
  assert.equal(await reasons.isVisible(), false)
  await page.locator('.funnel summary').first().click()
  assert.match((await reasons.textContent()) ?? '', /gopher_short_doc5025\.0 %/)

  const samples = page.locator('details.samples').first()
  await samples.locator('summary').click()
  const texts = await samples.locator('pre').allTextContents()
  assert.equal(texts.length, 30)
  const shown = HOSTILE.replace('\0', '\ufffd')
  assert.ok(
    texts.some((text) => text.startsWith(shown)),
    texts[0],
  )
  assert.match((await samples.locator('.measured .drops').first().textContent()) ?? '', /n_non_symbol_words \d+ \(minDocWords 50\)/)
  assert.equal(await page.title(), 'invented · audit')
  assert.deepEqual(trouble, [])
  await page.close()
})

test('the keyboard alone reaches a stage and opens it', { skip }, async () => {
  const { page } = await open(1400)
  for (let presses = 0; presses < 40; presses++) {
    await page.keyboard.press('Tab')
    if (await page.evaluate(() => document.activeElement?.matches('.funnel summary'))) break
  }
  await page.keyboard.press('Enter')
  assert.equal(await page.locator('.funnel .reasons').first().isVisible(), true)
  await page.close()
})

test('nothing sticks out at 400 and at 1400 pixels, in light and in dark', { skip }, async () => {
  for (const width of [400, 1400]) {
    for (const scheme of ['light', 'dark'] as const) {
      const { page } = await open(width, scheme)
      await page.evaluate(() => {
        for (const details of document.querySelectorAll('details')) details.open = true
      })
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width)
      const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor)
      assert.equal(background, scheme === 'light' ? 'rgb(251, 250, 248)' : 'rgb(20, 24, 27)')
      await page.close()
    }
  }
})
