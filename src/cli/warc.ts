// sluice warc ls|cat|check|pack: web archives at the command line.

import { readFile, stat } from 'node:fs/promises'
import { extname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import { SluiceError } from '../core/errors.ts'
import type { ByteSource } from '../io/byte-source.ts'
import { diskError } from '../io/disk-errors.ts'
import { expandInputs, localPath, urlBelow } from '../io/inputs.ts'
import { openBytes } from '../io/open-bytes.ts'
import { checkDigests, type DigestResult } from '../warc/digest.ts'
import { decodeBody, mediaType, parseHttpResponse } from '../warc/http.ts'
import type { WarcDamage } from '../warc/plain-records.ts'
import { ARCHIVE_EXTENSIONS, readWarc, type WarcLayout } from '../warc/reader.ts'
import { field, recordDate, recordUrl, type WarcRecord } from '../warc/record.ts'
import { WarcWriter } from '../warc/writer.ts'
import { wholeNumber } from './numbers.ts'
import { printable } from './printable.ts'

const EXTENSIONS = [...ARCHIVE_EXTENSIONS, ...['.wet', '.wat'].flatMap((kind) => ['', '.gz', '.zst', '.lz4'].map((end) => kind + end))]
const MAX_RECORD_BYTES = 1 << 30

export const command = new Command('warc')
  .addHelpText(
    'after',
    `
Reads WARC (WET, WAT), ARC and WACZ; plain, gzip, zstd (with its dictionary) or lz4, a record a member or the whole file
in one: told apart by their bytes, whatever they are called.

A record's offset is where it can be read at, alone: cat --offset. Records that share a gzip member or a frame are
numbered from its offset on instead. What cannot be read is listed as DAMAGE with its bytes and a code, and reading goes
on at the next record. Exit codes: 0 all was read, 1 something is damaged or wrong.
${examples(
  'sluice warc ls crawl.warc.gz',
  "sluice warc ls --json --type response 'crawls/*.arc.gz' | jq -r .url",
  'sluice warc cat crawl.wacz --url https://example.org/ > page.html',
  'sluice warc check crawl.warc.zst',
  'sluice warc pack site/ -o site.warc.gz --base-url https://docs.example.org/',
)}`,
  )
  .addCommand(
    new Command('ls')
      .summary('list the records of archives')
      .description(
        'Lists the records of archives, one a line: offset, stored bytes, type, digest check, status and media type, date, URL. Damage is listed where it lies.',
      )
      .argument('<file...>', 'files, folders, patterns or http(s) URLs')
      .option('--json', 'one JSON object a record or damage')
      .option('--type <type>', 'only records of this type: response, resource, revisit, conversion, …')
      .addHelpText('after', examples('sluice warc ls crawl.warc.gz', "sluice warc ls --json --type response 'crawls/*.warc.gz' | jq .url"))
      .action(list),
  )
  .addCommand(
    new Command('cat')
      .summary('print one record')
      .description("Prints one record's payload: the HTTP body decoded, or the block of records without HTTP.")
      .argument('<file>', 'file or http(s) URL')
      .option('--offset <bytes>', 'the record that begins there, as `ls` shows it', wholeNumber(0))
      .option('--url <url>', 'the first response, resource or conversion with this URL')
      .option('--headers', 'the WARC and HTTP headers in place of the payload')
      .option('--raw', 'header and block as stored, decompressed')
      .addHelpText(
        'after',
        examples('sluice warc cat crawl.warc.gz --offset 865', 'sluice warc cat crawl.warc.gz --url https://example.org/ --headers'),
      )
      .action(print),
  )
  .addCommand(
    new Command('check')
      .summary('verify checksums, lengths and digests')
      .description(
        'Reads archives whole and verifies checksums of the compression, record lengths and digests. Lists what is damaged by byte range, then counts. Exits with 1 where anything is wrong.',
      )
      .argument('<file...>', 'files, folders, patterns or http(s) URLs')
      .option('--json', 'one JSON object a file')
      .addHelpText('after', examples('sluice warc check crawl.warc.gz'))
      .action(check),
  )
  .addCommand(
    new Command('pack')
      .summary('pack files into a WARC file')
      .description('Packs files into a WARC file, each as a response record with the media type of its extension, a gzip member a record.')
      .argument('<path...>', 'files, folders or patterns')
      .requiredOption('-o, --output <file>', 'file to write: .warc.gz, or .warc for one without compression')
      .requiredOption('--base-url <url>', 'a file gets this and its path as URL')
      .option('--date <date>', 'ISO 8601 date of the records; the modification time of each file without it', isoDate)
      .option('--seed <text>', 'record ids come from it: same files, date and seed, same bytes')
      .option('--force', 'replace an existing output file')
      .addHelpText('after', examples('sluice warc pack site/ -o site.warc.gz --base-url https://docs.example.org/'))
      .action(pack),
  )

function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`
}

function isoDate(text: string): string {
  const time = Date.parse(text)
  if (Number.isNaN(time)) throw new InvalidArgumentError('a date such as 2024-05-01 or 2024-05-01T12:00:00Z is needed')
  return warcDate(new Date(time))
}

function warcDate(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z')
}

// ---- ls ----

interface Listed {
  readonly offset: number
  readonly length: number
  readonly type: string
  readonly url?: string
  readonly date?: string
  readonly status?: number
  readonly mime?: string
  readonly digest: 'ok' | 'bad' | 'unknown' | 'none'
}

function describe(record: WarcRecord): Listed {
  const response = record.type === 'response' ? parseHttpResponse(record.block) : undefined
  const mime = mediaType(response ? field(response.fields, 'content-type') : field(record.fields, 'content-type'))
  return {
    offset: record.offset,
    length: record.length,
    type: record.type,
    url: recordUrl(record),
    date: recordDate(record),
    status: response?.status,
    mime: mime === '' ? undefined : mime,
    digest: digestState(record),
  }
}

function digestState(record: WarcRecord): Listed['digest'] {
  const { block, payload } = checkDigests(record)
  const results: (DigestResult | undefined)[] = [block, payload]
  if (results.includes('mismatch')) return 'bad'
  if (results.includes('match')) return 'ok'
  return results.includes('unknown') ? 'unknown' : 'none'
}

async function list(files: string[], options: { json?: boolean; type?: string }): Promise<void> {
  let isDamaged = false
  const sources = await inputsOf(files)
  for (const { url } of sources) {
    const source = await openBytes(url)
    if (sources.length > 1 && !options.json) write(`${displayName(url)}:`)
    const damaged = (damage: WarcDamage) => {
      isDamaged = true
      write(
        options.json
          ? JSON.stringify({ file: displayName(url), damage })
          : row(damage.offset, damage.length, 'DAMAGE', '', damage.code, '', damage.message),
      )
    }
    for await (const record of readWarc(source, { damaged, maxRecordBytes: MAX_RECORD_BYTES })) {
      if (options.type !== undefined && record.type !== options.type) continue
      const listed = describe(record)
      if (options.json) write(JSON.stringify({ file: displayName(url), ...listed }))
      else
        write(
          row(
            listed.offset,
            listed.length,
            listed.type,
            listed.digest,
            [listed.status, listed.mime].filter(Boolean).join(' '),
            listed.date ?? '',
            listed.url ?? '',
          ),
        )
    }
  }
  if (isDamaged) {
    process.stderr.write('sluice: some of the input is damaged: sluice warc check says more\n')
    process.exitCode = 1
  }
}

function row(offset: number, length: number, type: string, digest: string, media: string, date: string, url: string): string {
  const line = `${String(offset).padStart(11)} ${String(length).padStart(9)} ${type.padEnd(10)} ${digest.padEnd(7)} ${media.padEnd(28)} ${date.padEnd(20)} ${url}`
  return printable(line.trimEnd())
}

// ---- cat ----

interface PrintOptions {
  readonly offset?: number
  readonly url?: string
  readonly headers?: boolean
  readonly raw?: boolean
}

async function print(file: string, options: PrintOptions): Promise<void> {
  if ((options.offset === undefined) === (options.url === undefined))
    throw new SluiceError('SLUICE_USAGE', 'one of --offset and --url is needed', { fix: 'sluice warc ls FILE shows offsets and URLs' })
  const [{ url }, ...others] = await inputsOf([file])
  if (others.length > 0)
    throw new SluiceError('SLUICE_USAGE', `${file} stands for ${others.length + 1} files, and one is needed`, { fix: 'name the file' })
  const source = await openBytes(url)
  const record = options.offset === undefined ? await findUrl(source, options.url ?? '') : await findOffset(source, options.offset)
  if (!record)
    throw new SluiceError(
      'SLUICE_WARC_NO_RECORD',
      options.offset === undefined ? 'no record has this URL' : 'no record begins at this offset',
      {
        where: { file: displayName(url), ...(options.offset === undefined ? { url: options.url ?? '' } : { byte: options.offset }) },
        fix: 'sluice warc ls FILE shows offsets and URLs',
      },
    )
  process.stdout.write(contentOf(record, options))
}

async function findUrl(source: ByteSource, url: string): Promise<WarcRecord | undefined> {
  for await (const record of readWarc(source, { damaged: warn, maxRecordBytes: MAX_RECORD_BYTES }))
    if (recordUrl(record) === url && ['response', 'resource', 'conversion'].includes(record.type)) return record
  return undefined
}

/** Reads there; where nothing begins there it looks through the whole file, for records that share a gzip member. */
async function findOffset(source: ByteSource, offset: number): Promise<WarcRecord | undefined> {
  const damages: WarcDamage[] = []
  const options = { damaged: (damage: WarcDamage) => damages.push(damage), maxRecordBytes: MAX_RECORD_BYTES }
  for await (const record of readWarc(source, { ...options, range: [offset, offset + 1] })) return record
  if (damages.length > 0) warn(damages[0])
  for await (const record of readWarc(source, options)) if (record.offset === offset) return record
  return undefined
}

function warn({ offset, length, message, code }: WarcDamage): void {
  process.stderr.write(`sluice: damage at bytes ${offset}–${offset + length}: ${message} [${code}]\n`)
}

function contentOf(record: WarcRecord, options: PrintOptions): Buffer {
  if (options.raw) return Buffer.concat([record.head, record.block])
  const response = record.type === 'response' ? parseHttpResponse(record.block) : undefined
  if (options.headers)
    return Buffer.concat([record.head, record.block.subarray(0, response ? record.block.length - response.body.length : 0)])
  if (!response) return record.block
  const { bytes, problem } = decodeBody(response, MAX_RECORD_BYTES)
  if (problem !== undefined) process.stderr.write(`sluice: the body is printed as stored: ${problem}\n`)
  return bytes
}

// ---- check ----

interface Report {
  readonly file: string
  readonly bytes: number
  readonly layout: WarcLayout | 'empty' | 'other'
  readonly records: number
  readonly types: Readonly<Record<string, number>>
  readonly digests: { readonly ok: number; readonly bad: number; readonly unknown: number; readonly none: number }
  readonly damaged: readonly WarcDamage[]
}

const NO_DIGESTS: Report['digests'] = { ok: 0, bad: 0, unknown: 0, none: 0 }

async function check(files: string[], options: { json?: boolean }): Promise<void> {
  let isGood = true
  for (const { url } of await inputsOf(files)) {
    const source = await openBytes(url)
    const report = await inspect(source).catch((error: unknown) => refused(source, error))
    isGood &&= report.damaged.length === 0
    write(options.json ? JSON.stringify(report) : readable(report))
  }
  if (!isGood) process.exitCode = 1
}

async function inspect(source: ByteSource): Promise<Report> {
  const damaged: WarcDamage[] = []
  const types: Record<string, number> = {}
  const digests = { ...NO_DIGESTS }
  const layouts: WarcLayout[] = []
  let records = 0
  const damage = (found: WarcDamage) => void damaged.push(found)
  for await (const record of readWarc(source, {
    damaged: damage,
    layout: (known) => layouts.push(known),
    maxRecordBytes: MAX_RECORD_BYTES,
  })) {
    records++
    types[record.type] = (types[record.type] ?? 0) + 1
    const state = digestState(record)
    digests[state]++
    if (state === 'bad')
      damaged.push({
        offset: record.offset,
        length: record.length,
        code: 'SLUICE_WARC_DIGEST',
        message: `the ${record.type} does not match its digest`,
      })
  }
  const layout = layouts.at(-1) ?? 'empty'
  const [compression, shared] = layout.split('-')
  if (shared !== undefined)
    damaged.push({
      offset: 0,
      length: source.size,
      code: `SLUICE_WARC_SHARED_${compression.toUpperCase()}`,
      message: `records share a ${compression} member: the file can be read from its start only, not by offset and not in parallel`,
    })
  return { file: displayName(source.url), bytes: source.size, layout, records, types, digests, damaged }
}

const UNREADABLE = ['SLUICE_WARC_FORMAT', 'SLUICE_WARC_DICTIONARY']

/** A file that cannot be read at all is a finding like any other: the files behind it are checked all the same. */
function refused({ url, size }: ByteSource, error: unknown): Report {
  if (!(error instanceof SluiceError && UNREADABLE.includes(error.code))) throw error
  const damage = { offset: 0, length: size, code: error.code, message: error.message }
  return { file: displayName(url), bytes: size, layout: 'other', records: 0, types: {}, digests: NO_DIGESTS, damaged: [damage] }
}

function readable({ file, bytes, layout, records, types, digests, damaged }: Report): string {
  const byType = Object.entries(types).sort(([a], [b]) => (a < b ? -1 : 1))
  const lines = damaged.map(({ offset, length, code, message }) => `  bytes ${offset}–${offset + length}: ${message} [${code}]`)
  const counts = `  ${records} records in ${bytes} bytes (${layout}): ${byType.map(([type, count]) => `${count} ${type}`).join(', ') || 'none'}`
  const checked = `  digests: ${digests.ok} match, ${digests.bad} do not, ${digests.none} records have none${digests.unknown > 0 ? `, ${digests.unknown} of unknown kind` : ''}`
  return printable([`${file}: ${damaged.length === 0 ? 'ok' : 'DAMAGED'}`, ...lines, counts, checked].join('\n'))
}

// ---- pack ----

const mediaTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.htm': 'text/html',
  '.xhtml': 'application/xhtml+xml',
  '.txt': 'text/plain',
  '.md': 'text/markdown',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.json': 'application/json',
  '.xml': 'application/xml',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.gif': 'image/gif',
  '.webp': 'image/webp',
  '.pdf': 'application/pdf',
}

interface PackOptions {
  readonly output: string
  readonly baseUrl: string
  readonly date?: string
  readonly seed?: string
  readonly force?: boolean
}

async function pack(paths: string[], options: PackOptions): Promise<void> {
  if (!URL.canParse('/', options.baseUrl))
    throw new SluiceError('SLUICE_USAGE', `the base URL ${options.baseUrl} is none that a path can follow`, {
      fix: 'pass one such as https://docs.example.org/',
    })
  const output = pathToFileURL(localPath(options.output)).href
  const inputs = (await expandInputs(paths, [''])).filter(({ url }) => url !== output)
  const date = options.date ?? warcDate(new Date())
  const settings = {
    date,
    seed: options.seed,
    overwrite: options.force,
    gzip: options.output.endsWith('.gz'),
    info: { description: `packed from files for ${options.baseUrl}` },
  }
  await using writer = await WarcWriter.create(options.output, settings)
  for (const { url, path } of inputs) {
    const file = localPath(url)
    try {
      const { size, mtime } = await stat(file)
      if (size > MAX_RECORD_BYTES) throw tooLarge(file, size)
      const body = await readFile(file)
      await writer.writeResponse({
        url: urlBelow(options.baseUrl, path),
        date: options.date ?? warcDate(mtime),
        contentType: mediaTypes[extname(path).toLowerCase()] ?? 'application/octet-stream',
        body,
      })
    } catch (error) {
      throw diskError(error, file)
    }
  }
  await writer.close()
  process.stderr.write(`packed ${inputs.length} files into ${options.output}: ${writer.records} records, ${writer.bytes} bytes\n`)
}

function tooLarge(file: string, bytes: number): SluiceError {
  return new SluiceError('SLUICE_WARC_RECORD_TOO_LARGE', `the file has ${bytes} bytes, a record at most ${MAX_RECORD_BYTES}`, {
    where: { file },
    fix: 'leave it out: name the other files, or a pattern',
  })
}

// ---- shared ----

async function inputsOf(files: string[]): Promise<{ url: string }[]> {
  return await expandInputs(files, EXTENSIONS)
}

function displayName(url: string): string {
  return url.startsWith('file:') ? localPath(url) : url
}

function write(line: string): void {
  process.stdout.write(`${line}\n`)
}
