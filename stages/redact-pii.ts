// Replaces personal data. The default set finds e-mail, phone, IP, card and bank account numbers, with their check digits;
// the set `datatrove` is exactly that toolkit's formatter (0.10), used for FineWeb; the set `dolma` replaces what Dolma's
// `pii_regex_with_counts_fast_v2` tags, as its recipes do.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { mapStage, type Stage } from '../src/core/stage.ts'
import { findDolmaPii } from '../src/pii/dolma.ts'
import { createFormatter, type FormatterOptions, formatterDefaults } from '../src/pii/formatter.ts'
import { findPii, mask, mergeSpans, replaceSpans, tag } from '../src/pii/redact.ts'
import { type Kind, kinds, type Span } from '../src/pii/spans.ts'

const kindsOf: Readonly<Record<string, readonly Kind[]>> = { default: kinds, datatrove: ['email', 'ip'], dolma: ['email', 'ip', 'phone'] }
const replacements = z.array(z.string()).min(1).optional()

export const redactPiiOptions = z
  .strictObject({
    set: z
      .enum(['default', 'datatrove', 'dolma'])
      .default('default')
      .describe('default: detectors with validators; datatrove, dolma: exactly as there'),
    kinds: z
      .array(z.enum(kinds))
      .min(1)
      .optional()
      .describe('what to look for; all that the set has (datatrove: email, ip; dolma: email, ip, phone) where left out'),
    mode: z
      .enum(['tag', 'mask'])
      .optional()
      .describe('default set: tag (EMAIL in angle brackets; where left out) or mask (letters and digits become asterisks)'),
    onlyPublicIps: z.boolean().optional().describe('datatrove set: leave private and reserved addresses (true where left out)'),
    emailReplacements: replacements.describe('datatrove set: used in turn, from the first in each document'),
    ipReplacements: replacements.describe('datatrove set: used in turn, from the first in each document'),
  })
  .superRefine((options, context) => {
    const refuse = (option: string, message: string) => context.addIssue({ code: 'custom', path: [option], message })
    const foreign = [
      ...(options.set === 'datatrove' ? [] : (['onlyPublicIps', 'emailReplacements', 'ipReplacements'] as const)),
      ...(options.set === 'default' ? [] : (['mode'] as const)),
    ]
    for (const option of foreign) if (options[option] !== undefined) refuse(option, `the set ${options.set} has no such option`)
    const known = kindsOf[options.set]
    if (options.kinds?.some((kind) => !known.includes(kind))) refuse('kinds', `the set ${options.set} finds ${known.join(', ')} only`)
  })
export type RedactPiiOptions = z.input<typeof redactPiiOptions>
type Resolved = z.output<typeof redactPiiOptions>
type Redact = (text: string) => { text: string; counts: Partial<Record<Kind, number>> }

/**
 * Redacts texts; drops nothing. Statistics: replacements by kind. What was found is nowhere kept.
 * The reference's lists of replacements go on from one document to the next; here each document begins with the first, so
 * that the output does not depend on how the input was divided among workers.
 */
export function redactPii<T extends Document>(options: RedactPiiOptions = {}): Stage<T> {
  const resolved = redactPiiOptions.parse(options)
  const redact = redactorOf(resolved)
  return mapStage<T, T>('redactPii', {
    options: resolved,
    prepare: () => (document, report) => {
      const { text, counts } = redact(document.text)
      report(counts)
      return text === document.text ? document : { ...document, text }
    },
  })
}

function redactorOf(options: Resolved): Redact {
  const wanted = options.kinds ?? kindsOf[options.set]
  if (options.set === 'datatrove') return likeDatatrove(options, wanted)
  if (options.set === 'dolma')
    return (text) => replaceAll(text, mergeSpans(findDolmaPii(text).filter(({ kind }) => wanted.includes(kind))), wanted, dolmaTag)
  return (text) => replaceAll(text, findPii(text, wanted), wanted, options.mode === 'mask' ? mask : tag)
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
  const counts: Partial<Record<Kind, number>> = Object.fromEntries(wanted.map((kind) => [kind, 0]))
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
