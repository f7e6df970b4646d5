// `sluice index`: looks into an index of deduplication across builds, and tends it.

import { Command } from 'commander'
import { formatCount } from '../core/format.ts'
import {
  type Compaction,
  compactIndex,
  forgetBuild,
  type IndexFacts,
  inspectIndex,
  mergeIndexes,
  verifyIndex,
  visitRepeated,
} from '../dedup/index-upkeep.ts'
import { wholeNumber } from './numbers.ts'

const json = ['--json', 'the result as JSON'] as const

export const command = new Command()
  .addCommand(
    new Command('inspect')
      .description('show what an index holds: its parameters, builds and records, and how many duplicates all builds have seen')
      .argument('<index>', 'folder, as given to minhashDedup or exactDedup')
      .option('--largest <number>', 'documents with the most duplicates to name', wholeNumber(0, 999_999), 5)
      .option(...json)
      .action(async (index: string, flags: { json?: boolean; largest: number }) => {
        const facts = await inspectIndex(index, flags.largest)
        process.stdout.write(flags.json ? `${JSON.stringify(facts)}\n` : factsText(facts))
      }),
  )
  .addCommand(
    new Command('repeated')
      .description('list the documents that more than one build, or one more than once, has seen: JSON lines')
      .argument('<index>', 'folder')
      .action(async (index: string) => await visitRepeated(index, (one) => process.stdout.write(`${JSON.stringify(one)}\n`))),
  )
  .addCommand(
    new Command('verify')
      .description('read an index to its end, and compare it with its checksums')
      .argument('<index>', 'folder')
      .action(async (index: string) => {
        process.stdout.write(`${formatCount(await verifyIndex(index))} records are as they were written\n`)
      }),
  )
  .addCommand(
    new Command('compact')
      .description('make one segment of all: a run then opens fewer files')
      .argument('<index>', 'folder')
      .option(...json)
      .action(async (index: string, flags: { json?: boolean }) => print(await compactIndex(index), flags.json)),
  )
  .addCommand(
    new Command('merge')
      .description('add what other indexes of the same parameters hold')
      .argument('<index>', 'folder that takes it; may be new')
      .argument('<others...>', 'folders that stay as they are')
      .option(...json)
      .action(async (index: string, others: string[], flags: { json?: boolean }) => print(await mergeIndexes(index, others), flags.json)),
  )
  .addCommand(
    new Command('forget')
      .description('take a build out: its documents may come again')
      .argument('<index>', 'folder')
      .argument('<build>', 'its name, as inspect shows it')
      .option(...json)
      .action(async (index: string, build: string, flags: { json?: boolean }) => print(await forgetBuild(index, build), flags.json)),
  )
  .addHelpText(
    'after',
    `
An index makes a nightly build drop what earlier builds have: s.minhashDedup({ index: 'indexes/minhash' }). It is extended
when a run has published its shards. A build is named by its pipeline and output folder; running it again replaces its part.
Duplicates of a document are counted over all builds; repeated names it by the first 16 digits of its id (minhashDedup), or by
the hash of what is equal (exactDedup).
To rebuild an index, run the stage over the shards of the builds: .from(s.parquet({ path })).pipe(s.minhashDedup({ index })).

Examples:
  sluice index inspect indexes/minhash
  sluice index repeated indexes/minhash > repeated.jsonl
  sluice index compact indexes/minhash
  sluice index forget indexes/minhash nightly-0d5a3b1c9e7f`,
  )

function factsText({ stage, parameters, segments, builds, repeated }: IndexFacts): string {
  const records = segments.reduce((sum, segment) => sum + segment.records, 0)
  const width = Math.max(5, ...builds.map(({ name }) => name.length))
  const row = (name: string, counts: readonly string[]) => `  ${name.padEnd(width)}${counts.map((count) => count.padStart(12)).join('')}`
  const lines = [
    `${stage} ${JSON.stringify(parameters)}`,
    `${formatCount(records)} records of ${formatCount(builds.length)} builds in ${formatCount(segments.length)} segments`,
    row('build', ['documents', 'duplicates', 'earlier']),
    ...builds.map(({ name, kept, duplicates, earlier }) => row(name, [kept, duplicates, earlier].map(formatCount))),
    `${formatCount(repeated.documents)} documents were seen more than once, ${formatCount(repeated.seen)} times in all`,
    ...repeated.largest.map(({ key, seen, duplicates }) => `  ${key}  seen ${formatCount(seen)} times: ${byBuild(duplicates)}`),
  ]
  return `${lines.join('\n')}\n`
}

const byBuild = (duplicates: Readonly<Record<string, number>>) =>
  `duplicates ${Object.entries(duplicates)
    .map(([build, count]) => `${formatCount(count)} in ${build}`)
    .join(', ')}`

function print({ segments, records }: Compaction, asJson: boolean | undefined): void {
  if (asJson) process.stdout.write(`${JSON.stringify({ segments, records })}\n`)
  else process.stdout.write(`${formatCount(segments)} segments became one of ${formatCount(records)} records\n`)
}
