// Replaces personal data. The default set finds e-mail, phone, IP, card and bank account numbers, with their check digits; the
// set `strict` also identity numbers of thirty countries, passports, licences, medical records, wallets, keys and passwords, MAC
// addresses, coordinates, dates of birth, postal addresses and names. The set `datatrove` is exactly that toolkit's formatter
// (0.10), used for FineWeb; the set `dolma` replaces what Dolma's `pii_regex_with_counts_fast_v2` tags, as its recipes do.

import { z } from 'zod'
import type { Document, Json, Metadata } from '../src/core/document.ts'
import { SluiceError } from '../src/core/errors.ts'
import { drop, mapStage, type Stage } from '../src/core/stage.ts'
import { findDolmaPii } from '../src/pii/dolma.ts'
import { createFormatter, type FormatterOptions, formatterDefaults } from '../src/pii/formatter.ts'
import { findPii, mask, mergeSpans, replaceSpans, tag } from '../src/pii/redact.ts'
import { defaultKinds, type Kind, kinds, type Span } from '../src/pii/spans.ts'
import { surrogate } from '../src/pii/surrogate.ts'

const kindsOf: Readonly<Record<string, readonly Kind[]>> = {
  default: defaultKinds,
  strict: kinds,
  datatrove: ['email', 'ip'],
  dolma: ['email', 'ip', 'phone'],
}
const replacements = z.array(z.string()).min(1).optional()

/** Finds what rules do not, by a model for instance. Its findings count like those of the rules. */
export type Detector = (text: string) => Iterable<Span>

export const redactPiiOptions = z
  .strictObject({
    set: z
      .enum(['default', 'strict', 'datatrove', 'dolma'])
      .default('default')
      .describe('default, strict: detectors with validators; datatrove, dolma: exactly as there'),
    kinds: z
      .array(z.enum(kinds))
      .min(1)
      .optional()
      .describe('what to look for; all that the set has (datatrove: email, ip; dolma: email, ip, phone) where left out'),
    mode: z
      .enum(['tag', 'mask', 'surrogate'])
      .optional()
      .describe(
        'default and strict: tag (EMAIL in angle brackets; where left out), mask (letters and digits become asterisks), or surrogate (others of the same form, the same for the same value)',
      ),
    keyVariable: z
      .string()
      .min(1)
      .optional()
      .describe('surrogate: environment variable with the secret key, of 16 characters or more; it is written nowhere'),
    fields: z
      .array(z.enum(['text', 'url', 'metadata']))
      .min(1)
      .default(['text'])
      .describe('what of a document is redacted; metadata: all strings in it'),
    dropAbove: z.int().min(0).optional().describe('a document with more findings than this is dropped'),
    onlyPublicIps: z.boolean().optional().describe('datatrove set: leave private and reserved addresses (true where left out)'),
    emailReplacements: replacements.describe('datatrove set: used in turn, from the first in each document'),
    ipReplacements: replacements.describe('datatrove set: used in turn, from the first in each document'),
  })
  .superRefine((options, context) => {
    const refuse = (option: string, message: string) => context.addIssue({ code: 'custom', path: [option], message })
    const isOwn = options.set === 'default' || options.set === 'strict'
    const foreign = [
      ...(options.set === 'datatrove' ? [] : (['onlyPublicIps', 'emailReplacements', 'ipReplacements'] as const)),
      ...(isOwn ? [] : (['mode'] as const)),
    ]
    for (const option of foreign) if (options[option] !== undefined) refuse(option, `the set ${options.set} has no such option`)
    const known = isOwn ? kinds : kindsOf[options.set]
    if (options.kinds?.some((kind) => !known.includes(kind))) refuse('kinds', `the set ${options.set} finds ${known.join(', ')} only`)
    if ((options.mode === 'surrogate') !== (options.keyVariable !== undefined))
      refuse('keyVariable', 'surrogates, and only they, need a key: give mode "surrogate" and keyVariable together')
  })
export type RedactPiiOptions = z.input<typeof redactPiiOptions>
type Resolved = z.output<typeof redactPiiOptions>
type Counts = Partial<Record<Kind, number>>
type Redact = (text: string) => { text: string; counts: Counts }

/**
 * Redacts texts. Reason: `pii_above_threshold`. Statistics: findings by kind. What was found is nowhere kept.
 * The reference's lists of replacements go on from one document to the next; here each document begins with the first, so
 * that the output does not depend on how the input was divided among workers.
 *
 * @param detector of the user's own, beside the rules of the sets default and strict
 */
