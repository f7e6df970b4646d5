// `sluice classifier report`: how well the classifiers do that a run trained for itself.

import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { z } from 'zod'
import { SluiceError } from '../core/errors.ts'

const share = z.number().nullable()
const confusion = z.object({ threshold: z.number(), precision: share, recall: z.number(), f1: z.number() })
const report = z.object({
  classifier: z.string(),
  trained: z.object({ positive: z.number(), negative: z.number() }),
  threshold: share,
  calibration: z.object({ documents: z.number(), shareFrom: share }).nullable(),
  heldOut: z.object({
    positive: z.number(),
    negative: z.number(),
    areaUnderCurve: z.number(),
    atHalf: confusion,
    atThreshold: confusion.nullable(),
  }),
})

export const reportCommand = new Command('report')
  .description('how well the classifiers do that a run trained for itself, on examples they never saw')
  .argument('<run>', 'run folder')
  .option('--json', 'as JSON, an object a line', false)
  .action((run: string, flags: { json: boolean }) => {
    const files = globSync('phases/*/merged/*/report.json', { cwd: run }).sort()
    if (files.length === 0)
      throw new SluiceError('SLUICE_CLASSIFIER_NO_REPORT', 'this run trained no classifier', {
        where: { folder: run },
        fix: 'name the folder of a run with qualityClassifier or toxicityClassifier',
      })
    for (const file of files) {
      const facts = report.parse(JSON.parse(readFileSync(join(run, file), 'utf8')))
      process.stdout.write(flags.json ? `${JSON.stringify({ file, ...facts })}\n` : reportText(facts, join(run, file)))
    }
  })

function reportText({ classifier, trained, calibration, heldOut }: z.output<typeof report>, file: string): string {
  const row = (name: string, { threshold, precision, recall, f1 }: z.output<typeof confusion>) =>
    `  ${name.padEnd(14)}${[threshold, precision, recall, f1].map((value) => (value === null ? '-' : value.toFixed(4)).padStart(11)).join('')}\n`
  const { positive, negative, areaUnderCurve, atHalf, atThreshold } = heldOut
  const lines = [
    `${classifier}: trained on ${trained.positive} positives and ${trained.negative} negatives (model.bin beside ${file})\n`,
    `  never trained on: ${positive} positives, ${negative} negatives; area under the ROC curve ${areaUnderCurve.toFixed(4)}\n`,
    `  ${''.padEnd(14)}${['threshold', 'precision', 'recall', 'F1'].map((name) => name.padStart(11)).join('')}\n`,
    row('at one half', atHalf),
    atThreshold === null ? '' : row('as applied', atThreshold),
    calibration?.shareFrom == null
      ? ''
      : `  ${(100 * calibration.shareFrom).toFixed(2)} % of the documents score at least the threshold, by a sample of ${calibration.documents}\n`,
  ]
  return lines.join('')
}
