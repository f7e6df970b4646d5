// A crawl as Common Crawl publishes one, invented and small: WARC files of gzip members, their list, and the columnar URL
// index in two Parquet files sorted by reversed host, with its list. By path, for a server.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { DuckDBInstance } from '@duckdb/node-api'
import { encodeWarcRecord } from '../../src/warc/writer.ts'

export interface Capture {
  readonly url: string
  readonly url_host_name: string
  readonly url_host_registered_domain: string
  readonly url_host_tld: string
  readonly content_languages: string | null
  readonly content_mime_detected: string
  readonly fetch_status: number
  readonly warc_filename: string
  readonly warc_record_offset: number
  readonly warc_record_length: number
}

export interface Crawl {
  readonly files: Record<string, Buffer>
  /** In the order of files and offsets. */
  readonly captures: readonly Capture[]
}

const DATE = '2024-05-01T12:00:00Z'
const endings = ['org', 'org', 'org', 'de', 'co.uk', 'is']
const languages = ['eng', 'eng,deu', 'deu', 'isl', 'fra,eng', null]

/** Pages are dealt out over hosts, and captures of one host over all files, as in a real crawl. */
export async function makeCrawl(crawl: string, { warcFiles = 3, pages = 240 } = {}): Promise<Crawl> {
  const files: Record<string, Buffer> = {}
  const captures: Capture[] = []
  for (let file = 0; file < warcFiles; file++) {
    const path = `crawl-data/${crawl}/segments/1700000000000.${file}/warc/${crawl}-0000${file}.warc.gz`
    const members = [member('warcinfo', 0, undefined, Buffer.from('software: test\r\n'))]
    let offset = members[0].length
    for (let page = file; page < pages; page += warcFiles) {
      const capture = captureOf(page)
      const request = member('request', page, capture.url, Buffer.from(`GET / HTTP/1.1\r\nHost: ${capture.url_host_name}\r\n\r\n`))
      const response = member('response', page, capture.url, responseOf(capture, page))
      members.push(request, response)
      offset += request.length
      captures.push({ ...capture, warc_filename: path, warc_record_offset: offset, warc_record_length: response.length })
      offset += response.length
    }
    files[path] = Buffer.concat(members)
  }
  files[`crawl-data/${crawl}/warc.paths.gz`] = gzipSync(`${Object.keys(files).join('\n')}\n`)
  const index = await indexOf(crawl, captures)
  files[`crawl-data/${crawl}/cc-index-table.paths.gz`] = gzipSync(`${Object.keys(index).join('\n')}\n`)
  return { files: { ...files, ...index }, captures }
}

function captureOf(page: number) {
  const ending = endings[page % endings.length]
  const domain = `site${page % 13}.${ending}`
  const host = page % 2 === 0 ? `www.${domain}` : domain
  return {
    url: `https://${host}/page/${page}`,
    url_host_name: host,
    url_host_registered_domain: domain,
    url_host_tld: ending.slice(ending.lastIndexOf('.') + 1),
    content_languages: languages[page % languages.length],
    content_mime_detected: page % 17 === 0 ? 'application/pdf' : 'text/html',
    fetch_status: page % 19 === 0 ? 206 : 200,
  }
}

function responseOf({ fetch_status, content_mime_detected }: ReturnType<typeof captureOf>, page: number): Buffer {
  const words = Array.from({ length: 30 + (page % 50) }, (_, word) => `word${(page * 31 + word * 7) % 997}`).join(' ')
  const body = `<!doctype html><title>Page ${page}</title><article><p>This is page number ${page}, and its text is long enough to be kept. ${words}.</p></article>`
  return Buffer.from(`HTTP/1.1 ${fetch_status} OK\r\nContent-Type: ${content_mime_detected}; charset=utf-8\r\n\r\n${body}`)
}

function member(type: 'warcinfo' | 'request' | 'response', page: number, url: string | undefined, block: Buffer): Buffer {
  const id = `<urn:uuid:00000000-0000-4000-8000-${(page * 3 + type.length).toString().padStart(12, '0')}>`
  const contentType = type === 'warcinfo' ? 'application/warc-fields' : `application/http; msgtype=${type}`
  return gzipSync(encodeWarcRecord({ type, date: DATE, id, url, contentType, block }))
}

/** As Common Crawl's: gzip, some thousand rows a row group here, and a file of another subset beside it. */
async function indexOf(crawl: string, captures: readonly Capture[]): Promise<Record<string, Buffer>> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-index-'))
  try {
    const rows = join(folder, 'rows.json')
    await writeFile(rows, captures.map((capture) => JSON.stringify(capture)).join('\n'))
    const connection = await (await DuckDBInstance.create(':memory:')).connect()
    const types =
      "{url: 'varchar', url_host_name: 'varchar', url_host_registered_domain: 'varchar', url_host_tld: 'varchar', content_languages: 'varchar', content_mime_detected: 'varchar', fetch_status: 'smallint', warc_filename: 'varchar', warc_record_offset: 'integer', warc_record_length: 'integer'}"
    const sorted = `select * from read_json('${rows}', columns = ${types}) order by url_host_tld, url_host_registered_domain, url`
    const half = Math.ceil(captures.length / 2)
    const parts: Record<string, string> = {
      'subset=warc/part-00000.parquet': `select * from (${sorted}) limit ${half}`,
      'subset=warc/part-00001.parquet': `select * from (${sorted}) offset ${half}`,
      'subset=crawldiagnostics/part-00000.parquet': `select * from (${sorted}) limit 10`,
    }
    const files: Record<string, Buffer> = {}
    for (const [name, select] of Object.entries(parts)) {
      const path = join(folder, 'part.parquet')
      await connection.run(`copy (${select}) to '${path}' (format parquet, codec gzip, row_group_size 2048)`)
      files[`cc-index/table/cc-main/warc/crawl=${crawl}/${name}`] = await readFile(path)
    }
    connection.closeSync()
    return files
  } finally {
    await rm(folder, { recursive: true })
  }
}
