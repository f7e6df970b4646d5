// Replaces personal data. The default set finds e-mail, phone, IP, card and bank account numbers, with their check digits;
// the set `datatrove` is exactly that toolkit's formatter (0.10), used for FineWeb.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { mapStage, type Stage } from '../src/core/stage.ts'
import { createFormatter, formatterDefaults } from '../src/pii/formatter.ts'
import { findPii, replaceSpans } from '../src/pii/redact.ts'
import { kinds } from '../src/pii/spans.ts'

const replacements = z.array(z.string()).min(1)

export const redactPiiOptions = z.discriminatedUnion('set', [
  z.strictObject({
    set: z.literal('default').optional().describe('detectors with validators; precise rather than greedy'),
    kinds: z
      .array(z.enum(kinds))
      .min(1)
      .default([...kinds])
      .describe('what to look for'),
    mode: z.enum(['tag', 'mask']).default('tag').describe('tag: <EMAIL>; mask: letters and digits become asterisks'),
  }),
  z.strictObject({
    set: z.literal('datatrove').describe('exactly datatrove’s formatter; its replacements start anew in each document'),
    emails: z.boolean().default(formatterDefaults.emails).describe('replace e-mail addresses'),
    ips: z.boolean().default(formatterDefaults.ips).describe('replace IPv4 addresses'),
    onlyPublicIps: z.boolean().default(formatterDefaults.onlyPublicIps).describe('leave private and reserved addresses'),
    emailReplacements: replacements.default([...formatterDefaults.emailReplacements]).describe('used in turn'),
    ipReplacements: replacements.default([...formatterDefaults.ipReplacements]).describe('used in turn'),
  }),
])
export type RedactPiiOptions = z.input<typeof redactPiiOptions>

/**
 * Redacts texts; drops nothing. Statistics: replacements by kind. What was found is nowhere kept.
 * The reference's lists of replacements go on from one document to the next; here each document begins with the first, so
 * that the output does not depend on how the input was divided among workers.
 */
export function redactPii(options: RedactPiiOptions = {}): Stage<Document> {
  const resolved = redactPiiOptions.parse(options)
  return mapStage<Document, Document>('redactPii', {
    options: resolved,
    prepare: () => (document, report) => {
      if (resolved.set === 'datatrove') {
        const { text, ...counts } = createFormatter(resolved)(document.text)
        report({ email: counts.emails, ip: counts.ips })
        return withText(document, text)
      }
      const spans = findPii(document.text, resolved.kinds)
      const counts = Object.fromEntries(resolved.kinds.map((kind) => [kind, 0]))
      for (const { kind } of spans) counts[kind]++
      report(counts)
      return withText(document, replaceSpans(document.text, spans, resolved.mode))
    },
  })
}

function withText(document: Document, text: string): Document {
  return text === document.text ? document : { ...document, text }
}
