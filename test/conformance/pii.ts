// The reference's PII formatter. Cases with several texts are one formatter's, which goes on in its lists of replacements.

import { z } from 'zod'
import { createFormatter, formatterDefaults } from '../../src/pii/formatter.ts'
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

export const piiRunners: readonly Runner[] = [
  rowByRow('pii*.jsonl', formatterCase, ({ params, texts, outputs }) => {
    const format = createFormatter(params)
    return difference(
      'texts',
      outputs,
      texts.map((text) => format(text).text),
    )
  }),
]
