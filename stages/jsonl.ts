// Documents from JSON lines, plain or compressed, and the layouts of The Pile (Gao et al. 2020, arxiv.org/abs/2101.00027)
// and C4 (Raffel et al. 2019, arxiv.org/abs/1910.10683).

import { isUtf8 } from 'node:buffer'
import { z } from 'zod'
import type { Document, Json } from '../src/core/document.ts'
import { documentId } from '../src/core/identity.ts'
import type { Partition, PlanContext, Source, SourceContext } from '../src/core/stage.ts'
import { expandInputs } from '../src/io/inputs.ts'
import { isSplittable, type Line, readLines } from '../src/io/lines.ts'
import { openBytes } from '../src/io/open-bytes.ts'
import { Batches, inputPaths, listOf } from './batches.ts'
import { ranges } from './warc-records.ts'

const EXTENSIONS = ['.jsonl', '.ndjson', '.json'].flatMap((extension) => [extension, `${extension}.gz`, `${extension}.zst`])
/** V8 holds no longer string than twice that. */
const MAX_LINE_BYTES = 256 << 20

const fieldPath = z.string().min(1)

export const jsonlOptions = z.strictObject({
  path: inputPaths,
  text: fieldPath.default('text').describe('field that holds the text; a dot reaches into objects: content.body'),
  id: fieldPath.optional().describe("field with the record's own id, kept as metadata"),
  url: fieldPath.optional().describe('field with the address it was published at'),
  date: fieldPath.optional().describe('field with its date'),
  columns: z.array(fieldPath).optional().describe('fields kept as metadata, each under its last name; all other fields without it'),
})
export type JsonlOptions = z.input<typeof jsonlOptions>
type Fields = Omit<z.output<typeof jsonlOptions>, 'path'>

/**
 * A document a line of `.jsonl`, `.jsonl.gz` or `.jsonl.zst`. Offsets are bytes in the file where it is plain, and in the
 * decompressed stream where it is not. Large plain files are cut into byte ranges. Lines that are no JSON object with a
 * text are damage, one by one.
 */
export function jsonl(options: JsonlOptions): Source<Document> {
  return jsonLines('jsonl', options)
}

export const layoutOptions = z.strictObject({ path: inputPaths })
export type LayoutOptions = z.input<typeof layoutOptions>

/** The Pile: `.jsonl.zst` with `text` and `meta.pile_set_name`, kept as `pile_set_name`. */
export function pile(options: LayoutOptions): Source<Document> {
  return jsonLines('pile', { ...layoutOptions.parse(options), columns: ['meta.pile_set_name'] })
}

/** C4: `.json.gz` with `text`, `url` and `timestamp`. */
export function c4(options: LayoutOptions): Source<Document> {
  return jsonLines('c4', { ...layoutOptions.parse(options), url: 'url', date: 'timestamp' })
}

function jsonLines(name: string, options: JsonlOptions): Source<Document> {
  const { path, ...fields } = jsonlOptions.parse(options)
  const toDocument = documentMaker(fields)
  return {
    kind: 'source',
    name,
    version: 1,
    options: { ...fields, id: fields.id ?? null, url: fields.url ?? null, date: fields.date ?? null, columns: fields.columns ?? null },
    partitions: async (context) => {
      const partitions: Partition[] = []
      for (const { url } of await expandInputs(listOf(path), EXTENSIONS)) partitions.push(...(await partitionsOf(url, context)))
      return partitions
    },
    read: (partition, context) => readDocuments(partition, context, toDocument),
  }
}

async function partitionsOf(url: string, context: PlanContext): Promise<Partition[]> {
  const source = await openBytes(url, { signal: context.signal })
  const whole: Partition = { source: url, bytes: source.size, version: source.version }
  if (source.size < context.partitionBytes * 2 || !(await isSplittable(source))) return [whole]
  return ranges(source.size, context.partitionBytes).map((range) => ({ ...whole, range }))
}

type Result = Document | { readonly ignored: string } | { readonly code: string; readonly message: string }

