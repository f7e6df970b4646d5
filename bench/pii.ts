// Personal data: what the strict set finds of labelled sentences, kind by kind, beside Presidio's pattern recognizers on the same
// ones; what it finds in texts that hold none; and speed on prose and on tables of numbers.
//
//   npm run bench pii                  quality and speed
//   npm run bench pii -- --peers       beside Presidio (bench/peers/install.sh) and, in speed, datatrove
//   npm run bench pii -- --show email  what is missed and what is found in vain of a kind

import { execFileSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { z } from 'zod'
import { findPii } from '../src/pii/redact.ts'
import { type Kind, kinds, patternKinds } from '../src/pii/spans.ts'
import { median, peerPython, saveResult } from './lib/harness.ts'

const { values } = parseArgs({ options: { peers: { type: 'boolean' }, show: { type: 'string' } } })
const data = new URL('../../shared/data/', import.meta.url)
const presidio = new URL('peers/installed/presidio/bin/python', import.meta.url).pathname

interface Labelled {
  readonly text: string
  readonly spans: readonly { readonly kind: Kind; readonly start: number; readonly end: number }[]
}
type Found = Labelled['spans']

/** Types of the sets, and of Presidio, by our kinds. */
const kindOf: Readonly<Record<string, Kind>> = {
  EMAIL_ADDRESS: 'email',
  PHONE_NUMBER: 'phone',
  CREDIT_CARD: 'card',
  US_SSN: 'ssn',
  US_ITIN: 'ssn',
  SOCIAL_SECURITY_NUMBER: 'ssn',
  IBAN_CODE: 'iban',
  IP_ADDRESS: 'ip',
  US_DRIVER_LICENSE: 'licence',
  MEDICAL_RECORD_NUMBER: 'medical_record',
  ADDRESS: 'address',
  STREET_ADDRESS: 'address',
  PERSON: 'name',
  PERSON_NAME: 'name',
}

const presidioSentence = z.object({
  full_text: z.string(),
  spans: z.array(z.object({ entity_type: z.string(), start_position: z.number(), end_position: z.number() })),
})
const adversarialRecord = z.object({
  text: z.string(),
  annotations: z.array(z.object({ entity_type: z.string(), start: z.number(), end: z.number() })),
})

const labelled: Labelled[] = [
  ...['presidio_generated_large', 'presidio_synth_dataset_v2'].flatMap((name) =>
    lines(`pii/${name}.jsonl.gz`).map((line) => {
      const { full_text: text, spans } = presidioSentence.parse(line)
      return {
        text,
        spans: spansOf(
          text,
          spans.map((span) => [span.entity_type, span.start_position, span.end_position] as const),
        ),
      }
    }),
  ),
  ...lines('pii/pii_anon_test_adversarial.jsonl.gz').map((line) => {
    const { text, annotations } = adversarialRecord.parse(line)
    return {
      text,
      spans: spansOf(
        text,
        annotations.map((span) => [span.entity_type, span.start, span.end] as const),
      ),
    }
  }),
]

const timing = z.object({ seconds: z.number() })
const ours = labelled.map(({ text }) => findPii(text, kinds))
const theirs = values.peers ? presidioSpans(labelled.map(({ text }) => text)).found : undefined
if (values.show) show(values.show)
else {
  const prose = texts().join('\n').slice(0, 8e6)
  const result = {
    quality: table(ours),
    ...(theirs ? { presidio: table(theirs) } : {}),
    vain: inVain(),
    megabytesPerSecond: { prose: rate(pieces(prose)), numbers: rate(pieces(numbers(4e6))), ...(values.peers ? peerRates(prose) : {}) },
  }
  saveResult('pii', result)
}

function lines(file: string): unknown[] {
  const text = gunzipSync(readFileSync(new URL(file, data))).toString('utf8')
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

/** Offsets of the sets, and of Presidio, are code points. */
function spansOf(text: string, spans: readonly (readonly [type: string, start: number, end: number])[]): Found {
  const units = [0]
  for (const character of text) units.push(units[units.length - 1] + character.length)
  return spans.flatMap(([type, start, end]) => (kindOf[type] ? [{ kind: kindOf[type], start: units[start], end: units[end] }] : []))
}

// ---- quality: a labelled span counts as found, and a finding as right, where the two overlap ----

function overlap(a: Found[number], b: Found[number]): boolean {
  return a.kind === b.kind && a.start < b.end && b.start < a.end
}

function table(found: readonly Found[]) {
  const measured = new Set(labelled.flatMap(({ spans }) => spans.map(({ kind }) => kind)))
  return Object.fromEntries(
    [...measured].map((kind) => {
      let [labels, hits, findings, right] = [0, 0, 0, 0]
      for (const [i, { spans }] of labelled.entries()) {
        const own = spans.filter((span) => span.kind === kind)
        const predicted = found[i].filter((span) => span.kind === kind)
        labels += own.length
        hits += own.filter((span) => predicted.some((other) => overlap(span, other))).length
        findings += predicted.length
        right += predicted.filter((span) => own.some((other) => overlap(span, other))).length
      }
      const [precision, recall] = [right / Math.max(1, findings), hits / labels]
      const f1 = precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall)
      return [kind, { labels, findings, precision: round(precision), recall: round(recall), f1: round(f1) }]
    }),
  )
}

function round(value: number): number {
  return Math.round(value * 1e4) / 1e4
}

function show(kind: string): void {
  for (const [i, { text, spans }] of labelled.entries()) {
    const context = ({ start, end }: Found[number]) =>
      JSON.stringify(`${text.slice(Math.max(0, start - 30), start)}⟦${text.slice(start, end)}⟧${text.slice(end, end + 15)}`)
    for (const span of spans.filter((one) => one.kind === kind))
      if (!ours[i].some((other) => overlap(span, other))) console.log('missed', context(span))
    for (const span of ours[i].filter((one) => one.kind === kind))
      if (!spans.some((other) => overlap(span, other))) console.log('in vain', context(span))
  }
}

// ---- texts that hold none ----

function texts(): string[] {
  return globSync('text/*.txt.gz', { cwd: data })
    .sort()
    .map((file) => gunzipSync(readFileSync(new URL(file, data))).toString('utf8'))
}

function sourceCode(): string {
  return globSync(['src/**/*.ts', 'stages/*.ts', 'kernels/**/*.ts'], { cwd: new URL('..', import.meta.url) })
    .map((file) => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8'))
    .join('\n')
}

/** Rows of numbers in the forms that tables have. */
function numbers(length: number): string {
  let state = 1
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const forms = [
    () => random(1e4),
    () => random(1e9),
    () => (random(1e6) / 100).toFixed(2),
    () => random(1e6).toLocaleString('en'),
    () => `-${random(1000)}.${random(1e4)}`,
  ]
  const rows: string[] = []
  for (let size = 0; size < length; ) {
    const row = Array.from({ length: 8 }, () => forms[random(forms.length)]()).join(rows.length % 2 ? '\t' : ' ')
    rows.push(row)
    size += row.length + 1
  }
  return rows.join('\n')
}

function inVain() {
  const clean = { 'prose, novels and speeches': texts().join('\n'), 'source code': sourceCode(), 'tables of numbers': numbers(4e6) }
  return Object.fromEntries(
    Object.entries(clean).map(([name, text]) => {
      const words = text.split(/\s+/).length
      const found = pieces(text).flatMap((piece) =>
        findPii(piece, patternKinds).map(({ kind, start, end }) => `${kind}: ${piece.slice(start, end)}`),
      )
      return [
        name,
        { words, findings: found.length, perFiftyThousandWords: round((found.length / words) * 50_000), examples: found.slice(0, 12) },
      ]
    }),
  )
}

// ---- speed: documents of a page's length ----

function pieces(text: string): string[] {
  return text.match(/.{1,4000}/gs) ?? []
}

function rate(documents: readonly string[]): number {
  const bytes = documents.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  const seconds = Array.from({ length: 5 }, () => {
    const start = performance.now()
    for (const text of documents) findPii(text, patternKinds)
    return (performance.now() - start) / 1e3
  })
  return round(bytes / 1e6 / median(seconds))
}

function runPeer(python: string, script: string, documents: readonly string[]): string[] {
  if (!existsSync(python)) throw new Error(`${script} has nothing to run on: run bench/peers/install.sh`)
  const input = documents.map((text) => `${JSON.stringify({ text })}\n`).join('')
  const file = new URL(`peers/${script}`, import.meta.url).pathname
  const output = execFileSync(python, [file], { input, encoding: 'utf8', maxBuffer: 1e9, stdio: ['pipe', 'pipe', 'ignore'] })
  return output.trimEnd().split('\n')
}

function presidioSpans(documents: readonly string[]): { found: Found[]; seconds: number } {
  const rows = runPeer(presidio, 'pii.py', documents)
  const spans = z.array(z.tuple([z.string(), z.number(), z.number()]))
  return {
    found: documents.map((text, i) => spansOf(text, spans.parse(JSON.parse(rows[i])))),
    seconds: timing.parse(JSON.parse(rows[documents.length])).seconds,
  }
}

function peerRates(prose: string) {
  const documents = pieces(prose.slice(0, 400_000))
  const megabytes = documents.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6
  const [datatrove] = runPeer(peerPython, 'pii_datatrove.py', documents)
  return {
    'prose, Presidio': round(megabytes / presidioSpans(documents).seconds),
    'prose, datatrove (e-mail and IP alone)': round(megabytes / timing.parse(JSON.parse(datatrove)).seconds),
  }
}
