// How the sources over WARC files (warc, wet, commonCrawl) plan and read: pages and texts are made from records here.

import type { Document, Item, Metadata, WebPage } from '../core/document.ts'
import { documentId } from '../core/identity.ts'
import type { Partition, PlanContext, SourceContext } from '../core/stage.ts'
import type { CacheOptions } from '../io/byte-source.ts'
import { expandInputs } from '../io/inputs.ts'
import { openBytes } from '../io/open-bytes.ts'
import { decodeBody, mediaType, parseHttpResponse } from '../warc/http.ts'
import { isSplittable, readWarc } from '../warc/reader.ts'
import { field, recordDate, recordUrl, type WarcRecord } from '../warc/record.ts'
import { Batches, planEach } from './batches.ts'

/** A partition an input, or several of a large one that is compressed record by record. */
export async function warcPartitions(urls: readonly string[], context: PlanContext, cache?: CacheOptions): Promise<Partition[]> {
  return await planEach(urls, context, (url, context) => partitionsOf(url, context, cache))
}

/** Of files, folders and patterns, in order. */
export async function warcFilePartitions(
  paths: readonly string[],
  extensions: readonly string[],
  context: PlanContext,
): Promise<Partition[]> {
  const inputs = await expandInputs(paths, extensions)
  return await warcPartitions(
    inputs.map(({ url }) => url),
    context,
  )
}

async function partitionsOf(url: string, context: PlanContext, cache?: CacheOptions): Promise<Partition[]> {
  const source = await openBytes(url, { signal: context.signal, cache })
  const whole: Partition = { source: url, bytes: source.size, version: source.version }
  if (source.size < context.partitionBytes * 2 || !(await isSplittable(source))) return [whole]
  return ranges(source.size, context.partitionBytes).map((range) => ({ ...whole, range }))
}

/** Cuts at multiples of `stride`; the last piece takes the rest. */
export function ranges(size: number, stride: number): [start: number, end: number][] {
  const count = Math.max(1, Math.floor(size / stride))
  return Array.from({ length: count }, (_, index) => [index * stride, index === count - 1 ? size : (index + 1) * stride])
}

/** What becomes of a record: an item, a reason to leave it out, or damage. */
export type Converted<T> = T | { readonly ignored: string } | { readonly code: string; readonly message: string }

export async function* readRecords<T extends Item>(
  partition: Partition,
  context: SourceContext,
  maxRecordBytes: number,
  convert: (record: WarcRecord, source: string) => Converted<T>,
  cache?: CacheOptions,
): AsyncGenerator<T[]> {
  const source = await openBytes(partition.source, { version: partition.version, signal: context.signal, cache })
  const batches = new Batches<T>(context.batchBytes)
  const damaged: SourceContext['damaged'] = (damage) => {
    context.damaged(damage)
    context.consumed(damage.length)
  }
  for await (const record of readWarc(source, { range: partition.range, maxRecordBytes, damaged })) {
    context.consumed(record.length)
    if (!context.begin(partition.source, record.offset)) continue
    const item = convert(record, partition.source)
    if ('ignored' in item) context.ignored(item.ignored)
    else if ('code' in item) context.damaged({ ...item, offset: record.offset, length: record.length })
    else batches.add(item)
    if (batches.isFull) yield batches.take()
  }
  if (!batches.isEmpty) yield batches.take()
}

const html = new Set(['text/html', 'application/xhtml+xml'])

/** Responses with status 200 and resources, where they are HTML. Reasons: `warc_<type>`, `not_http`, `http_status_<status>`, `not_html`, `empty_body`. */
export function pageOf(record: WarcRecord, source: string, maxRecordBytes: number): Converted<WebPage> {
  if (record.type === 'resource') return resourcePage(record, source)
  if (record.type !== 'response') return { ignored: `warc_${record.type}` }
  const response = parseHttpResponse(record.block)
  if (!response) return { ignored: 'not_http' }
  if (response.status !== 200) return { ignored: `http_status_${response.status}` }
  const contentType = field(response.fields, 'content-type') ?? field(record.fields, 'warc-identified-payload-type')
  if (contentType !== undefined && !html.has(mediaType(contentType))) return { ignored: 'not_html' }
  const body = decodeBody(response, maxRecordBytes)
  if (body.problem !== undefined) return { code: 'SLUICE_HTTP_BODY', message: body.problem }
  if (body.bytes.length === 0) return { ignored: 'empty_body' }
  if (contentType === undefined && !startsLikeHtml(body.bytes)) return { ignored: 'not_html' }
  return { ...itemOf(record, source), html: body.bytes, contentType }
}

function resourcePage(record: WarcRecord, source: string): Converted<WebPage> {
  const contentType = field(record.fields, 'content-type')
  if (!html.has(mediaType(contentType))) return { ignored: 'not_html' }
  return record.block.length === 0 ? { ignored: 'empty_body' } : { ...itemOf(record, source), html: record.block, contentType }
}

/** For pages that came without a Content-Type. */
function startsLikeHtml(bytes: Buffer): boolean {
  return /<(?:!doctype html|html|head|body)\b/i.test(bytes.toString('latin1', 0, 1024))
}

/** Texts that a crawl has extracted: `conversion` records. Reasons: `warc_<type>`, `not_text`, `empty_text`. */
export function textOf(record: WarcRecord, source: string): Converted<Document> {
  if (record.type !== 'conversion') return { ignored: `warc_${record.type}` }
  const media = mediaType(field(record.fields, 'content-type'))
  if (media !== 'text/plain' && media !== '') return { ignored: 'not_text' }
  const text = record.block.toString('utf8') // invalid bytes become U+FFFD
  return text === '' ? { ignored: 'empty_text' } : { ...itemOf(record, source), text }
}

function itemOf(record: WarcRecord, source: string): Item {
  const metadata: Record<string, string> = {}
  const languages = field(record.fields, 'warc-identified-content-language')
  if (languages !== undefined) metadata.crawl_languages = languages
  const truncated = field(record.fields, 'warc-truncated')
  if (truncated !== undefined) metadata.truncated = truncated
  return {
    id: documentId(source, record.offset),
    source,
    offset: record.offset,
    length: record.length,
    url: recordUrl(record),
    date: recordDate(record),
    metadata: metadata satisfies Metadata,
  }
}