export function redactPii<T extends Document>(options: RedactPiiOptions = {}, detector?: Detector): Stage<T> {
  const resolved = redactPiiOptions.parse(options)
  return mapStage<T, T>('redactPii', {
    version: 2,
    options: resolved,
    isUserCode: detector !== undefined,
    prepare: () => {
      const redact = redactorOf(resolved, detector)
      const fields = new Set(resolved.fields)
      return (document, report) => {
        const counts: Counts = {}
        const clean = (text: string): string => {
          const found = redact(text)
          for (const kind of kinds) if (found.counts[kind] !== undefined) counts[kind] = (counts[kind] ?? 0) + found.counts[kind]
          return found.text
        }
        const text = fields.has('text') ? clean(document.text) : document.text
        const url = fields.has('url') && document.url !== undefined ? clean(document.url) : document.url
        const metadata = fields.has('metadata') ? cleanObject(document.metadata, clean) : document.metadata
        report(counts)
        if (resolved.dropAbove !== undefined && total(counts) > resolved.dropAbove) return drop('pii_above_threshold')
        const isSame = text === document.text && url === document.url && metadata === document.metadata
        return isSame ? document : { ...document, text, url, metadata }
      }
    },
  })
}

/** The same object where nothing was found in it. */
function cleanObject(object: Metadata, clean: (text: string) => string): Metadata {
  const cleaned = Object.entries(object).map(([key, value]) => [key, cleanJson(value, clean)] as const)
  return cleaned.every(([key, value]) => value === object[key]) ? object : Object.fromEntries(cleaned)
}

function cleanJson(value: Json, clean: (text: string) => string): Json {
  if (typeof value === 'string') return clean(value)
  if (value === null || typeof value !== 'object') return value
  if (!isList(value)) return cleanObject(value, clean)
  const cleaned = value.map((part) => cleanJson(part, clean))
  return cleaned.every((part, i) => part === value[i]) ? value : cleaned
}

const isList = (value: Metadata | readonly Json[]): value is readonly Json[] => Array.isArray(value)

function total(counts: Counts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}

function redactorOf(options: Resolved, detector: Detector | undefined): Redact {
  const wanted = options.kinds ?? kindsOf[options.set]
  if (options.set === 'datatrove') return likeDatatrove(options, wanted)
  if (options.set === 'dolma')
    return (text) => replaceAll(text, mergeSpans(findDolmaPii(text).filter(({ kind }) => wanted.includes(kind))), wanted, dolmaTag)
  const replacement = replacementOf(options)
  if (!detector) return (text) => replaceAll(text, findPii(text, wanted), wanted, replacement)
  return (text) => replaceAll(text, mergeSpans([...findPii(text, wanted), ...detector(text)]), wanted, replacement)
}

function replacementOf({ mode, keyVariable }: Resolved): Replacement {
  if (keyVariable === undefined) return mode === 'mask' ? mask : tag
  const key = process.env[keyVariable] ?? ''
  if (key.length < 16)
    throw new SluiceError('SLUICE_PII_KEY', `the environment variable ${keyVariable} holds no key of 16 characters or more`, {
      where: { stage: 'redactPii' },
      fix: `set it to a long random text and keep it: ${keyVariable}=$(openssl rand -hex 32)`,
    })
  return (kind, found) => surrogate(key, kind, found)
}

function likeDatatrove(options: Resolved, wanted: readonly Kind[]): Redact {
  const defaults = formatterDefaults
  const settings: FormatterOptions = {
    emails: wanted.includes('email'),
    ips: wanted.includes('ip'),
    onlyPublicIps: options.onlyPublicIps ?? defaults.onlyPublicIps,
    emailReplacements: options.emailReplacements ?? defaults.emailReplacements,
    ipReplacements: options.ipReplacements ?? defaults.ipReplacements,
  }
  return (original) => {
    const { text, emails, ips } = createFormatter(settings)(original)
    return { text, counts: { email: emails, ip: ips } }
  }
}

type Replacement = Parameters<typeof replaceSpans>[2]

function replaceAll(text: string, spans: readonly Span[], wanted: readonly Kind[], replacement: Replacement): ReturnType<Redact> {
  const counts: Counts = Object.fromEntries(wanted.map((kind) => [kind, 0]))
  for (const { kind } of spans) counts[kind] = (counts[kind] ?? 0) + 1
  return { text: replaceSpans(text, spans, replacement), counts }
}

const dolmaTypes = new Map<Kind, string>([
  ['email', 'EMAIL_ADDRESS'],
  ['phone', 'PHONE_NUMBER'],
  ['ip', 'IP_ADDRESS'],
])

/** Its spans hold the white space around; the replacement brings its own. */
function dolmaTag(kind: Kind): string {
  return ` |||${dolmaTypes.get(kind)}||| `
}
