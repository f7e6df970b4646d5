// `sluice run`: the whole pipeline, under supervision. Started again after anything, it goes on where it stopped.

import { join, relative } from 'node:path'
import { Command } from 'commander'
import { formatBytes } from '../core/format.ts'
import { claimOutputs, lockOutputs } from '../engine/output.ts'
import { importPipeline } from '../engine/pipeline-file.ts'
import { RunFolder } from '../engine/run-folder.ts'
import type { RunResult } from '../engine/runner.ts'
import { planOf } from '../executors/setup.ts'
import { supervise } from '../executors/supervisor.ts'
import { lockFolder } from '../io/folder-lock.ts'
import { exitCodes } from './exit-codes.ts'
import { describeArguments, pipelineArguments } from './pipeline-arguments.ts'
import { choicesOf, type RunFlags, taskMemory, threadsOf, withRunOptions } from './run-options.ts'

export const command = withRunOptions(new Command())
  .option('--metrics <file>', 'keep the counts in this file, in OpenMetrics form')
  .allowUnknownOption()
  .allowExcessArguments()
  .addHelpText(
    'after',
    `
A pipeline's own arguments are given as options too: sluice run <file> --help lists them.
A run that was stopped, killed or crashed goes on with the same command.

Examples:
  sluice run pipelines/quickstart.ts
  sluice run pipelines/nightly.ts --sample 0.1% --run runs/try
  sluice run pipelines/nightly.ts --crawl CC-MAIN-2026-43 --threads 8 --memory 16GB

Exit codes: 0 done, 1 failed, 130 interrupted (run the same command to go on).`,
  )
  .action(async (file: string, flags: RunFlags, command: Command) => {
    const run = await start(file, flags, command)
    if (!run) {
      process.stderr.write('\nstopped; nothing that was finished is lost. The same command goes on.\n')
      process.exit(exitCodes.interrupted)
    }
    report(run.result, run.folder, flags)
  })

/** `--help` after a file shows the arguments of that pipeline as well. */
export async function extraHelp(words: readonly string[]): Promise<string> {
  const file = words.find((word) => /\.[cm]?[jt]s$/.test(word))
  return file === undefined ? '' : describeArguments(await importPipeline(file))
}

async function start(file: string, flags: RunFlags, command: Command): Promise<{ result: RunResult; folder: string } | undefined> {
  const values = await pipelineArguments(file, command)
  const { threads, cause } = threadsOf(flags)
  const choices = choicesOf(flags)
  const plan = await planOf({ file, arguments: values, choices, run: '' })
  const folder = flags.run ?? join('runs', plan.pipeline.name)
  await new RunFolder(folder).check(plan.pipeline.name)
  await using _lock = await lockFolder(folder)
  await claimOutputs(plan)
  await using _outputs = await lockOutputs(plan)
  const say = (line: string) => process.stderr.write(`${line}\n`)
  if (!flags.json) say(`${plan.pipeline.name}: run folder ${folder}, threads ${threads} (${cause}), memory ${formatBytes(flags.memory)}`)
  const setup = {
    file,
    arguments: values,
    choices,
    run: folder,
    threads,
    taskMemoryBytes: taskMemory(flags, threads),
    partitionBytes: flags.partitionSize,
    maxErrorRate: flags.maxErrorRate,
    isJson: flags.json ?? false,
    metrics: flags.metrics,
  }
  const watch = { memoryBytes: flags.memory, documentTimeoutMs: flags.documentTimeout * 1000 }
  const result = await supervise(plan, setup, watch, say)
  return result && { result, folder }
}

function report({ summary, outputs, shards }: RunResult, folder: string, { json }: RunFlags): void {
  const { records, documents, kept, dropped, quarantined, damaged } = summary
  if (json) {
    process.stdout.write(`${JSON.stringify({ records, documents, kept, dropped, quarantined, damaged, outputs, shards, run: folder })}\n`)
    return
  }
  const share = documents === 0 ? 0 : (kept / documents) * 100
  const trouble = [damaged > 0 && `${damaged} damaged records`, quarantined > 0 && `${quarantined} quarantined documents`].filter(
    (text) => text !== false,
  )
  process.stdout.write(`${records} records, ${documents} documents: ${kept} kept (${share.toFixed(1)} %), ${dropped} dropped`)
  process.stdout.write(trouble.length === 0 ? '\n' : `, set aside: ${trouble.join(', ')}\n`)
  for (const path of outputs) process.stdout.write(`shards: ${relative('.', path) || '.'}\n`)
  process.stdout.write(`audit:  sluice audit ${folder}\n`)
}
