// Examples as they lie in files: JSON lines or Parquet with a text column beside a label or a target, compressed or not, from disk
// or a network.

import { z } from 'zod'
import { hash128 } from '../core/identity.ts'
import { columnOf, numberValues, utf8Values } from '../io/columns.ts'
import { expandInputs } from '../io/inputs.ts'
import { readLines } from '../io/lines.ts'
import { openBytes } from '../io/open-bytes.ts'
import { readParquet } from '../io/parquet.ts'

export const EXAMPLE_FILES = ['.jsonl', '.jsonl.gz', '.jsonl.zst', '.ndjson', '.parquet']
const MAX_LINE_BYTES = 2 ** 26

export type ExampleKind = 'label' | 'pair'

const text = z.string().min(1)
const record = z.looseObject({
  id: z.union([z.string(), z.number()]).optional(),
  text: text.optional(),
  input: text.optional(),
  target: text.optional(),
  output: text.optional(),
  label: z.union([z.string(), z.number(), z.boolean()]).optional(),
})
type ExampleRecord = z.output<typeof record>

export interface RawExample {
  readonly id: string
  readonly source: string
  readonly answer: string
  readonly ordinal: number
}

/** All examples of a file or folder, in order, how many records there were, and how many were none by reason. */
export async function readRawExamples(
  path: string,
  kind: ExampleKind,
): Promise<{ raw: RawExample[]; records: number; refused: Record<string, number> }> {
  const refused: Record<string, number> = {}
  const raw: RawExample[] = []
  let records = 0
  for await (const value of recordsIn(path, (reason) => count(refused, reason))) {
    const example = value && exampleOf(value, kind, records)
    if (example) raw.push(example)
    else count(refused, value ? `no_${kind}` : 'not_an_object')
    records++
  }
  return { raw, records, refused }
}

/** The examples that `selects` admits, as they were read: for a person to see. */
export async function readExamplesAt(
  path: string,
  selects: (example: { readonly ordinal: number; readonly id: string }) => boolean,
): Promise<{ ordinal: number; id: string; text: string }[]> {
  const found: { ordinal: number; id: string; text: string }[] = []
  let ordinal = 0
  for await (const value of recordsIn(path, () => {})) {
    const example = value && (exampleOf(value, 'pair', ordinal) ?? exampleOf(value, 'label', ordinal))
    if (example && selects(example)) found.push({ ordinal, id: example.id, text: `${example.source} → ${example.answer}` })
    ordinal++
  }
  return found
}

function count(counts: Record<string, number>, reason: string): void {
  counts[reason] = (counts[reason] ?? 0) + 1
}

function exampleOf(value: ExampleRecord, kind: ExampleKind, ordinal: number): RawExample | undefined {
  const source = value.input ?? value.text
  const answer = kind === 'label' ? value.label : (value.target ?? value.output)
  if (source === undefined || answer === undefined) return undefined
  return { id: value.id === undefined ? hash128(source) : String(value.id), source, answer: String(answer), ordinal }
}

async function* recordsIn(path: string, refuse: (reason: string) => void): AsyncGenerator<ExampleRecord | undefined> {
  for (const { url } of await expandInputs([path], EXAMPLE_FILES))
    if (new URL(url).pathname.endsWith('.parquet')) yield* parquetRecords(url)
    else yield* jsonRecords(url, refuse)
}

async function* jsonRecords(url: string, refuse: (reason: string) => void): AsyncGenerator<ExampleRecord | undefined> {
  const decoder = new TextDecoder()
  const options = { maxLineBytes: MAX_LINE_BYTES, damaged: () => refuse('damaged') }
  for await (const { lines } of readLines(await openBytes(url), options))
    for (const { bytes } of lines) if (bytes.length > 0) yield parseRecord(decoder.decode(bytes))
}

function parseRecord(line: string): ExampleRecord | undefined {
  try {
    return record.safeParse(JSON.parse(line)).data
  } catch {
    return undefined
  }
}

async function* parquetRecords(url: string): AsyncGenerator<ExampleRecord | undefined> {
  const names = ['id', 'text', 'input', 'target', 'output', 'label']
  for await (const { batch } of readParquet(await openBytes(url), { columns: names })) {
    const columns = names.map((name) => {
      const column = columnOf(batch, name)
      return column && (isText(column.type.toString()) ? utf8Values(column) : numberValues(column))
    })
    for (let row = 0; row < batch.numRows; row++)
      yield record.safeParse(Object.fromEntries(names.map((name, i) => [name, columns[i]?.[row] ?? undefined]))).data
  }
}

const isText = (type: string) => /utf8/i.test(type)
