// Documents from JSON lines, plain, gzip or zstd: https://jsonlines.org. The layouts of known corpora are in corpora.ts.

import { isUtf8 } from 'node:buffer'
import { z } from 'zod'
import type { Document, Json } from '../src/core/document.ts'
import { SluiceError, systemCode } from '../src/core/errors.ts'
import { documentId } from '../src/core/identity.ts'
import type { Partition, PlanContext, Source, SourceContext } from '../src/core/stage.ts'
import type { ByteSource } from '../src/io/byte-source.ts'
import { expandInputs } from '../src/io/inputs.ts'
import { type Line, lineRanges, readLines } from '../src/io/lines.ts'
import { openBytes } from '../src/io/open-bytes.ts'
import { assertUnchanged, Batches, inputPaths, listOf, versionOf } from './batches.ts'
import { fieldOptions, isObject, type JsonObject, type RecordFields, recordFields, recordMapper } from './record-fields.ts'

const EXTENSIONS = ['.jsonl', '.ndjson', '.json'].flatMap((extension) => [extension, `${extension}.gz`, `${extension}.zst`])
/** V8 holds no longer string than twice that. */
const MAX_LINE_BYTES = 256 << 20

export const jsonlOptions = z.strictObject({ path: inputPaths, ...recordFields })
export type JsonlOptions = z.input<typeof jsonlOptions>

/**
 * A document a line. Offsets are bytes in the file where it is plain, and in the decompressed stream where it is not. Large
 * plain files are cut into byte ranges, large zstd files where their frames begin. Lines that are no JSON object with a text
 * are damage, one by one. Of two fields of one name the last counts; integers beyond 2⁵³ become strings, digit for digit.
 */
export function jsonl(options: JsonlOptions): Source<Document> {
  const { path, ...fields } = jsonlOptions.parse(options)
  return jsonLines({ name: 'jsonl', paths: listOf(path), fields, options: fieldOptions(fields) })
}

/** Files beside the documents that say more of each, in the same order: line n of one belongs to line n of the other. */
export interface Attributes {
  /** @returns undefined where the documents' own URL does not show where they lie */
  readonly urlOf: (documents: string) => string | undefined
  /** @returns what the line says, or undefined where it speaks of another document */
  readonly read: (attributes: JsonObject, record: JsonObject, ordinal: number) => Said | undefined
}
export interface Said {
  readonly annotations: Readonly<Record<string, number | string>>
  readonly metadata?: JsonObject
}

export interface JsonLines {
  readonly name: string
  readonly paths: readonly string[]
  readonly fields: RecordFields
  /** What enters the plan hash. */
  readonly options: Json
  /** Paths below the folder that the user named which are no documents. */
  readonly leaveOut?: RegExp
  readonly attributes?: readonly Attributes[]
}

export function jsonLines({ name, paths, fields, options, leaveOut, attributes = [] }: JsonLines): Source<Document> {
  const toDocument = documentMaker(fields)
  return {
    kind: 'source',
    name,
    version: 2,
    options,
    partitions: async (context) => {
      const partitions: Partition[] = []
      for (const { url, path } of await expandInputs(paths, EXTENSIONS))
        if (!leaveOut?.test(path)) partitions.push(...(await partitionsOf(url, attributes, context)))
      return partitions
    },
    read: (partition, context) => readDocuments(partition, attributes, context, toDocument),
  }
}

async function partitionsOf(url: string, attributes: readonly Attributes[], { signal, partitionBytes }: PlanContext): Promise<Partition[]> {
  const source = await openBytes(url, { signal })
  const beside = await openAttributes(url, attributes, signal)
  const whole: Partition = {
    source: url,
    bytes: source.size,
    version: versionOf([source.version, ...beside.map(({ version }) => version)]),
  }
  // With attributes the lines are counted from the first.
  if (beside.length > 0) return [whole]
  return (await lineRanges(source, partitionBytes)).map((range) => ({ ...whole, ...range }))
}

async function openAttributes(documents: string, attributes: readonly Attributes[], signal: AbortSignal): Promise<ByteSource[]> {
  const opened: ByteSource[] = []
  for (const { urlOf } of attributes) {
    const url = urlOf(documents)
    try {
      if (url !== undefined) opened.push(await openBytes(url, { signal }))
    } catch (cause) {
      if (!isMissing(cause)) throw cause
      throw new SluiceError('SLUICE_ATTRIBUTES_MISSING', 'there are documents without the attributes that were asked for', {
        where: { documents, attributes: url ?? '' },
        fix: 'fetch that file too, or ask for other attributes',
        cause,
      })
    }
    if (url === undefined)
      throw new SluiceError('SLUICE_ATTRIBUTES_MISSING', 'the documents do not lie in the folders of their layout', {
        where: { documents },
        fix: 'name files below a folder documents/, as the corpus is published, or ask for no attributes',
      })
  }
  return opened
}

function isMissing(error: unknown): boolean {
  return systemCode(error) === 'SLUICE_FILE_MISSING' || systemCode(error) === 'SLUICE_HTTP_STATUS'
}

type Made = Document | { readonly ignored: string } | { readonly code: string; readonly message: string }

