// The URL filter, with the lists that lie beside its cases.

import { z } from 'zod'
import { decideUrl, loadBlocklists, measureUrl, urlFilterOptions } from '../../stages/url-filter.ts'
import { optionNames, type Runner, rowByRow } from './cases.ts'
import { compareVerdict } from './filters.ts'

const urlCase = z.object({
  params: z.record(z.string(), z.unknown()).default({}).transform(optionNames),
  url: z.string().nullable(),
  keep: z.boolean().nullable(),
  reason: z.string().nullable(),
  raises: z.string().nullish(),
})

export const urlRunners: readonly Runner[] = [
  rowByRow('url*.jsonl', urlCase, async (row, folder) => {
    const lists = z.record(z.string(), z.array(z.string())).parse(folder.readJson('url.lists.json'))
    const limits = urlFilterOptions.parse({ ...optionNames(lists), ...row.params })
    return compareVerdict(row, decideUrl(measureUrl(row.url ?? '', await loadBlocklists(limits)), limits))
  }),
]
