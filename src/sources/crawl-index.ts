// Which records of a crawl a source reads, by its columnar URL index: one row a capture, with the WARC file and the byte
// range it lies in. https://commoncrawl.org/columnar-index. The plan fetches the columns it needs of the row groups whose
// statistics admit a match, as small Parquet files; DuckDB finds the rows, and sorts them into one list. Lists and what was
// found in each file of the index stay on disk by the versions of the files: every later plan and every worker has the same.

import { createWriteStream, existsSync } from 'node:fs'
import { mkdtemp, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { DuckDBConnection } from '@duckdb/node-api'
import { z } from 'zod'
import { SluiceError } from '../core/errors.ts'
import { hash128 } from '../core/identity.ts'
import type { Partition, PlanContext } from '../core/stage.ts'
import type { CacheOptions } from '../io/byte-source.ts'
import { diskError } from '../io/disk-errors.ts'
import { mapAhead } from '../io/host.ts'
import { makeFolder } from '../io/make-folder.ts'
import { notify } from '../io/notices.ts'
import { openBytes } from '../io/open-bytes.ts'
import { type OpenParquet, openParquet, readParquet, readParquetFacts, rowGroupFile } from '../io/parquet.ts'
import { columnNames, mayHold } from '../io/parquet-footer.ts'

/** One value or several, of which one must be there. */
const anyOf = <T extends z.ZodType>(value: T) => z.union([value, z.array(value).min(1)]).optional()

const hostName = z
  .string()
  .toLowerCase()
  .regex(/^[^\s/:*]+$/, 'a name alone, without scheme, port or path')

export const crawlWhere = z
  .strictObject({
    host: anyOf(hostName).describe('hosts by their full names: www.example.org'),
    domain: anyOf(hostName).describe('registered domains, each with all of its hosts: example.org, bbc.co.uk'),
    tld: anyOf(hostName.regex(/^[^.]+$/, 'the last part of a host alone: org, uk')).describe('top-level domains: org, uk'),
    language: anyOf(z.string().regex(/^[a-z]{3}$/, 'three letters, as in ISO 639-3: eng, deu, zho')).describe(
      'languages (ISO 639-3) of which the crawl found one in the page, among up to three: eng, deu',
    ),
    mime: anyOf(
      z
        .string()
        .toLowerCase()
        .regex(/^[^\s/]+\/[^\s/]+$/, 'a media type such as text/html'),
    ).describe('media types as the crawl detected them: text/html, application/xhtml+xml'),
    status: anyOf(z.int().min(100).max(599)).describe('HTTP status; pages are made of responses with 200 only'),
  })
  .refine((where) => Object.values(where).some((value) => value !== undefined), 'give at least one condition, or leave `where` out')
export type CrawlWhere = z.output<typeof crawlWhere>

interface Condition {
  readonly column: string
  readonly sql: string
  /** Of text whose least and greatest value in a row group say something. */
  readonly isOrdered?: boolean
}

/** By their names in `where`; a statement binds the values under the same name. */
const conditions: Readonly<Record<string, Condition>> = {
  host: { column: 'url_host_name', sql: 'url_host_name in (select unnest($host))', isOrdered: true },
  domain: { column: 'url_host_registered_domain', sql: 'url_host_registered_domain in (select unnest($domain))', isOrdered: true },
  tld: { column: 'url_host_tld', sql: 'url_host_tld in (select unnest($tld))', isOrdered: true },
  language: { column: 'content_languages', sql: "list_has_any(string_split(content_languages, ','), $language)" },
  mime: { column: 'content_mime_detected', sql: 'content_mime_detected in (select unnest($mime))' },
  status: { column: 'fetch_status', sql: 'fetch_status in (select unnest($status))' },
}

interface Filter extends Condition {
  readonly name: string
  readonly values: readonly (string | number)[]
}

/** The order in which values are given makes no difference. */
function filtersOf(where: CrawlWhere): Filter[] {
  return Object.entries(where).flatMap(([name, value]) => {
    if (value === undefined) return []
    return [{ name, ...conditions[name], values: [...new Set([value].flat())].sort() }]
  })
}

const placeColumns = ['warc_filename', 'warc_record_offset', 'warc_record_length']

/** Raised when lists are found or kept in another way. */
const LIST_VERSION = 1
/** Index files that are read at once: each has up to some hundred megabytes on disk meanwhile. */
const FILES_AHEAD = 8
/** What a request costs beside its bytes, in bytes: a partition of scattered records is not made of thousands of them. */
const REQUEST_BYTES = 1 << 18
const NOTICE_MS = 5000
const DAY_MS = 24 * 3600_000
/** What a killed plan left, and lists that no plan has asked for, go after so long. */
const LEFT_BEHIND_MS = DAY_MS
const UNUSED_MS = 90 * DAY_MS

export interface CrawlSelection {
  readonly crawl: string
  readonly where: CrawlWhere
  /** Addresses of the index's files. */
  readonly indexFiles: readonly string[]
  /** Of a WARC file by its path in the crawl. */
  readonly urlOf: (path: string) => string
  /** Where lists are kept. */
  readonly folder: string
  readonly cache?: CacheOptions
}

/** Partitions of the records that match, in the order of their files and offsets. */
export async function selectRecords(selection: CrawlSelection, context: PlanContext): Promise<Partition[]> {
  const { folder, crawl, where } = selection
  const filters = filtersOf(where)
  const working = await workingFolder(folder)
  try {
    using database = await Database.open(working)
    const found = await matchIndexFiles(selection, filters, database, working, context.signal)
    const list = hash128(JSON.stringify(found.map((path) => basename(path))))
    const path = listPath(folder, list)
    if (!(await isKept(path))) await database.sort(found, join(working, 'list'), path)
    const pieces = await database.pieces(path, context.partitionBytes)
    if (pieces.length > 0)
      return pieces.map(({ source, bytes, version, rows }) => ({
        source: selection.urlOf(source),
        bytes,
        version,
        records: { list, rows },
      }))
    const words = filters.map(({ name, values }) => `${name} ${values.join(', ')}`).join(' and ')
    throw new SluiceError('SLUICE_CRAWL_EMPTY', `no record of ${crawl} has ${words}`, {
      where: { crawl, indexFiles: selection.indexFiles.length },
      fix: 'check the values: a host is a full name (www.example.org), a domain has all its hosts, languages are ISO 639-3 (eng)',
    })
  } finally {
    await rm(working, { recursive: true, force: true })
  }
}

/** Whether an earlier plan made it; it counts as used now. */
async function isKept(path: string): Promise<boolean> {
  const now = new Date()
  return await utimes(path, now, now).then(
    () => true,
    () => false,
  )
}

function listPath(folder: string, list: string): string {
  return join(folder, `list-${list}.parquet`)
}

async function workingFolder(folder: string): Promise<string> {
  try {
    await makeFolder(folder)
    for (const name of await readdir(folder)) {
      const path = join(folder, name)
      const unusedMs = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now())
      if (unusedMs > (name.startsWith('work-') ? LEFT_BEHIND_MS : UNUSED_MS)) await rm(path, { recursive: true, force: true })
    }
    return await mkdtemp(join(folder, 'work-'))
  } catch (cause) {
    throw new SluiceError('SLUICE_CRAWL_FOLDER', 'the list of records cannot be kept on disk', {
      where: { folder },
      fix: 'give commonCrawl a cache folder that can be written',
      cause: diskError(cause, folder),
    })
  }
}