async function* readDocuments(
  partition: Partition,
  context: SourceContext,
  toDocument: (line: Line, source: string) => Result,
): AsyncGenerator<Document[]> {
  const source = await openBytes(partition.source, { version: partition.version, signal: context.signal })
  const batches = new Batches<Document>(context.batchBytes)
  for await (const { lines, consumed } of readLines(source, {
    range: partition.range,
    maxLineBytes: MAX_LINE_BYTES,
    damaged: context.damaged,
  })) {
    context.consumed(consumed)
    for (const line of lines) {
      if (line.bytes.length === 0 || !context.begin(partition.source, line.offset)) continue
      const result = toDocument(line, partition.source)
      if ('ignored' in result) context.ignored(result.ignored)
      else if ('code' in result) context.damaged({ ...result, offset: line.offset, length: line.bytes.length })
      else batches.add(result)
      if (batches.isFull) yield batches.take()
    }
  }
  if (!batches.isEmpty) yield batches.take()
}

function documentMaker(fields: Fields): (line: Line, source: string) => Result {
  const used = new Set([fields.text, fields.url, fields.date])
  return ({ bytes, offset }, source) => {
    if (!isUtf8(bytes)) return { code: 'SLUICE_JSON_UTF8', message: 'the line is not valid UTF-8' }
    const record = parseObject(bytes.toString('utf8', hasByteOrderMark(bytes, offset) ? 3 : 0))
    if (record === 'bad') return { code: 'SLUICE_JSON_SYNTAX', message: 'the line is not valid JSON' }
    if (record === 'blank') return { ignored: 'blank_line' }
    if (record === 'other') return { code: 'SLUICE_JSON_OBJECT', message: 'the line is JSON, but not an object' }
    const text = valueAt(record, fields.text)
    if (text === undefined) return { code: 'SLUICE_JSON_NO_TEXT', message: `the record has no field ${fields.text}` }
    if (typeof text !== 'string') return { code: 'SLUICE_JSON_TEXT', message: `the field ${fields.text} is no string` }
    if (text === '') return { ignored: 'empty_text' }
    return {
      id: documentId(source, offset),
      source,
      offset,
      length: bytes.length,
      url: fields.url === undefined ? undefined : stringAt(record, fields.url),
      date: fields.date === undefined ? undefined : stringAt(record, fields.date),
      metadata: fields.columns
        ? chosenFields(record, fields.id === undefined ? fields.columns : [fields.id, ...fields.columns])
        : otherFields(record, used),
      text: text.toWellFormed(),
    }
  }
}

type JsonObject = Readonly<Record<string, Json>>

function parseObject(text: string): JsonObject | 'bad' | 'blank' | 'other' {
  try {
    const value: Json = JSON.parse(text)
    return isObject(value) ? value : 'other'
  } catch {
    return text.trim() === '' ? 'blank' : 'bad'
  }
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A field by its name, or, where there is none of that name, by its path. */
function valueAt(record: JsonObject, path: string): Json | undefined {
  if (Object.hasOwn(record, path)) return record[path]
  const dot = path.indexOf('.')
  if (dot === -1) return undefined
  const inner = Object.hasOwn(record, path.slice(0, dot)) ? record[path.slice(0, dot)] : undefined
  return isObject(inner) ? valueAt(inner, path.slice(dot + 1)) : undefined
}

function stringAt(record: JsonObject, path: string): string | undefined {
  const value = valueAt(record, path)
  if (typeof value === 'string') return value.toWellFormed()
  return typeof value === 'number' ? String(value) : undefined
}

function chosenFields(record: JsonObject, paths: readonly string[]): JsonObject {
  const chosen: Record<string, Json> = {}
  for (const path of paths) {
    const value = valueAt(record, path)
    if (value !== undefined) chosen[path.slice(path.lastIndexOf('.') + 1)] = value
  }
  return chosen
}

function otherFields(record: JsonObject, used: ReadonlySet<string | undefined>): JsonObject {
  const others: Record<string, Json> = {}
  for (const name in record) if (!used.has(name)) others[name] = record[name]
  return others
}

function hasByteOrderMark(bytes: Buffer, offset: number): boolean {
  return offset === 0 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
}