async function* readDocuments(
  partition: Partition,
  attributes: readonly Attributes[],
  context: SourceContext,
  toDocument: (line: Line, source: string, said: readonly (Said | Bad)[], record: JsonObject) => Made,
): AsyncGenerator<Document[]> {
  const source = await openBytes(partition.source, { signal: context.signal })
  const opened = await openAttributes(partition.source, attributes, context.signal)
  assertUnchanged(partition, [source.version, ...opened.map(({ version }) => version)])
  const beside = attributes.map((one, index) => new AttributeLines(one, opened[index]))
  const batches = new Batches<Document>(context.batchBytes)
  const { range, decoded } = partition
  try {
    for await (const { lines, consumed } of readLines(source, { range, decoded, maxLineBytes: MAX_LINE_BYTES, damaged: context.damaged })) {
      context.consumed(consumed)
      for (const line of lines) {
        if (line.bytes.length === 0 || !context.begin(partition.source, line.offset)) continue
        const record = parseLine(line)
        const said: (Said | Bad)[] = []
        if (!('bad' in record)) for (const one of beside) said.push(await one.of(line.ordinal, record.value))
        const made = 'bad' in record ? record.bad : toDocument(line, partition.source, said, record.value)
        if ('ignored' in made) context.ignored(made.ignored)
        else if ('code' in made) {
          const place = range ? '' : `line ${line.ordinal + 1}: `
          context.damaged({ code: made.code, message: place + made.message, offset: line.offset, length: line.bytes.length })
        } else batches.add(made)
        if (batches.isFull) yield batches.take()
      }
    }
    if (!batches.isEmpty) yield batches.take()
  } finally {
    for (const one of beside) await one.close()
  }
}

interface Bad {
  readonly code: string
  readonly message: string
}

/** The lines of a file of attributes, asked for in order. */
class AttributeLines {
  readonly #attributes: Attributes
  readonly #lines: AsyncGenerator<Line>
  readonly #url: string
  #line: Line | undefined
  #problem = 'it ends before this line'

  constructor(attributes: Attributes, source: ByteSource) {
    this.#attributes = attributes
    this.#url = source.url
    this.#lines = this.#read(source)
  }

  async of(ordinal: number, record: JsonObject): Promise<Said | Bad> {
    while (this.#line === undefined || this.#line.ordinal < ordinal) {
      const next = await this.#lines.next()
      if (next.done) return this.#bad(this.#problem)
      this.#line = next.value
    }
    if (this.#line.ordinal > ordinal) return this.#bad('its line is too long')
    const attributes = parseLine(this.#line)
    if ('bad' in attributes) return this.#bad('message' in attributes.bad ? attributes.bad.message : 'its line is blank')
    return this.#attributes.read(attributes.value, record, ordinal) ?? this.#bad('its line is of another document')
  }

  async close(): Promise<void> {
    await this.#lines.return(undefined)
  }

  async *#read(source: ByteSource): AsyncGenerator<Line> {
    const damaged = ({ message }: { message: string }) => (this.#problem = message)
    for await (const { lines } of readLines(source, { maxLineBytes: MAX_LINE_BYTES, damaged })) yield* lines
  }

  #bad(reason: string): Bad {
    return { code: 'SLUICE_ATTRIBUTES_LINE', message: `its attributes cannot be read from ${this.#url}: ${reason}` }
  }
}

function documentMaker(fields: RecordFields) {
  const map = recordMapper(fields)
  return ({ bytes, offset }: Line, source: string, said: readonly (Said | Bad)[], record: JsonObject): Made => {
    const mapped = map(record, source)
    if ('ignored' in mapped) return mapped
    if ('problem' in mapped) return { code: `SLUICE_JSON_${mapped.problem}`, message: mapped.message }
    const document: Document = { id: documentId(source, offset), source, offset, length: bytes.length, ...mapped }
    return said.length === 0 ? document : withSaid(document, said)
  }
}

function withSaid(document: Document, said: readonly (Said | Bad)[]): Document | Bad {
  let { metadata } = document
  let annotations: Document['annotations'] = {}
  for (const one of said) {
    if ('code' in one) return one
    annotations = { ...annotations, ...one.annotations }
    metadata = { ...metadata, ...one.metadata }
  }
  return { ...document, metadata, annotations }
}

// ---- lines to records ----

type Parsed = { readonly value: JsonObject } | { readonly bad: { readonly ignored: string } | Bad }

function parseLine({ bytes, offset }: Line): Parsed {
  if (!isUtf8(bytes)) return { bad: { code: 'SLUICE_JSON_UTF8', message: 'the line is not valid UTF-8' } }
  const text = bytes.toString('utf8', hasByteOrderMark(bytes, offset) ? 3 : 0)
  try {
    const value: Json = JSON.parse(text)
    if (isObject(value)) return { value: hasLargeInteger(value) ? parseExactly(text) : value }
    return { bad: { code: 'SLUICE_JSON_OBJECT', message: 'the line is JSON, but not an object' } }
  } catch {
    if (text.trim() === '') return { bad: { ignored: 'blank_line' } }
    const isArray = offset === 0 && text.startsWith('[')
    const hint = isArray ? '; the file seems to be one JSON array: write an element a line (jq -c ".[]")' : ''
    return { bad: { code: 'SLUICE_JSON_SYNTAX', message: `the line is not valid JSON${hint}` } }
  }
}

/** An integer that a double does not hold: 64-bit hashes and ids are common. */
function hasLargeInteger(value: Json): boolean {
  if (typeof value === 'number') return Number.isInteger(value) && !Number.isSafeInteger(value)
  if (typeof value !== 'object' || value === null) return false
  for (const element of Object.values(value)) if (hasLargeInteger(element)) return true
  return false
}

/** With such integers as strings of their digits, as the Parquet source gives them. */
function parseExactly(text: string): JsonObject {
  return JSON.parse(text, (_key: string, value: unknown, context?: { readonly source?: string }) => {
    const isLarge = Number.isInteger(value) && !Number.isSafeInteger(value)
    return isLarge && /^-?\d+$/.test(context?.source ?? '') ? context?.source : value
  })
}

function hasByteOrderMark(bytes: Buffer, offset: number): boolean {
  return offset === 0 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
}