// ---- the index, file by file ----

/** @returns files with the places of the records that match, one for each file of the index */
async function matchIndexFiles(
  { indexFiles, crawl, folder, cache }: CrawlSelection,
  filters: readonly Filter[],
  database: Database,
  working: string,
  signal: AbortSignal,
): Promise<string[]> {
  const fetchFile = async (url: string, signal: AbortSignal) => {
    const source = await openBytes(url, { signal, cache })
    const key = hash128(JSON.stringify([LIST_VERSION, url, source.version, filters]))
    const path = join(folder, `found-${key}.parquet`)
    return { path, parts: (await isKept(path)) ? undefined : await fetchColumns(await openParquet(source), filters, working) }
  }
  const found: string[] = []
  let noticed = performance.now()
  for await (const { path, parts } of mapAhead(indexFiles, (url) => url, fetchFile, signal, FILES_AHEAD)) {
    if (parts) await database.match(parts, filters, join(working, 'found'), path)
    for (const part of parts ?? []) await rm(part)
    found.push(path)
    if (performance.now() - noticed < NOTICE_MS) continue
    noticed = performance.now()
    notify(`reading the index of ${crawl}: ${found.length} of ${indexFiles.length} files`)
  }
  return found
}

/** The row groups that may hold a match, each as a file with the columns that are needed. */
async function fetchColumns(index: OpenParquet, filters: readonly Filter[], working: string): Promise<string[]> {
  const columns = [...new Set([...filters.map(({ column }) => column), ...placeColumns])]
  const there = columnNames(index.tree)
  const missing = columns.find((column) => !there.includes(column))
  if (missing !== undefined)
    throw new SluiceError('SLUICE_CRAWL_INDEX', `the index has no column ${missing}`, {
      where: { file: index.source.url },
      fix: 'indexes of older crawls have fewer columns: leave that condition out, or take a later crawl',
    })
  const files: string[] = []
  const ordered = filters.flatMap(boundsOf)
  for (let group = 0; group < index.facts.rowGroups.length; group++) {
    const admits = ordered.every(({ column, bytes }) => mayHold(index.tree, group, column, bytes))
    if (!admits) continue
    const path = join(working, `${hash128(index.source.url)}-${group}.parquet`)
    await pipeline(rowGroupFile(index, group, columns), createWriteStream(path))
    files.push(path)
  }
  return files
}

