// `sluice diff`: two pipelines on one sample, and where they disagree.

import { Command, Option } from 'commander'
import { type ComparedPipeline, comparedPipeline, compareOn, sampleDocuments } from '../audit/diff.ts'
import { type DiffChoice, diffReport, diffText } from '../audit/diff-report.ts'
import { SluiceError } from '../core/errors.ts'
import { defaultChoices } from '../engine/choices.ts'
import type { ErasedSource } from '../engine/pipeline.ts'
import { importPipeline } from '../engine/pipeline-file.ts'
import { planOf } from '../executors/setup.ts'
import { exitCodes } from './exit-codes.ts'
import { wholeNumber } from './numbers.ts'
import { describeArguments, pairedArguments } from './pipeline-arguments.ts'
import { printable } from './printable.ts'
import { terminalStyle } from './terminal-style.ts'

interface Flags {
  readonly documents?: string
  readonly source?: 'a' | 'b'
  readonly sample: number
  readonly examples: number
  readonly text: DiffChoice['text']
  readonly json?: boolean
  readonly exitCode?: boolean
}

const TERMINAL_CHARACTERS = 240
const JSON_CHARACTERS = 2000

export const command = new Command()
  .argument('<A>', 'pipeline file')
  .argument('<B>', 'pipeline file: another one, or the same with other arguments')
  .option('--documents <path>', 'read these instead of what the pipelines read: JSON lines, Parquet, WARC, WET; a file, folder or pattern')
  .addOption(new Option('--source <which>', 'where the two read different inputs: whose both get').choices(['a', 'b']))
  .option('--sample <n>', 'documents to compare, chosen by the hash of their ids', wholeNumber(1), 1000)
  .option('--examples <n>', 'documents shown of each kind of disagreement', wholeNumber(1), 3)
  .addOption(
    new Option('--text <how>', 'texts and addresses: personal data replaced, as they are, or no texts')
      .choices(['redacted', 'raw', 'off'])
      .default('redacted'),
  )
  .option('--json', 'all of it as JSON')
  .option('--exit-code', 'exit with 3 where they disagree on any document')
  .allowUnknownOption()
  .allowExcessArguments()
  .addHelpText(
    'after',
    `
Both pipelines run over the same documents in this process, without barriers: the stages up to the first deduplication or
training. Nothing is written. Shown are the counts and reasons of each, a table of how their verdicts meet, and documents on
which they disagree, with the statistic and the limit that decided, and the other pipeline's limit beside it.

To keep a crawl from being read whole, reading ends after 20 times the sample; partitions come in the order of their hashes.

The pipelines' own arguments are options too: --name value goes to each of the two that has it, --a-name and --b-name to one.

Examples:
  sluice diff pipelines/c4.ts pipelines/gopher.ts --documents documents.jsonl.gz
  sluice diff pipelines/quickstart.ts nightly.ts --source a --sample 5000 --json
  sluice diff nightly.ts nightly.ts --a-min-score 0.5 --b-min-score 0.65 --exit-code

Exit codes: 0 done, 1 failed, 3 they disagree (with --exit-code only).`,
  )
  .action(async (fileA: string, fileB: string, flags: Flags, command: Command) => {
    const [argumentsA, argumentsB] = await pairedArguments(fileA, fileB, command)
    const plan = async (file: string, values: typeof argumentsA) =>
      comparedPipeline(await planOf({ file, arguments: values, choices: defaultChoices, run: '' }))
    const pipelines = [await plan(fileA, argumentsA), await plan(fileB, argumentsB)] as const
    const { signal } = new AbortController()
    const sample = await sampleDocuments(await sourcesOf(pipelines, flags), flags.sample, signal)
    const damage = sample.damaged > 0 ? `: ${sample.damaged} records are damaged` : ''
    if (sample.items.length === 0)
      throw new SluiceError('SLUICE_NO_INPUT', `there is no document to compare${damage}`, {
        fix: 'check the paths of the sources, or give --documents',
      })
    const compared = await compareOn(sample.items, pipelines, signal)
    const form = flags.json
      ? { characters: JSON_CHARACTERS, readable: (text: string) => text }
      : { characters: TERMINAL_CHARACTERS, readable: printable }
    const report = diffReport(pipelines, sample, compared, { examples: flags.examples, text: flags.text, ...form })
    process.stdout.write(flags.json ? `${JSON.stringify(report, undefined, 2)}\n` : diffText(report, terminalStyle))
    if (flags.exitCode && report.differing > 0) process.exitCode = exitCodes.differ
  })

/** `--help` after the files shows the arguments of both. */
export async function extraHelp(words: readonly string[]): Promise<string> {
  const files = words.filter((word) => /\.[cm]?[jt]s$/.test(word)).slice(0, 2)
  const described = await Promise.all(files.map(async (file) => `\n${file}:${describeArguments(await importPipeline(file))}`))
  return described.join('\n')
}

async function sourcesOf(
  [a, b]: readonly [ComparedPipeline, ComparedPipeline],
  { documents, source }: Flags,
): Promise<readonly ErasedSource[]> {
  if (documents !== undefined) return [await documentSource(documents)]
  if (source === 'b') return b.plan.pipeline.sources
  const [ofA, ofB] = [a, b].map(({ plan }) => JSON.stringify(plan.pipeline.sources.map(({ name, options }) => [name, options])))
  if (source === 'a' || ofA === ofB) return a.plan.pipeline.sources
  const named = ({ plan }: ComparedPipeline) => plan.pipeline.sources.map(({ name }) => name).join(', ')
  throw new SluiceError('SLUICE_DIFF_SOURCE', 'the two pipelines read different inputs, and only on the same documents can they disagree', {
    where: { A: named(a), B: named(b) },
    fix: 'give both the same arguments, or --source a to read what A reads, or --documents with files for both',
  })
}

/** By the name of the files; a folder, and what the name does not tell, is JSON lines. */
async function documentSource(path: string): Promise<ErasedSource> {
  if (/\.parquet$/i.test(path)) return (await import('../../stages/parquet.ts')).parquet({ path })
  if (/\.wet(\.gz|\.zst)?$/i.test(path)) return (await import('../../stages/wet.ts')).wet({ path })
  if (/\.(warc|arc|wacz)(\.gz|\.zst|\.lz4)?$/i.test(path)) return (await import('../../stages/warc.ts')).warc({ path })
  return (await import('../../stages/jsonl.ts')).jsonl({ path })
}
