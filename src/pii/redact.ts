// Redaction: finds personal data of the chosen kinds and writes something else in its place.

import { findCards } from './card.ts'
import { eachDigitRegion } from './digit-regions.ts'
import { findLicences, findMedicalRecords, findPassports } from './documents.ts'
import { findEmails } from './email.ts'
import { findIbans } from './iban.ts'
import { findIps } from './ip.ts'
import { findNationalIds, findSsns } from './national-ids.ts'
import { findNames } from './person-name.ts'
import { findPhones } from './phone.ts'
import { findApiKeys, findCredentials, findPrivateKeys } from './secrets.ts'
import { defaultKinds, type Find, type Kind, kinds, patternKinds, type Span } from './spans.ts'
import { findAddresses } from './street-address.ts'
import { findBirthDates, findCoordinates, findMacs } from './traces.ts'
import { findWallets } from './wallets.ts'

/** Look at the whole text. */
const anywhere: Partial<Record<Kind, Find>> = {
  email: findEmails,
  private_key: findPrivateKeys,
  credentials: findCredentials,
  name: findNames,
}
/** Look for numbers. */
const ofDigits: Partial<Record<Kind, Find>> = {
  card: findCards,
  ssn: findSsns,
  national_id: findNationalIds,
  ip: findIps,
  mac: findMacs,
  phone: findPhones,
}
/** Look for digits with letters beside them. */
const ofDigitsAndLetters: Partial<Record<Kind, Find>> = {
  api_key: findApiKeys,
  iban: findIbans,
  crypto_wallet: findWallets,
  passport: findPassports,
  licence: findLicences,
  medical_record: findMedicalRecords,
  coordinates: findCoordinates,
  birth_date: findBirthDates,
  address: findAddresses,
}
const letterOrDegree = /[A-Za-z\u0080-\uffff]/

/** All findings in order, none overlapping. */
export function findPii(text: string, wanted: readonly Kind[] = defaultKinds): Span[] {
  const all: Span[] = []
  const run = (find: Find | undefined, kind: Kind, part: string, offset: number) =>
    find?.(part, (start, end) => all.push({ kind, start: offset + start, end: offset + end }))
  for (const kind of wanted) run(anywhere[kind], kind, text, 0)
  const near = wanted.filter((kind) => anywhere[kind] === undefined)
  if (near.length > 0)
    eachDigitRegion(text, (part, start) => {
      const hasLetters = letterOrDegree.test(part)
      for (const kind of near) run(ofDigits[kind] ?? (hasLetters ? ofDigitsAndLetters[kind] : undefined), kind, part, start)
    })
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

/** Personal data of all kinds that have a form, as tags: for every text that leaves a run other than in its shards. */
export function redactText(text: string): string {
  return replaceSpans(text, findPii(text, patternKinds), tag)
}