/** What a row group's least and greatest values must admit. A host also says its top-level domain: the index is sorted by it first. */
function boundsOf({ name, column, isOrdered, values }: Filter): { column: string; bytes: Buffer[] }[] {
  if (!isOrdered) return []
  const own = { column, bytes: values.map((value) => Buffer.from(String(value))) }
  if (name === 'tld') return [own]
  return [own, { column: conditions.tld.column, bytes: values.map((value) => Buffer.from(String(value).split('.').at(-1) ?? '')) }]
}

// ---- SQL ----

interface Piece {
  /** Path of the first record's file. */
  readonly source: string
  readonly bytes: number
  /** Over the files, offsets and lengths of all its records. */
  readonly version: string
  readonly rows: readonly [first: number, end: number]
}

const pieceRow = z.object({ source: z.string(), bytes: z.bigint(), version: z.string(), first: z.bigint(), end: z.bigint() })

type DuckDB = typeof import('@duckdb/node-api')

class Database {
  readonly #duckdb: DuckDB
  readonly #connection: DuckDBConnection

  private constructor(duckdb: DuckDB, connection: DuckDBConnection) {
    this.#duckdb = duckdb
    this.#connection = connection
  }

  static async open(working: string): Promise<Database> {
    const duckdb = await import('@duckdb/node-api')
    const options = { memory_limit: '1GB', temp_directory: join(working, 'spilled'), autoinstall_known_extensions: 'false' }
    const instance = await duckdb.DuckDBInstance.create(':memory:', options)
    return new Database(duckdb, await instance.connect())
  }

  /** @param parts of one file of the index */
  async match(parts: readonly string[], filters: readonly Filter[], working: string, path: string): Promise<void> {
    const places = 'warc_filename, warc_record_offset::bigint as warc_record_offset, warc_record_length::bigint as warc_record_length'
    const tests = filters.map(({ sql }) => sql).join(' and ')
    if (parts.length === 0) return await this.#write(NO_PLACE, {}, working, path)
    const values = Object.fromEntries(filters.map(({ name, values }) => [name, values]))
    await this.#write(`select ${places} from read_parquet($parts) where ${tests}`, { ...values, parts }, working, path)
  }

