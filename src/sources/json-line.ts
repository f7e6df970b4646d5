// A line of JSON as a record. Integers beyond 2⁵³ become strings, digit for digit; of two fields of one name the last counts.

import { isUtf8 } from 'node:buffer'
import type { Json } from '../core/document.ts'
import type { Line } from '../io/lines.ts'
import { isObject, type JsonObject } from './record-fields.ts'

export interface BadLine {
  readonly code: string
  readonly message: string
}
export type ParsedLine = { readonly value: JsonObject } | { readonly bad: { readonly ignored: string } | BadLine }

export function parseLine({ bytes, offset }: Line): ParsedLine {
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
