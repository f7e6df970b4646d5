// Redaction: finds personal data of the chosen kinds and writes something else in its place.

import { findCards } from './card.ts'
import { findEmails } from './email.ts'
import { findIbans } from './iban.ts'
import { findIps } from './ip.ts'
import { findPhones } from './phone.ts'
import { type Find, type Kind, kinds, type Span } from './spans.ts'

const detectors: Readonly<Record<Kind, Find>> = { email: findEmails, iban: findIbans, card: findCards, ip: findIps, phone: findPhones }

/** All findings in order, none overlapping. */
export function findPii(text: string, wanted: readonly Kind[] = kinds): Span[] {
  const all: Span[] = []
  for (const kind of kinds) if (wanted.includes(kind)) detectors[kind](text, (start, end) => all.push({ kind, start, end }))
  return mergeSpans(all)
}

/** Sorted; overlapping ones become one, of the kind that stands first in `kinds`: nothing of either is left standing. */
export function mergeSpans(all: Span[]): Span[] {
  all.sort((a, b) => a.start - b.start)
  const spans: Span[] = []
  for (const span of all) {
    const last = spans.at(-1)
    if (last === undefined || last.end <= span.start) spans.push(span)
    else {
      const kind = kinds.indexOf(span.kind) < kinds.indexOf(last.kind) ? span.kind : last.kind
      spans[spans.length - 1] = { kind, start: last.start, end: Math.max(last.end, span.end) }
    }
  }
  return spans
}

export const tag = (kind: Kind) => `<${kind.toUpperCase()}>`

/** Letters and digits as asterisks. */
export const mask = (_kind: Kind, found: string) => found.replace(/[\p{L}\p{N}]/gu, '*')

/** The text with each span replaced. */
export function replaceSpans(text: string, spans: readonly Span[], replacement: (kind: Kind, found: string) => string): string {
  if (spans.length === 0) return text
  let out = ''
  let done = 0
  for (const { kind, start, end } of spans) {
    out += text.slice(done, start) + replacement(kind, text.slice(start, end))
    done = end
  }
  return out + text.slice(done)
}

/** Personal data of all kinds as tags: for every text that leaves a run other than in its shards. */
export function redactText(text: string): string {
  return replaceSpans(text, findPii(text), tag)
}