  async sort(found: readonly string[], working: string, path: string): Promise<void> {
    await this.#write('select distinct * from read_parquet($found) order by all', { found }, working, path)
  }

  async pieces(list: string, partitionBytes: number): Promise<Piece[]> {
    const rows = await this.#connection.runAndReadAll(
      `with records as (
         select *, (sum(warc_record_length + ${REQUEST_BYTES}) over (order by file_row_number rows unbounded preceding)
                    - warc_record_length - ${REQUEST_BYTES}) // $partitionBytes as piece
         from read_parquet($list, file_row_number = true))
       select arg_min(warc_filename, file_row_number) as source, sum(warc_record_length)::bigint as bytes,
         bit_xor(md5_number_lower(concat_ws(' ', warc_filename, warc_record_offset, warc_record_length)))::varchar as version,
         min(file_row_number) as first, max(file_row_number) + 1 as end
       from records group by piece order by first`,
      { list, partitionBytes },
    )
    return rows.getRowObjectsJS().map((row) => {
      const { source, bytes, version, first, end } = pieceRow.parse(row)
      return { source, version, bytes: Number(bytes), rows: [Number(first), Number(end)] }
    })
  }

  /** The file is made under another name first. */
  async #write(select: string, lists: Record<string, readonly (string | number)[]>, working: string, path: string): Promise<void> {
    const values = Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, this.#duckdb.listValue([...list])]))
    const target = working.replaceAll("'", "''")
    try {
      await this.#connection.run(`copy (${select}) to '${target}' (format parquet, compression zstd, row_group_size 20480)`, values)
    } catch (cause) {
      const [reason] = String(cause instanceof Error ? cause.message : cause).split('\n')
      throw new SluiceError('SLUICE_CRAWL_INDEX', `the URL index cannot be searched: ${reason}`, {
        where: { file: path },
        fix: 'free some space where the disk is full; else a file of the index came damaged: remove the cache folder and run again',
        cause,
      })
    }
    await rename(working, path)
  }

  [Symbol.dispose](): void {
    this.#connection.closeSync()
  }
}

const NO_PLACE = 'select null::varchar as warc_filename, 0::bigint as warc_record_offset, 0::bigint as warc_record_length where false'

// ---- reading a list ----

export interface RecordPlace {
  /** Path of its file in the crawl. */
  readonly file: string
  readonly offset: number
  readonly length: number
}

const placeRow = z.object({ warc_filename: z.string(), warc_record_offset: z.bigint(), warc_record_length: z.bigint() })

/** @throws SluiceError `SLUICE_CRAWL_LIST_MISSING` where the plan was made elsewhere */
export async function readPlaces(folder: string, { list, rows }: NonNullable<Partition['records']>): Promise<RecordPlace[]> {
  const path = listPath(folder, list)
  if (!existsSync(path))
    throw new SluiceError('SLUICE_CRAWL_LIST_MISSING', 'the list of records that the plan has made is not on this machine', {
      where: { file: path },
      fix: 'give commonCrawl a cache folder that all machines of the run share',
    })
  const [first, end] = rows
  const places: RecordPlace[] = []
  let groupStart = 0
  for (const [group, { rows }] of (await readParquetFacts(path)).rowGroups.entries()) {
    const isOurs = groupStart < end && groupStart + rows > first
    groupStart += rows
    if (!isOurs) continue
    for await (const { batch, firstRow } of readParquet(path, { rowGroups: [group, group + 1] }))
      for (let i = Math.max(0, first - firstRow); i < Math.min(batch.numRows, end - firstRow); i++) {
        const { warc_filename, warc_record_offset, warc_record_length } = placeRow.parse(batch.get(i)?.toJSON())
        places.push({ file: warc_filename, offset: Number(warc_record_offset), length: Number(warc_record_length) })
      }
  }
  return places
}
