// Replaces personal data. The default set finds e-mail, phone, IP, card and bank account numbers, with their check digits;
// the set `datatrove` is exactly that toolkit's formatter (0.10), used for FineWeb.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { mapStage, type Stage } from '../src/core/stage.ts'
import { createFormatter, type FormatterOptions, formatterDefaults } from '../src/pii/formatter.ts'
import { findPii, replaceSpans } from '../src/pii/redact.ts'
import { type Kind, kinds } from '../src/pii/spans.ts'

const replacements = z.array(z.string()).min(1).optional()

export const redactPiiOptions = z
  .strictObject({
    set: z
      .enum(['default', 'datatrove'])
      .default('default')
      .describe('default: detectors with validators; datatrove: exactly its formatter'),
    kinds: z
      .array(z.enum(kinds))
      .min(1)
      .optional()
      .describe('what to look for; all that the set has (datatrove: email, ip) where left out'),
    mode: z
      .enum(['tag', 'mask'])
      .optional()
      .describe('default set: tag (<EMAIL>, where left out) or mask (letters and digits become asterisks)'),
    onlyPublicIps: z.boolean().optional().describe('datatrove set: leave private and reserved addresses (true where left out)'),
    emailReplacements: replacements.describe('datatrove set: used in turn, from the first in each document'),
    ipReplacements: replacements.describe('datatrove set: used in turn, from the first in each document'),
  })
  .superRefine((options, context) => {
    const foreign = options.set === 'default' ? (['onlyPublicIps', 'emailReplacements', 'ipReplacements'] as const) : (['mode'] as const)
    for (const option of foreign)
      if (options[option] !== undefined)
        context.addIssue({ code: 'custom', path: [option], message: `the set ${options.set} has no such option` })
    const hasOthers = options.kinds?.some((kind) => kind !== 'email' && kind !== 'ip')
    if (options.set === 'datatrove' && hasOthers)
      context.addIssue({ code: 'custom', path: ['kinds'], message: 'the set datatrove finds email and ip only' })
  })
export type RedactPiiOptions = z.input<typeof redactPiiOptions>
type Resolved = z.output<typeof redactPiiOptions>
type Redact = (text: string) => { text: string; counts: Partial<Record<Kind, number>> }

/**
 * Redacts texts; drops nothing. Statistics: replacements by kind. What was found is nowhere kept.
 * The reference's lists of replacements go on from one document to the next; here each document begins with the first, so
 * that the output does not depend on how the input was divided among workers.
 */
export function redactPii(options: RedactPiiOptions = {}): Stage<Document> {
  const resolved = redactPiiOptions.parse(options)
  const redact = resolved.set === 'datatrove' ? likeDatatrove(resolved) : byDetectors(resolved)
  return mapStage<Document, Document>('redactPii', {
    options: resolved,
    prepare: () => (document, report) => {
      const { text, counts } = redact(document.text)
      report(counts)
      return text === document.text ? document : { ...document, text }
    },
  })
}

function likeDatatrove({ kinds: wanted = ['email', 'ip'], ...options }: Resolved): Redact {
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

function byDetectors(options: Resolved): Redact {
  const wanted: readonly Kind[] = options.kinds ?? kinds
  const mode = options.mode ?? 'tag'
  return (text) => {
    const spans = findPii(text, wanted)
    const counts: Partial<Record<Kind, number>> = Object.fromEntries(wanted.map((kind) => [kind, 0]))
    for (const { kind } of spans) counts[kind] = (counts[kind] ?? 0) + 1
    return { text: replaceSpans(text, spans, mode), counts }
  }
}
