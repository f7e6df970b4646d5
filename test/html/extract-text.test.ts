// The stage: pages become documents, documents pass, and what has no text is dropped with a reason.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { Document, WebPage } from '../../src/core/document.ts'
import type { StageContext, Statistics } from '../../src/core/stage.ts'
import { type ExtractTextOptions, extractText } from '../../stages/extract-text.ts'

const place = { id: '0'.repeat(32), source: 'file:///pages.warc', offset: 7, length: 100, metadata: { crawl: 'test' } }

function page(html: string | Uint8Array, contentType?: string): WebPage {
  const bytes = typeof html === 'string' ? new TextEncoder().encode(html) : html
  return { ...place, url: 'https://gazette.example/x', date: '2024-01-02T03:04:05Z', html: bytes, contentType }
}

async function run(items: (WebPage | Document)[], options: ExtractTextOptions = {}) {
  const reasons: string[] = []
  const statistics: Statistics[] = []
  const context: StageContext = {
    seed: 1,
    signal: new AbortController().signal,
    memoryBytes: 1e8,
    examine: (_, work) => work(),
    record: (_, measured) => statistics.push(measured),
    drop: (_, reason) => {
      reasons.push(reason)
      return false
    },
    artifact: () => '',
  }
  const stage = await extractText(options).open(context)
  return { documents: await stage.process(items), reasons, statistics }
}

test('a page becomes a document with its place, its metadata and the encoding used', async () => {
  const html = readFileSync(new URL('../../fixtures/html/article.html', import.meta.url))
  const { documents, statistics } = await run([page(html)])
  const [document] = documents
  assert.ok(document.text.startsWith('The wheel at Saltholm'))
  assert.equal(document.url, 'https://gazette.example/x')
  assert.equal(document.date, '2024-01-02T03:04:05Z')
  assert.equal(document.offset, 7)
  assert.ok(!('html' in document) && !('contentType' in document))
  assert.equal(document.metadata.crawl, 'test')
  assert.equal(document.metadata.title, 'Tide mill turns again after ninety years')
  assert.equal(document.metadata.encoding, 'utf-8')
  assert.equal(statistics[0].textCharacters, document.text.length)
})

test('a document passes through unchanged', async () => {
  const document: Document = { ...place, text: 'already text' }
  const { documents } = await run([document])
  assert.equal(documents[0], document)
})

test('pages without text, with too little and with too many bytes are dropped for these reasons', async () => {
  const short = page('<p>Only one short sentence, no more.</p>')
  const { reasons } = await run([page('<div></div>'), short, page('x'.repeat(2000))], { minCharacters: 100, maxHtmlBytes: 1000 })
  assert.deepEqual(reasons, ['no_content', 'too_short', 'too_large'])
})

test('what is no page by its header or its first bytes is dropped as not_html', async () => {
  const { reasons, documents } = await run([
    page('<p>{}', 'application/json'),
    page('%PDF-1.7 binary', 'text/html'),
    page('<p>Some text that is long enough to be read by someone.', 'application/xhtml+xml'),
    page('<p>Some text that is long enough to be read by someone.', ''),
  ])
  assert.deepEqual(reasons, ['not_html', 'not_html'])
  assert.equal(documents.length, 2)
})

test('the header names the encoding of the page', async () => {
  const bytes = Uint8Array.from([...new TextEncoder().encode('<p>'), 0xd1, 0xce, 0xd2, 0xcf, 0xcb, 0xc1, 0x20, 0xd3, 0xd4, 0xcf])
  const { documents } = await run([page(bytes, 'text/html; charset=KOI8-R')])
  assert.equal(documents[0].text, new TextDecoder('koi8-r').decode(bytes.subarray(3)))
  assert.equal(documents[0].metadata.encoding, 'koi8-r')
})

test('an unknown option is refused', () => {
  assert.throws(() => extractText(JSON.parse('{"modus":"recall"}')), /modus/)
})
