// From a record with named fields (a JSON line, a row of Parquet or CSV) to the parts of a document: which field is the
// text, the address, the date, and what becomes of the others.

import { z } from 'zod'
import type { Document, Json, Metadata } from '../core/document.ts'
import { sourceName } from '../core/identity.ts'

export const fieldPath = z.string().min(1)

/** Options of every source of records. */
export const recordFields = {
  text: z
    .union([fieldPath, z.array(fieldPath).min(1)])
    .default('text')
    .describe(
      'field with the text; a dot reaches into objects, and into each element of a list: messages.content; several fields are joined',
    ),
  separator: z.string().default('\n\n').describe('between several fields of text, and between the elements of a list'),
  id: fieldPath.optional().describe("field with the record's own id, kept as metadata"),
  url: fieldPath.default('url').describe('field with the address it was published at, where the record has it'),
  date: fieldPath.default('date').describe('field with its date, where the record has it'),
  language: fieldPath.optional().describe('field with the code of its language, for stages that choose by language'),
  languageScore: fieldPath.optional().describe('field with how sure that is, 0 to 1'),
  subset: fieldPath.optional().describe('field with the name of the part of the corpus that it belongs to'),
  folderAsSubset: z.boolean().default(false).describe('names the subset by the folder that the file lies in, where no field does'),
  defaults: z.record(z.string(), z.json()).default({}).describe('values by field, for records that lack the field or have null there'),
  columns: z.array(fieldPath).optional().describe('fields kept as metadata, each under its last name; all other fields without it'),
}
const schema = z.strictObject(recordFields)
export type RecordFields = z.output<typeof schema>

/** As plain JSON, for the plan hash. */
export function fieldOptions(fields: RecordFields): { readonly [key: string]: Json } {
  const { id = null, language = null, languageScore = null, subset = null, columns = null } = fields
  return { ...fields, id, language, languageScore, subset, columns }
}

/** Names of the fields that a reader of columns needs; undefined where it needs all. */
export function neededFields(fields: RecordFields): string[] | undefined {
  if (!fields.columns) return undefined
  const { text, id, url, date, language, languageScore, subset, columns } = fields
  const paths = [text, id, url, date, language, languageScore, subset, columns].flat().filter((path) => path !== undefined)
  return [...new Set(paths.flatMap((path) => [path, firstName(path)]))]
}

/** Fields that were named outright, and have no default: where there are columns, these must be among them. */
export function requiredFields(fields: RecordFields): string[] {
  const { text, id, language, languageScore, subset, columns } = fields
  const named = [text, id, language, languageScore, subset, columns].flat().filter((path) => path !== undefined)
  return named.filter((path) => !Object.hasOwn(fields.defaults, path))
}

export type JsonObject = Readonly<Record<string, Json>>

/** What a record says of its document. */
export interface Mapped {
  readonly text: string
  readonly url?: string
  readonly date?: string
  readonly language?: string
  readonly languageScore?: number
  readonly subset?: string
  readonly metadata: Metadata
  readonly annotations?: Document['annotations']
}
/** `ignored`: there is a text, and it is empty. */
export type Unmapped = { readonly ignored: 'empty_text' } | { readonly problem: 'NO_TEXT' | 'TEXT'; readonly message: string }

/** @returns a function of the record and of the URL of the file that it lies in */
export function recordMapper(fields: RecordFields): (record: JsonObject, source: string) => Mapped | Unmapped {
  const paths = typeof fields.text === 'string' ? [fields.text] : fields.text
  const { defaults } = fields
  const hasDefaults = Object.keys(defaults).length > 0
  const value = (record: JsonObject, path: string | undefined): Json | undefined => {
    if (path === undefined) return undefined
    const found = valueAt(record, path)
    return hasDefaults && (found === undefined || found === null) && Object.hasOwn(defaults, path) ? defaults[path] : found
  }
  const metadataOf = metadataMaker(fields, paths, value)
  return (record, source) => {
    const values = paths.map((path) => value(record, path))
    if (values.every((one) => one === undefined)) return { problem: 'NO_TEXT', message: missingField(paths, Object.keys(record)) }
    const text = joinedText(values, fields.separator)
    if (text === undefined) return { problem: 'TEXT', message: `the field ${paths.join(' or ')} is no string and no list of strings` }
    if (text === '') return { ignored: 'empty_text' }
    const score = value(record, fields.languageScore)
    return {
      text: text.toWellFormed(),
      url: stringOf(value(record, fields.url)),
      date: stringOf(value(record, fields.date)),
      language: stringOf(value(record, fields.language)),
      languageScore: score === undefined || score === null || score === '' ? undefined : finite(Number(score)),
      subset: stringOf(value(record, fields.subset)) ?? (fields.folderAsSubset ? folderOf(source) : undefined),
      metadata: metadataOf(record),
    }
  }
}

/** Parts of text in their order; undefined where one is neither text nor nothing. */
function joinedText(values: readonly (Json | undefined)[], separator: string): string | undefined {
  const [first] = values
  if (values.length === 1 && typeof first === 'string') return first
  const parts: string[] = []
  const add = (value: Json | undefined): boolean => {
    if (typeof value === 'string') {
      if (value !== '') parts.push(value)
      return true
    }
    return value === undefined || value === null || (isList(value) && value.every(add))
  }
  return values.every(add) ? parts.join(separator) : undefined
}

