// Mended text: mojibake, entities, control characters.

import { z } from 'zod'
import { fixTextOptions, mendText } from '../../stages/fix-text.ts'
import { difference, optionNames, type Runner, rowByRow } from './cases.ts'

const repairCase = z.object({
  params: z.record(z.string(), z.unknown()).default({}).transform(optionNames),
  text: z.string(),
  output: z.string(),
})

export const repairRunners: readonly Runner[] = [
  rowByRow('ftfy*.jsonl', repairCase, (row) => difference('text', row.output, mendText(row.text, fixTextOptions.parse(row.params)))),
]
