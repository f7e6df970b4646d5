// The reference's PII formatter: cases with several texts are one formatter's, which goes on in its lists of replacements.
// And Dolma's tagger; its older one, `pii_regex_v1`, which crashes on most texts, is left out.

import { z } from 'zod'
import { findDolmaPii } from '../../src/pii/dolma.ts'
import { createFormatter, formatterDefaults } from '../../src/pii/formatter.ts'
import { codePointLength } from '../../src/text/characters.ts'
import { difference, type Runner, rowByRow } from './cases.ts'

const replacements = z.union([z.string().transform((one) => [one]), z.array(z.string()).min(1)])

const parameters = z
  .strictObject({
    remove_emails: z.boolean().optional(),
    remove_ips: z.boolean().optional(),
    only_remove_public_ips: z.boolean().optional(),
    email_replacement: replacements.optional(),
    ip_replacement: replacements.optional(),
  })
  .transform((given) => ({
    emails: given.remove_emails ?? formatterDefaults.emails,
    ips: given.remove_ips ?? formatterDefaults.ips,
    onlyPublicIps: given.only_remove_public_ips ?? formatterDefaults.onlyPublicIps,
    emailReplacements: given.email_replacement ?? formatterDefaults.emailReplacements,
    ipReplacements: given.ip_replacement ?? formatterDefaults.ipReplacements,
  }))

const formatterCase = z.union([
  z.object({ params: parameters, text: z.string(), output: z.string() }).transform(({ params, text, output }) => ({
    params,
    texts: [text],
    outputs: [output],
  })),
  z.object({ params: parameters, texts: z.array(z.string()), outputs: z.array(z.string()) }),
])

// ---- Dolma ----

const dolmaSpan = z.object({ start: z.int(), end: z.int(), type: z.string(), score: z.number() })
const dolmaCase = z.object({ text: z.string(), pii_regex_with_counts_fast_v2: z.array(dolmaSpan) })
const dolmaTypes: Readonly<Record<string, string>> = { email: 'EMAIL_ADDRESS', phone: 'PHONE_NUMBER', ip: 'IP_ADDRESS' }

/** The spans in code points, then the two scores of the whole text: of which the second counts the first as a span too. */
function dolmaSpans(text: string): z.output<typeof dolmaSpan>[] {
  const length = codePointLength(text)
  const spans = findDolmaPii(text).map(({ kind, start, end }) => ({
    start: codePointLength(text.slice(0, start)),
    end: codePointLength(text.slice(0, end)),
    type: dolmaTypes[kind],
    score: 1,
  }))
  const covered = spans.reduce((sum, { start, end }) => sum + end - start, length)
  const whole = { start: 0, end: length }
  const share = length === 0 ? -1 : Math.round((covered / length) * 1e9) / 1e9
  return [...spans, { ...whole, type: 'doc_count', score: spans.length }, { ...whole, type: 'doc_frac', score: share }]
}

export const piiRunners: readonly Runner[] = [
  rowByRow('dolma_pii*.jsonl', dolmaCase, (row) => difference('spans', row.pii_regex_with_counts_fast_v2, dolmaSpans(row.text))),
  rowByRow('pii*.jsonl', formatterCase, ({ params, texts, outputs }) => {
    const format = createFormatter(params)
    return difference(
      'texts',
      outputs,
      texts.map((text) => format(text).text),
    )
  }),
]
