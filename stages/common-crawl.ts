// A crawl of Common Crawl by its name: all of it, some of its files, or the records that its URL index selects. Lists of
// files and the index are read when the run is planned. https://commoncrawl.org/get-started

import { homedir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { z } from 'zod'
import type { Document, Item, WebPage } from '../src/core/document.ts'
import { SluiceError } from '../src/core/errors.ts'
import type { Partition, PlanContext, Source, SourceContext } from '../src/core/stage.ts'
import { type CacheOptions, readBytes } from '../src/io/byte-source.ts'
import { isRemote, isS3 } from '../src/io/inputs.ts'
import { openBytes } from '../src/io/open-bytes.ts'
import { crawlWhere, readPlaces, selectRecords } from '../src/sources/crawl-index.ts'
import { readPlaced } from '../src/sources/crawl-records.ts'
import { type Converted, pageOf, readRecords, textOf, warcPartitions } from '../src/sources/warc-records.ts'
import type { WarcRecord } from '../src/warc/record.ts'
import { maxRecordBytes } from './warc.ts'

export const commonCrawlOptions = z
  .strictObject({
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
    where: crawlWhere
      .optional()
      .describe('only the pages that the URL index of the crawl says fulfil all of these conditions, each fetched alone by its byte range'),
    baseUrl: z
      .url({ protocol: /^(https?|s3)$/, error: 'give an http(s):// or s3:// address' })
      .default('https://data.commoncrawl.org')
      .describe('server or mirror; s3://commoncrawl reads the bucket itself, with AWS credentials'),
    cache: z
      .string()
      .min(1)
      .optional()
      .describe(
        'folder that keeps what was fetched, so that no byte comes twice, and the lists of `where` (without it below ~/.cache/sluice); a cluster needs one that all machines share',
      ),
    cacheBytes: z
      .int()
      .min(1 << 20)
      .default(50e9)
      .describe('size of that folder; what was used longest ago goes first'),
    maxRecordBytes,
  })
  .refine(({ segments, paths, where }) => [segments, paths, where].filter((choice) => choice !== undefined).length <= 1, {
    error: 'segments, paths and where each choose what is read: give one of them',
    path: ['where'],
  })
  .refine(({ kind, where }) => kind === 'warc' || where === undefined, {
    error: "the URL index knows no WET files: leave kind: 'wet' out, and take the text with extractText",
    path: ['kind'],
  })
export type CommonCrawlOptions = z.input<typeof commonCrawlOptions>
type Settings = z.output<typeof commonCrawlOptions>

/** Pages of a crawl, or with `kind: 'wet'` its documents. */
export function commonCrawl(options: CommonCrawlOptions & { kind: 'wet' }): Source<Document>
export function commonCrawl(options: CommonCrawlOptions & { kind?: 'warc' }): Source<WebPage>
export function commonCrawl(options: CommonCrawlOptions): Source<Document> | Source<WebPage> {
  const settings = commonCrawlOptions.parse(options)
  const { crawl, kind, where, maxRecordBytes } = settings
  const partitions = async (context: PlanContext) => await planPartitions(settings, context)
  const named = { crawl, kind, maxRecordBytes, ...(where && { where: definedOf(where) }) }
  const common = { kind: 'source' as const, name: 'commonCrawl', version: 1, options: named, partitions }
  if (kind === 'wet') return { ...common, read: (partition, context) => readPartition(partition, context, settings, textOf) }
  const page = (record: WarcRecord, source: string) => pageOf(record, source, maxRecordBytes)
  return { ...common, read: (partition, context) => readPartition(partition, context, settings, page) }
}

/** Without the conditions that are not there: options are JSON. */
function definedOf(where: NonNullable<Settings['where']>) {
  return Object.fromEntries(Object.entries(where).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
}

async function* readPartition<T extends Item>(
  partition: Partition,
  context: SourceContext,
  settings: Settings,
  convert: (record: WarcRecord, source: string) => Converted<T>,
): AsyncGenerator<T[]> {
  const { maxRecordBytes } = settings
  const cache = cacheOf(settings)
  if (!partition.records) return yield* readRecords(partition, context, maxRecordBytes, convert, cache)
  const places = (await readPlaces(listFolder(settings), partition.records)).map(({ file, ...place }) => ({
    ...place,
    url: urlOf(settings, file),
  }))
  yield* readPlaced(places, context, { maxRecordBytes, cache, convert })
}

// ---- the plan ----

async function planPartitions(settings: Settings, context: PlanContext): Promise<Partition[]> {
  const { crawl, kind, paths, segments, where } = settings
  const cache = cacheOf(settings)
  if (where) {
    const files = await readPathList(settings, 'cc-index-table', context.signal)
    const indexFiles = files.filter((path) => /\/subset=warc\/[^/]+\.parquet$/.test(path)).map((path) => urlOf(settings, path))
    const selection = { crawl, where, indexFiles, cache, folder: listFolder(settings), urlOf: (path: string) => urlOf(settings, path) }
    return await selectRecords(selection, context)
  }
  const files = (paths ?? (await readPathList(settings, kind, context.signal))).slice(0, segments)
  return await warcPartitions(
    files.map((path) => urlOf(settings, path)),
    context,
    cache,
  )
}

/** Of a path of the crawl; a whole URL stays what it is. */
function urlOf({ baseUrl }: Settings, path: string): string {
  const base = baseUrl.replace(/\/+$/, '')
  if (isRemote(path)) return path
  return isS3(base) ? `${base}/${path.replace(/^\/+/, '')}` : new URL(path, `${base}/`).href
}

function cacheOf({ cache, cacheBytes }: Settings): CacheOptions | undefined {
  return cache === undefined ? undefined : { folder: join(cache, 'objects'), maxBytes: cacheBytes }
}

/** Lists of records outlive a run, so that a plan, its run and every worker agree, and the next night has them already. */
function listFolder({ cache }: Settings): string {
  return join(cache ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'sluice'), 'crawl-index')
}

async function readPathList(settings: Settings, list: Settings['kind'] | 'cc-index-table', signal: AbortSignal): Promise<string[]> {
  const { crawl } = settings
  const url = urlOf(settings, `crawl-data/${crawl}/${list}.paths.gz`)
  let bytes: Buffer
  try {
    bytes = await readBytes(await openBytes(url, { signal }))
  } catch (error) {
    throw unlisted(error, url, settings, list)
  }
  try {
    return gunzipSync(bytes).toString('utf8').split('\n').filter(Boolean)
  } catch (cause) {
    throw new SluiceError('SLUICE_CRAWL_LIST', 'the list of the crawl cannot be read: it is no gzip file', {
      where: { url },
      fix: 'check the name of the crawl and the base URL',
      cause,
    })
  }
}

const NAMES =
  'crawls are named by year and week (CC-MAIN-2024-22; https://commoncrawl.org/get-started lists them), news by year and month (CC-NEWS/2024/05)'

/** What it means that a list cannot be had. Where listing is not allowed, a store refuses what is not there. */
function unlisted(error: unknown, url: string, { crawl, baseUrl }: Settings, list: string): unknown {
  if (!(error instanceof SluiceError)) return error
  const { code, fix = '', where, message } = error
  if (code === 'SLUICE_PERMISSION')
    return new SluiceError(code, message, { where, fix: `${fix}; or there is no such crawl: ${NAMES}`, cause: error })
  if (code !== 'SLUICE_INPUT_MISSING') return error
  const isIndex = list === 'cc-index-table'
  const hasNone = isIndex && !crawl.startsWith('CC-MAIN-')
  return new SluiceError(code, `${baseUrl} has no ${isIndex ? 'URL index of' : 'list of files of'} ${crawl}`, {
    where: { url },
    fix: hasNone ? 'only crawls named CC-MAIN-… have an index: leave `where` out' : NAMES,
    cause: error,
  })
}
