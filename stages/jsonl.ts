// Documents from JSON lines, plain, gzip or zstd: https://jsonlines.org. The layouts of known corpora are in corpora.ts.

import { z } from 'zod'
import type { Document, Json } from '../src/core/document.ts'
import { documentId } from '../src/core/identity.ts'
import type { Partition, PlanContext, Source, SourceContext } from '../src/core/stage.ts'
import { expandInputs } from '../src/io/inputs.ts'
import { type Line, lineRanges, readLines } from '../src/io/lines.ts'
import { openBytes } from '../src/io/open-bytes.ts'
import { AttributeLines, type Attributes, openAttributes, type Said, withSaid } from '../src/sources/attributes.ts'
import { assertUnchanged, Batches, inputPaths, listOf, planEach, versionOf } from '../src/sources/batches.ts'
import { type BadLine, parseLine } from '../src/sources/json-line.ts'
import { fieldOptions, type JsonObject, type RecordFields, recordFields, recordMapper } from '../src/sources/record-fields.ts'

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
      const inputs = (await expandInputs(paths, EXTENSIONS)).filter(({ path }) => !leaveOut?.test(path))
      const urls = inputs.map(({ url }) => url)
      return await planEach(urls, context, (url, context) => partitionsOf(url, attributes, context))
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

type Made = Document | { readonly ignored: string } | { readonly code: string; readonly message: string }

async function* readDocuments(
  partition: Partition,
  attributes: readonly Attributes[],
  context: SourceContext,
  toDocument: (line: Line, source: string, said: readonly (Said | BadLine)[], record: JsonObject) => Made,
): AsyncGenerator<Document[]> {
  const source = await openBytes(partition.source, { signal: context.signal })
  const opened = await openAttributes(partition.source, attributes, context.signal)
  assertUnchanged(partition, [source.version, ...opened.map(({ version }) => version)])
  const beside = attributes.map((one, index) => new AttributeLines(one, opened[index], MAX_LINE_BYTES))
  const batches = new Batches<Document>(context.batchBytes)
  const { range, decoded } = partition
  try {
    for await (const { lines, consumed } of readLines(source, { range, decoded, maxLineBytes: MAX_LINE_BYTES, damaged: context.damaged })) {
      context.consumed(consumed)
      for (const line of lines) {
        if (line.bytes.length === 0 || !context.begin(partition.source, line.offset)) continue
        const record = parseLine(line)
        const said: (Said | BadLine)[] = []
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

function documentMaker(fields: RecordFields) {
  const map = recordMapper(fields)
  return ({ bytes, offset }: Line, source: string, said: readonly (Said | BadLine)[], record: JsonObject): Made => {
    const mapped = map(record, source)
    if ('ignored' in mapped) return mapped
    if ('problem' in mapped) return { code: `SLUICE_JSON_${mapped.problem}`, message: mapped.message }
    const document: Document = { id: documentId(source, offset), source, offset, length: bytes.length, ...mapped }
    return said.length === 0 ? document : withSaid(document, said)
  }
}
