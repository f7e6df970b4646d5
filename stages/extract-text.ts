// Main-content extraction: a web page becomes a document of readable text, without navigation, advertising and comments.
// What decides is in src/html; a document that is text already passes through unchanged.

import { z } from 'zod'
import type { Document, Json, WebPage } from '../src/core/document.ts'
import { type Drop, drop, mapStage, type Report, type Stage } from '../src/core/stage.ts'
import { decodeHtml } from '../src/html/encoding.ts'
import { type Extraction, extract } from '../src/html/extract.ts'

export const extractTextOptions = z.strictObject({
  mode: z.enum(['balanced', 'precision', 'recall']).default('balanced').describe('precision leaves out what is doubtful, recall keeps it'),
  format: z.enum(['text', 'markdown']).default('text').describe('plain text, or Markdown with headings, lists, tables and code'),
  comments: z.boolean().default(false).describe("keep readers' comments"),
  minCharacters: z.int().min(0).default(1).describe('a page with less text than this is dropped as too_short'),
  maxHtmlBytes: z.int().min(1).default(20_000_000).describe('a page with more bytes than this is dropped as too_large, unread'),
})
export type ExtractTextOptions = z.input<typeof extractTextOptions>
type Settings = z.output<typeof extractTextOptions>

/** Turns pages into documents. Reasons: `too_large`, `not_html`, `no_content`, `too_short`. */
export function extractText(options: ExtractTextOptions = {}): Stage<WebPage | Document, Document> {
  const settings = extractTextOptions.parse(options)
  return mapStage('extractText', {
    version: 2,
    options: settings,
    prepare: () => (item: WebPage | Document, report: Report) => ('text' in item ? item : extractPage(item, settings, report)),
  })
}

function extractPage(page: WebPage, settings: Settings, report: Report): Document | Drop {
  if (page.html.byteLength > settings.maxHtmlBytes) return drop('too_large')
  if (!isHtml(page)) return drop('not_html')
  const { text: html, encoding } = decodeHtml(page.html, page.contentType)
  const extraction = extract(html, { ...settings, url: page.url })
  report({ ...extraction.statistics })
  if (extraction.text === '') return drop('no_content')
  if (extraction.text.length < settings.minCharacters) return drop('too_short')
  const { html: _, contentType: __, ...item } = page
  return { ...item, text: extraction.text, metadata: { ...page.metadata, ...metadataOf(extraction), encoding } }
}

/** By its header where it has one; by its first bytes where it is a kind of file that is often served as a page. */
function isHtml({ html, contentType }: WebPage): boolean {
  if (contentType !== undefined && contentType.trim() !== '' && !/\b(?:x?html|xml|plain|octet-stream|unknown)\b/i.test(contentType))
    return false
  return !SIGNATURES.some((signature) => signature.every((byte, i) => html[i] === byte))
}

/** PDF, PNG, JPEG, GIF, ZIP, gzip, RIFF. */
const SIGNATURES = [
  [0x25, 0x50, 0x44, 0x46, 0x2d],
  [0x89, 0x50, 0x4e, 0x47],
  [0xff, 0xd8, 0xff],
  [0x47, 0x49, 0x46, 0x38],
  [0x50, 0x4b, 0x03, 0x04],
  [0x1f, 0x8b],
  [0x52, 0x49, 0x46, 0x46],
]

/** The page's own statements under the names that readers of the shards see. */
function metadataOf({ metadata }: Extraction): Record<string, Json> {
  const { articleBody: _, ...rest } = metadata
  return rest
}
