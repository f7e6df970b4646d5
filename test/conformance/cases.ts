// What a conformance area is made of: file-name patterns, and for each how its cases are judged.

import { readFileSync } from 'node:fs'
import { join, matchesGlob } from 'node:path'
import { z } from 'zod'

/** What became of one case: without a difference it passed. */
export interface Outcome {
  readonly id: string
  readonly difference?: string
}

/** Other files of the folder that cases refer to: word lists, constants. */
export interface Folder {
  readonly path: string
  readonly readJson: (name: string) => unknown
}

export interface Runner {
  /** Of file names, as `gopher_quality*.jsonl`. The first runner that matches a file gets it. */
  readonly files: string
  readonly run: (rows: readonly unknown[], folder: Folder) => Outcome[] | Promise<Outcome[]>
}

/** A runner that judges each case by itself. `judge` gives undefined where the case passes, else the difference. */
export function rowByRow<S extends z.ZodType>(
  files: string,
  schema: S,
  judge: (row: z.output<S>, folder: Folder) => string | undefined | Promise<string | undefined>,
): Runner {
  return {
    files,
    run: async (rows, folder) => {
      const outcomes: Outcome[] = []
      for (const [i, row] of rows.entries()) outcomes.push({ id: caseId(row, i), difference: await judgeRow(row, schema, judge, folder) })
      return outcomes
    },
  }
}

async function judgeRow<S extends z.ZodType>(
  row: unknown,
  schema: S,
  judge: (row: z.output<S>, folder: Folder) => string | undefined | Promise<string | undefined>,
  folder: Folder,
): Promise<string | undefined> {
  try {
    return await judge(schema.parse(row), folder)
  } catch (error) {
    return error instanceof z.ZodError ? `unreadable case: ${z.prettifyError(error)}` : `threw ${error}`
  }
}

function caseId(row: unknown, index: number): string {
  return typeof row === 'object' && row !== null && 'id' in row ? String(row.id) : `row ${index + 1}`
}

// ---- what most areas compare ----

/** undefined where the two are equal as JSON. */
export function difference(what: string, expected: unknown, got: unknown): string | undefined {
  const [wanted, given] = [JSON.stringify(expected), JSON.stringify(got)]
  return wanted === given ? undefined : `${what}: expected ${around(wanted, given)}, got ${around(given, wanted)}`
}

/** The stretch where it first differs from the other. */
function around(text: string | undefined, other: string | undefined): string {
  if (text === undefined || text.length < 160) return String(text)
  let i = 0
  while (text[i] === other?.[i]) i++
  return `…${text.slice(Math.max(0, i - 40), i + 80)}…`
}

/** undefined where each expected number is there and equal to the nine places that are recorded. */
export function compareNumbers(expected: Readonly<Record<string, number>>, got: Readonly<Record<string, number>>): string | undefined {
  for (const [name, number] of Object.entries(expected)) {
    const isEqual = Math.abs(got[name] - number) <= 1.5e-9 * Math.max(1, Math.abs(number))
    if (!isEqual) return `${name}: expected ${number}, got ${got[name]}`
  }
  return undefined
}

/** Python's parameter names as option names: `min_doc_words` → `minDocWords`. */
export function optionNames(parameters: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const camel = (name: string) => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
  return Object.fromEntries(Object.entries(parameters).map(([name, value]) => [camel(name), value]))
}

// ---- a folder ----

export interface FileResult {
  readonly file: string
  readonly cases: number
  /** Undefined where no runner knows the file. */
  readonly outcomes?: readonly Outcome[]
}

export async function runFile(path: string, file: string, runners: readonly Runner[]): Promise<FileResult> {
  const lines = readFileSync(join(path, file), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
  const runner = runners.find((candidate) => matchesGlob(file, candidate.files))
  if (runner === undefined) return { file, cases: lines.length }
  const folder: Folder = { path, readJson: (name) => JSON.parse(readFileSync(join(path, name), 'utf8')) }
  const outcomes = await runner.run(
    lines.map((line) => JSON.parse(line)),
    folder,
  )
  return { file, cases: lines.length, outcomes }
}
