// `sluice plan`: what a run would do, without doing it: phases, stages, partitions, sizes, and a forecast of time and disk.

import { Command } from 'commander'
import { formatBytes, formatSeconds } from '../core/format.ts'
import type { Plan, PlannedPartition } from '../engine/plan.ts'
import { freezePlan, planPartitions } from '../engine/plan.ts'
import { type Forecast, forecast, inputBytes } from '../executors/forecast.ts'
import { planOf } from '../executors/setup.ts'
import { wholeNumber } from './numbers.ts'
import { pipelineArguments } from './pipeline-arguments.ts'
import { choicesOf, type RunFlags, threadsOf, withRunOptions } from './run-options.ts'

export { extraHelp } from './run.ts'

const LISTED_PARTITIONS = 10

export const command = withRunOptions(new Command())
  .allowUnknownOption()
  .allowExcessArguments()
  .option('--pilot <n>', 'run about n documents for real, and throw the result away, to forecast time and disk', wholeNumber(1), 200)
  .option('--no-pilot', 'no forecast: touch the inputs only to list them')
  .addHelpText('after', '\nExample:\n  sluice plan pipelines/quickstart.ts --pilot 500')
  .action(async (file: string, flags: RunFlags & { pilot: number | false }, command: Command) => {
    const values = await pipelineArguments(file, command)
    const plan = await planOf({ file, arguments: values, choices: choicesOf(flags), run: '' })
    const partitions = await planPartitions(plan, { signal: new AbortController().signal, partitionBytes: flags.partitionSize })
    const { threads, cause } = threadsOf(flags)
    const foreseen = flags.pilot === false || partitions.length === 0 ? undefined : await forecast(plan, partitions, threads, flags.pilot)
    if (flags.json) process.stdout.write(`${JSON.stringify({ ...freezePlan(plan), partitions, forecast: foreseen })}\n`)
    else print(plan, partitions, `${threads} threads (${cause})`, foreseen)
  })

function print(plan: Plan, partitions: readonly PlannedPartition[], threads: string, foreseen: Forecast | undefined): void {
  const write = (line: string) => process.stdout.write(`${line}\n`)
  write(`${plan.pipeline.name}   plan ${plan.hash.slice(0, 12)}, seed ${plan.pipeline.seed}`)
  for (const { end, stages } of freezePlan(plan).phases) {
    const names = stages.map(({ kind, name }) => (kind === 'apply' ? `apply ${name}` : name))
    write(`  phase: ${[...names, ...(end === 'checkpoint' ? ['checkpoint'] : [])].join(' → ')}`)
  }
  write(`\n${partitions.length} partitions, ${formatBytes(inputBytes(partitions))} of input, on ${threads}`)
  for (const { input } of partitions.slice(0, LISTED_PARTITIONS)) {
    write(`  ${input.source}${input.range ? ` [${input.range[0]}, ${input.range[1]})` : ''}`)
  }
  if (partitions.length > LISTED_PARTITIONS) write(`  … and ${partitions.length - LISTED_PARTITIONS} more (--json lists all)`)
  if (!foreseen) return
  const { pilotDocuments, documents, keptShare, seconds, shardBytes, runFolderBytes } = foreseen
  write(`\nforecast from ${pilotDocuments} documents:`)
  write(`  about ${documents} documents, ${(keptShare * 100).toFixed(0)} % kept, ${formatSeconds(seconds)}`)
  write(`  ${formatBytes(shardBytes)} of shards, ${formatBytes(runFolderBytes)} in the run folder until sluice clean`)
}
