// `sluice audit`: what a run kept, dropped and why. The funnel goes to the terminal, all of it into one HTML file.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import { contaminationTable, readContamination } from '../audit/contamination.ts'
import { funnelOf } from '../audit/funnel.ts'
import { Queries } from '../audit/queries.ts'
import { type AuditedRun, readRun } from '../audit/read-run.ts'
import { reportHtml } from '../audit/report.ts'
import { readSamples, type Sample } from '../audit/samples.ts'
import { funnelTable } from '../audit/terminal-table.ts'
import { SluiceError } from '../core/errors.ts'
import { formatCount, formatNumber } from '../core/format.ts'
import { diskError } from '../io/disk-errors.ts'
import { wholeNumber } from './numbers.ts'
import { printable } from './printable.ts'
import { terminalStyle } from './terminal-style.ts'

interface Flags {
  html?: string
  json?: boolean
  samples: number
  stage?: string
  reason?: string
  query?: string
  contamination?: boolean
}

const REPORT_CHARACTERS = 2000
const TERMINAL_CHARACTERS = 800

export const command = new Command()
  .argument('<run>', 'run folder, as sluice run named it')
  .option('--html <file>', 'where the report goes (default: audit.html in the run folder)')
  .option('--json', 'the funnel (or the samples, or the rows of --query) as JSON, and no report unless --html says so')
  .option('--samples <n>', 'dropped documents shown of each reason', wholeNumber(1), 5)
  .option('--stage <name>', 'show documents that this stage dropped')
  .option('--reason <reason>', 'show documents that were dropped for this reason')
  .option('--query <sql>', 'rows of a question in SQL over the views receipts and rejected')
  .option('--contamination', 'what decontamination found, by evaluation set; --json lists the examples')
  .addHelpText(
    'after',
    `
receipts has a row per document and phase: id, source, offset, url, outcome, stage, reason, shadow, and every number
measured as "stage.statistic". rejected has the dropped documents that the run kept for reading, with their text.

Examples:
  sluice audit runs/quickstart
  sluice audit runs/quickstart --stage gopherQuality --reason gopher_short_doc --samples 3
  sluice audit runs/nightly --contamination
  sluice audit runs/quickstart --query 'select reason, median("gopherQuality.n_words") from receipts group by all'

Exit codes: 0 done, 1 no run, or a run that is not finished (what there is of it is shown all the same).`,
  )
  .action(async (path: string, flags: Flags) => {
    const run = await readRun(path)
    if (flags.contamination) await printContamination(run, flags.json ?? false)
    else if (flags.query !== undefined) await printQuery(run, flags.query, flags.json ?? false)
    else if (flags.stage !== undefined || flags.reason !== undefined) await printSamples(run, flags)
    else await audit(run, flags)
    if (!run.isFinished) throw notFinished(run)
  })

async function audit(run: AuditedRun, flags: Flags): Promise<void> {
  const funnel = funnelOf(run)
  if (flags.json) process.stdout.write(`${JSON.stringify(funnel, undefined, 2)}\n`)
  else process.stdout.write(funnelTable(funnel, terminalStyle))
  if (flags.json && flags.html === undefined) return
  const file = flags.html ?? join(run.path, 'audit.html')
  const samples = await samplesOf(run, { count: flags.samples, characters: REPORT_CHARACTERS })
  try {
    await writeFile(file, reportHtml(run, samples))
  } catch (error) {
    throw diskError(error, file)
  }
  if (!flags.json) process.stdout.write(`report: ${file}\n`)
}

async function samplesOf(run: AuditedRun, choice: Parameters<typeof readSamples>[1]): Promise<Sample[]> {
  if (run.phases.every(({ rejected }) => rejected.length === 0)) return []
  using queries = await Queries.open(run)
  return await readSamples(queries, choice)
}

async function printSamples(run: AuditedRun, { stage, reason, samples: count, json }: Flags): Promise<void> {
  checkChoice(run, stage, reason)
  const samples = await samplesOf(run, { count, characters: json ? 2 ** 31 : TERMINAL_CHARACTERS, stage, reason })
  if (json) for (const sample of samples) process.stdout.write(`${JSON.stringify(sample)}\n`)
  else process.stdout.write(samples.length === 0 ? 'The run kept none of them for reading.\n' : samples.map(sampleText).join('\n'))
}

/** A name that nothing in the run has is a slip of the pen, not an empty answer. */
function checkChoice(run: AuditedRun, stage: string | undefined, reason: string | undefined): void {
  const { stages } = funnelOf(run)
  const names = stages.map((row) => row.stage)
  if (stage !== undefined && !names.includes(stage))
    throw new SluiceError('SLUICE_AUDIT_CHOICE', `no stage of this run is called ${stage}`, { fix: `it has ${names.join(', ')}` })
  const reasons = stages.filter((row) => stage === undefined || row.stage === stage).flatMap((row) => row.reasons)
  if (reason !== undefined && !reasons.some((row) => row.reason === reason)) {
    const all = [...new Set(reasons.map((row) => row.reason))].join(', ')
    throw new SluiceError('SLUICE_AUDIT_CHOICE', `no document was dropped for ${reason}${stage === undefined ? '' : ` by ${stage}`}`, {
      fix: all === '' ? 'nothing was dropped there' : `the reasons are ${all}`,
    })
  }
}

function sampleText(sample: Sample): string {
  const { stage, reason, id, url, source, offset, text, characters } = sample
  const numbers = Object.entries(sample.statistics).filter(([name]) => name.startsWith(`${stage}.`))
  const measured = numbers.map(
    ([name, value]) => `${name.slice(stage.length + 1)} ${value === null ? 'not measured' : formatNumber(value)}`,
  )
  const rest = characters - [...text].length
  return [
    terminalStyle.strong(`${stage}: ${reason}`),
    printable(`${id}  ${url ?? ''}`.trimEnd()),
    terminalStyle.soft(printable(`${source} at ${offset}`)),
    ...(measured.length > 0 ? [terminalStyle.soft(measured.join(', '))] : []),
    printable(text).replaceAll(/^/gm, '  '),
    ...(rest > 0 ? [terminalStyle.soft(`  and ${formatCount(rest)} more characters`)] : []),
    '',
  ].join('\n')
}

async function printContamination(run: AuditedRun, json: boolean): Promise<void> {
  const report = await readContamination(run)
  process.stdout.write(json ? `${JSON.stringify(report, undefined, 2)}\n` : contaminationTable(report, terminalStyle))
}

async function printQuery(run: AuditedRun, sql: string, json: boolean): Promise<void> {
  using queries = await Queries.open(run)
  const rows = await queries.rows(sql)
  const plain = rows.map((row) => JSON.stringify(row, (_, value: unknown) => (typeof value === 'bigint' ? exactly(value) : value)))
  if (json) process.stdout.write(plain.map((row) => `${row}\n`).join(''))
  else if (plain.length === 0) process.stdout.write('no rows\n')
  else console.table(plain.map((row) => JSON.parse(row)))
}

/** As a number where JSON's readers take it for the same, else as a string. */
function exactly(value: bigint): number | string {
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
}

function notFinished(run: AuditedRun): SluiceError {
  return new SluiceError('SLUICE_RUN_OPEN', 'the run is not finished', {
    where: { folder: run.path, missing: funnelOf(run).missing.join('; ') },
    fix: 'sluice run goes on where it stopped; the numbers above are of what is done',
  })
}
