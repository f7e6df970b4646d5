// JSON lines into a stage, and a line out for each: documents and pages as `sluice stage` takes them from standard input.

import { createInterface } from 'node:readline'
import { z } from 'zod'
import type { Document, Item, WebPage } from '../core/document.ts'
import type { PackedError } from '../core/errors.ts'
import type { ErasedBarrier, ErasedStage } from '../engine/pipeline.ts'
import { examineAll, type Outcome } from '../engine/standalone.ts'

/** Lines handed to the stage at a time; fewer where the input ends. */
const BATCH_LINES = 256

const documentLine = z
  .looseObject({
    id: z.union([z.string(), z.number()]).nullish(),
    text: z.string().optional(),
    html: z.string().optional(),
    html_base64: z.base64().optional(),
    content_type: z.string().optional(),
    url: z.string().nullish(),
    date: z.string().nullish(),
    language: z.string().nullish(),
    language_score: z.number().nullish(),
    metadata: z.record(z.string(), z.json()).nullish(),
  })
  .refine((fields) => [fields.text, fields.html, fields.html_base64].filter((content) => content !== undefined).length <= 1, {
    error: 'give one of text, html and html_base64',
  })
  .refine(({ text, html, html_base64, url }) => (text ?? html ?? html_base64 ?? url ?? undefined) !== undefined, {
    error: 'there is no text, html, html_base64 or url',
  })
type Line = z.output<typeof documentLine>

interface Entry {
  readonly id: string | number
  readonly item?: Document | WebPage
  readonly error?: PackedError
}

/** @returns true where every line could be read and judged */
export async function answerLines(stage: ErasedStage | ErasedBarrier, seed: number): Promise<boolean> {
  const waiting: Entry[] = []
  let isClean = true
  const batches = async function* () {
    let batch: Item[] = []
    for await (const entry of readEntries()) {
      waiting.push(entry)
      if (entry.item) batch.push(entry.item)
      if (batch.length < BATCH_LINES) continue
      yield batch
      batch = []
    }
    if (batch.length > 0) yield batch
  }
  for await (const outcomes of examineAll(stage, batches(), seed)) {
    const settled = outcomes.values()
    const entries = waiting.splice(0)
    for (const entry of entries) {
      const outcome = entry.item ? settled.next().value : undefined
      isClean = write(entry, outcome) && isClean
    }
  }
  for (const entry of waiting) isClean = write(entry, undefined) && isClean
  return isClean
}

async function* readEntries(): AsyncGenerator<Entry> {
  let ordinal = 0
  let line = 0
  for await (const text of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
    line++
    if (text.trim() !== '') yield parseEntry(text, ordinal++, line)
  }
}

function parseEntry(text: string, ordinal: number, line: number): Entry {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    return {
      id: ordinal,
      error: { code: 'SLUICE_LINE', message: `line ${line} is not JSON: ${error instanceof Error ? error.message : error}` },
    }
  }
  const parsed = documentLine.safeParse(json)
  if (!parsed.success)
    return { id: idOf(json) ?? ordinal, error: { code: 'SLUICE_LINE', message: `line ${line}: ${z.prettifyError(parsed.error)}` } }
  return { id: parsed.data.id ?? ordinal, item: itemOf(parsed.data, ordinal) }
}

function idOf(json: unknown): string | number | undefined {
  return z.object({ id: z.union([z.string(), z.number()]) }).safeParse(json).data?.id
}

/** Inside, ids are ordinals: two lines may carry the same. */
function itemOf(fields: Line, ordinal: number): Document | WebPage {
  const common = {
    id: String(ordinal),
    source: 'stdin',
    offset: ordinal,
    length: 0,
    url: fields.url ?? undefined,
    date: fields.date ?? undefined,
    metadata: fields.metadata ?? {},
  }
  if (fields.text !== undefined) {
    return {
      ...common,
      text: fields.text.toWellFormed(),
      language: fields.language ?? undefined,
      languageScore: fields.language_score ?? undefined,
    }
  }
  if (fields.html_base64 !== undefined)
    return { ...common, html: Buffer.from(fields.html_base64, 'base64'), contentType: fields.content_type }
  return { ...common, html: Buffer.from(fields.html ?? ''), contentType: fields.content_type ?? 'text/html; charset=utf-8' }
}

/** @returns false for an error */
function write({ id, item, error }: Entry, outcome: Outcome | undefined): boolean {
  const failure = error ?? outcome?.error
  if (failure || !outcome) {
    const lacksText = item !== undefined && !('text' in item) ? 'the line has no "text": ' : ''
    process.stdout.write(`${JSON.stringify({ id, verdict: 'error', reason: failure?.code, message: `${lacksText}${failure?.message}` })}\n`)
    return false
  }
  const { verdict, reason, statistics } = outcome
  process.stdout.write(`${JSON.stringify({ id, verdict, reason, statistics, ...made(item, outcome.item) })}\n`)
  return true
}

/** What the stage made of a kept item: its text, and whatever else differs from the input. */
function made(before: Item | undefined, after: (Item & Partial<Document>) | undefined): Record<string, unknown> {
  if (!after) return {}
  const tokens =
    'tokens' in after && (after.tokens instanceof Uint16Array || after.tokens instanceof Uint32Array)
      ? { tokens: Array.from(after.tokens) }
      : {}
  const { text, url, date, language, languageScore, annotations, metadata } = after
  const changed = JSON.stringify(metadata) === JSON.stringify(before?.metadata) ? {} : { metadata }
  return { text, url, date, language, language_score: languageScore, annotations, ...changed, ...tokens }
}
