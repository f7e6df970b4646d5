// What decontamination found in a run: which evaluation sets are in the corpus, and how much of them.

import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CONTAMINATION_FILE, type ContaminationReport, contaminationReport } from '../../schemas/contamination.ts'
import { SluiceError } from '../core/errors.ts'
import { formatCount, formatShare } from '../core/format.ts'
import type { AuditedRun } from './read-run.ts'
import type { TableStyle } from './terminal-table.ts'

/** An example of which so much is in the corpus counts as known to the model: Chowdhery et al. 2022 (PaLM), section 8. */
const KNOWN_SHARE = 0.7

/** @throws SluiceError `SLUICE_AUDIT_CHOICE` where the run has no decontamination, or has not come so far */
export async function readContamination(run: AuditedRun): Promise<ContaminationReport> {
  for (const phase of run.phases) {
    const folder = phase.merged('report')
    const file = folder && join(folder, CONTAMINATION_FILE)
    if (file && existsSync(file)) return contaminationReport.parse(JSON.parse(await readFile(file, 'utf8')))
  }
  const isPlanned = run.phases.some(({ end }) => end === 'decontaminate')
  throw new SluiceError(
    'SLUICE_AUDIT_CHOICE',
    isPlanned ? 'the run has not come to its decontamination' : 'this run has no decontamination',
    {
      where: { folder: run.path },
      fix: isPlanned ? 'sluice run goes on where it stopped' : 'put decontaminate({ against }) into the pipeline',
    },
  )
}

export function contaminationTable({ sets }: ContaminationReport, style: TableStyle): string {
  const nameWidth = Math.max(16, ...sets.map(({ name }) => name.length + 2))
  const line = (name: string, cells: readonly string[]) => name.padEnd(nameWidth) + cells.map((cell) => cell.padStart(12)).join('')
  const rows = sets.map(({ name, ngramWords, examples, tooShort, found }) => {
    const known = found.filter(({ share }) => share >= KNOWN_SHARE)
    const cells = [ngramWords, examples, tooShort, found.length, known.length].map(formatCount)
    return line(name, [...cells, formatShare(known.length, examples)])
  })
  const header = line('evaluation set', ['n-gram', 'examples', 'too short', 'touched', 'known', 'of all'])
  return `${[style.soft(header), ...rows, '', 'touched: an n-gram of it is in the corpus; known: 70 % of them are'].join('\n')}\n`
}
