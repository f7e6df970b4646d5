// Reads single records of WARC files, each by its place. Neighbours within a gap come with one request; requests run ahead
// of the reader, as many at once as the server bears; records leave in the order of the list.

import type { Item } from '../core/document.ts'
import type { SourceContext } from '../core/stage.ts'
import { type ByteSource, type CacheOptions, readBytes } from '../io/byte-source.ts'
import { mapAhead } from '../io/host.ts'
import { openBytes } from '../io/open-bytes.ts'
import { readWarc } from '../warc/reader.ts'
import type { WarcRecord } from '../warc/record.ts'
import { Batches } from './batches.ts'
import type { Converted } from './warc-records.ts'

/** Bytes between two records that are read along rather than asked for apart: what a round trip is worth with others under way (bench/remote). */
const GAP_BYTES = 1 << 18
/** A request ends with the record that brings it to this size: it is held in memory as a whole. */
const REQUEST_BYTES = 2 << 20
const REQUESTS_AHEAD = 16

export interface Place {
  readonly url: string
  readonly offset: number
  readonly length: number
}

/** Records of one file that come with one request. */
export interface Stretch {
  readonly url: string
  readonly start: number
  readonly end: number
  readonly places: readonly Place[]
}

/** @param places by file, then by offset */
export function stretchesOf(places: readonly Place[], gapBytes = GAP_BYTES): Stretch[] {
  const stretches: { url: string; start: number; end: number; places: Place[] }[] = []
  for (const place of places) {
    const last = stretches.at(-1)
    const end = place.offset + place.length
    if (last?.url === place.url && place.offset - last.end <= gapBytes && end - last.start <= REQUEST_BYTES) {
      last.end = Math.max(last.end, end)
      last.places.push(place)
    } else stretches.push({ url: place.url, start: place.offset, end, places: [place] })
  }
  return stretches
}

export interface PlacedReading<T> {
  readonly maxRecordBytes: number
  readonly cache?: CacheOptions
  readonly convert: (record: WarcRecord, source: string) => Converted<T>
}

export async function* readPlaced<T extends Item>(
  places: readonly Place[],
  context: SourceContext,
  { maxRecordBytes, cache, convert }: PlacedReading<T>,
): AsyncGenerator<T[]> {
  const batches = new Batches<T>(context.batchBytes)
  const opened = new Map<string, Promise<ByteSource>>()
  const fetchStretch = async (stretch: Stretch, signal: AbortSignal) => {
    const { url, start, end } = stretch
    const opening = opened.get(url) ?? openBytes(url, { signal, cache, first: [start, end] })
    opened.set(url, opening)
    return { stretch, bytes: await readBytes(await opening, start, end) }
  }
  for await (const { stretch, bytes } of mapAhead(stretchesOf(places), ({ url }) => url, fetchStretch, context.signal, REQUESTS_AHEAD)) {
    for (const place of stretch.places) {
      const { url, offset, length } = place
      context.consumed(length)
      if (!context.begin(url, offset)) continue
      const record = await recordIn(bytes.subarray(offset - stretch.start, offset - stretch.start + length), place, maxRecordBytes)
      const item = 'code' in record ? record : convert(record, url)
      if ('ignored' in item) context.ignored(item.ignored)
      else if ('code' in item) context.damaged({ code: item.code, message: item.message, offset, length, source: url })
      else batches.add(item)
      if (batches.isFull) yield batches.take()
    }
  }
  if (!batches.isEmpty) yield batches.take()
}

type Problem = { readonly code: string; readonly message: string }

/** The record that begins at the place, or why there is none. */
async function recordIn(bytes: Buffer, { url, offset, length }: Place, maxRecordBytes: number): Promise<WarcRecord | Problem> {
  let problem: Problem = { code: 'SLUICE_CRAWL_INDEX', message: 'the index names a record here, and there is none' }
  for await (const record of readWarc(memorySource(bytes, url, offset), {
    range: [offset, offset + length],
    maxRecordBytes,
    damaged: (damage) => {
      problem = damage
    },
  }))
    if (record.offset === offset) return record
  return problem
}

/** A piece of a file that begins at `start` as if it were the file. */
function memorySource(bytes: Buffer, url: string, start: number): ByteSource {
  const read = async function* (from = 0, to = start + bytes.length) {
    if (to > start && from < start + bytes.length) yield bytes.subarray(Math.max(0, from - start), to - start)
  }
  return { url, size: start + bytes.length, version: '', read }
}