/** A field by its name, or, where there is none of that name, by its path. */
export function valueAt(record: Json | undefined, path: string): Json | undefined {
  if (isList(record)) return valueInList(record, path)
  if (!isObject(record)) return undefined
  if (Object.hasOwn(record, path)) return record[path]
  const first = firstName(path)
  if (first === path || !Object.hasOwn(record, first)) return undefined
  return valueAt(record[first], path.slice(first.length + 1))
}

/** One element, where the path names it by its ordinal; else what each element has there. */
function valueInList(list: readonly Json[], path: string): Json | undefined {
  const first = firstName(path)
  if (/^\d+$/.test(first)) return first === path ? list[Number(first)] : valueAt(list[Number(first)], path.slice(first.length + 1))
  const values = list.map((element) => valueAt(element, path)).filter((value) => value !== undefined)
  return values.length > 0 ? values : undefined
}

function metadataMaker(
  fields: RecordFields,
  textPaths: readonly string[],
  value: (record: JsonObject, path: string) => Json | undefined,
): (record: JsonObject) => Metadata {
  const { id, columns, defaults } = fields
  if (columns) {
    const chosen = id === undefined ? columns : [id, ...columns]
    return (record) =>
      objectOf(
        chosen.flatMap((path) => {
          const found = value(record, path)
          return found === undefined ? [] : [[lastName(path), found]]
        }),
      )
  }
  const used = new Set([...textPaths, fields.url, fields.date, fields.language, fields.languageScore, fields.subset])
  const nested = textPaths.filter((path) => firstName(path) !== path)
  const added = Object.entries(defaults).filter(([name]) => !used.has(name) && firstName(name) === name)
  return (record) => {
    const others: Record<string, Json> = {}
    for (const name in record) if (!used.has(name)) put(others, name, record[name])
    for (const [name, standard] of added) others[name] ??= standard
    for (const path of nested) {
      const first = firstName(path)
      if (Object.hasOwn(record, path) || !Object.hasOwn(others, first)) continue // the text lies deeper: it is not kept twice
      const rest = without(others[first], path.slice(first.length + 1))
      if (rest === undefined) delete others[first]
      else others[first] = rest
    }
    return others
  }
}

/** A copy that lacks a field; undefined where nothing is left of it. */
function without(value: Json, path: string): Json | undefined {
  if (isList(value)) {
    const rest = value.map((element) => without(element, path) ?? null)
    return rest.every((element) => element === null) ? undefined : rest
  }
  if (!isObject(value)) return value
  const others: Record<string, Json> = { ...value }
  delete others[path]
  const first = firstName(path)
  if (!Object.hasOwn(value, path) && first !== path && Object.hasOwn(value, first)) {
    const rest = without(value[first], path.slice(first.length + 1))
    if (rest === undefined) delete others[first]
    else others[first] = rest
  }
  return Object.keys(others).length === 0 ? undefined : others
}

function objectOf(entries: readonly (readonly [name: string, value: Json])[]): JsonObject {
  return Object.fromEntries(entries)
}

/** As an own field even where the name is `__proto__`, which records of any origin may have. */
function put(record: Record<string, Json>, name: string, value: Json): void {
  if (name !== '__proto__') record[name] = value
  else Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true })
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function stringOf(value: Json | undefined): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value.toWellFormed()
  return typeof value === 'number' ? String(value) : undefined
}

function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined
}

function folderOf(source: string): string | undefined {
  const folder = sourceName(source).split('/').at(-2)
  return folder === undefined || folder === '' ? undefined : decodeURIComponent(folder)
}

function firstName(path: string): string {
  const dot = path.indexOf('.')
  return dot === -1 ? path : path.slice(0, dot)
}

function lastName(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1)
}

// ---- for messages ----

const MOST_CHARACTERS = 60
const MOST_NAMES = 30

/** Says what there is instead, and which of it may have been meant. */
export function missingField(wanted: readonly string[], names: readonly string[]): string {
  const others = names.length > MOST_NAMES ? `, and ${names.length - MOST_NAMES} more` : ''
  const meant = names.find((name) => wanted.some((path) => isSimilar(name, path)))
  const hint = meant === undefined ? '' : `; did you mean ${shown(meant)}?`
  return `there is no field ${wanted.join(' or ')}: there are ${names.slice(0, MOST_NAMES).map(shown).join(', ') || 'none'}${others}${hint}`
}

/** A file that is no table has bytes of any kind where names should be. */
function shown(name: string): string {
  const readable = name
    .slice(0, MOST_CHARACTERS)
    .replaceAll(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, '�')
    .toWellFormed()
  return name.length > MOST_CHARACTERS ? `${readable}…` : readable
}

/** The same but for case and marks, one within the other, or one or two edits apart. */
function isSimilar(a: string, b: string): boolean {
  const [one, other] = [a, b].map((name) => name.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, ''))
  if (one === '' || other === '') return false
  return one.includes(other) || other.includes(one) || editDistance(one, other) <= Math.min(2, Math.floor(other.length / 3))
}

/** Levenshtein's. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)))
    row = next
  }
  return row[b.length]
}
