// A crawl of Common Crawl by its name: its list of files is read when the run is planned. https://commoncrawl.org/get-started

import { gunzipSync } from 'node:zlib'
import { z } from 'zod'
import type { Document, WebPage } from '../src/core/document.ts'
import { SluiceError } from '../src/core/errors.ts'
import type { Partition, PlanContext, Source } from '../src/core/stage.ts'
import { readBytes } from '../src/io/byte-source.ts'
import { openBytes } from '../src/io/open-bytes.ts'
import { maxRecordBytes } from './warc.ts'
import { pageOf, readRecords, textOf, warcPartitions } from './warc-records.ts'

export const commonCrawlOptions = z.strictObject({
  crawl: z
    .string()
    .regex(/^[\w-]+(?:\/[\w-]+)*$/, 'a crawl is named like CC-MAIN-2024-22 or CC-NEWS/2024/05')
    .describe('name of the crawl: CC-MAIN-2024-22, CC-NEWS/2024/05'),
  kind: z.enum(['warc', 'wet']).default('warc').describe('warc: pages as they were fetched; wet: the text that Common Crawl extracted'),
  segments: z
    .int()
    .min(1)
    .optional()
    .describe('the first so many files of the crawl, about 1 GB each as warc and 100 MB as wet; all of them without it'),
  paths: z.array(z.string().min(1)).min(1).optional().describe('files by their paths (crawl-data/…), in place of the list of the crawl'),
  baseUrl: z.url().default('https://data.commoncrawl.org').describe('server or mirror'),
  maxRecordBytes,
})
export type CommonCrawlOptions = z.input<typeof commonCrawlOptions>
type Settings = z.output<typeof commonCrawlOptions>

/** Pages of a crawl, or with `kind: 'wet'` its documents. */
export function commonCrawl(options: CommonCrawlOptions & { kind: 'wet' }): Source<Document>
export function commonCrawl(options: CommonCrawlOptions & { kind?: 'warc' }): Source<WebPage>
export function commonCrawl(options: CommonCrawlOptions): Source<Document> | Source<WebPage> {
  const settings = commonCrawlOptions.parse(options)
  const { crawl, kind, maxRecordBytes } = settings
  const partitions = async (context: PlanContext) => await planPartitions(settings, context)
  const common = { kind: 'source' as const, name: 'commonCrawl', version: 1, options: { crawl, kind, maxRecordBytes }, partitions }
  if (kind === 'wet') return { ...common, read: (partition, context) => readRecords(partition, context, maxRecordBytes, textOf) }
  return {
    ...common,
    read: (partition, context) =>
      readRecords(partition, context, maxRecordBytes, (record, source) => pageOf(record, source, maxRecordBytes)),
  }
}

async function planPartitions(settings: Settings, context: PlanContext): Promise<Partition[]> {
  const base = settings.baseUrl.replace(/\/+$/, '')
  const paths = settings.paths ?? (await readPathList(`${base}/crawl-data/${settings.crawl}/${settings.kind}.paths.gz`, context.signal))
  const files = paths.slice(0, settings.segments)
  return await warcPartitions(
    files.map((path) => new URL(path, `${base}/`).href),
    context,
  )
}

async function readPathList(url: string, signal: AbortSignal): Promise<string[]> {
  const list = await readBytes(await openBytes(url, { signal }))
  try {
    return gunzipSync(list).toString('utf8').split('\n').filter(Boolean)
  } catch (cause) {
    throw new SluiceError('SLUICE_CRAWL_LIST', 'the list of the crawl cannot be read: it is no gzip file', {
      where: { url },
      fix: 'check the name of the crawl and the base URL',
      cause,
    })
  }
}
