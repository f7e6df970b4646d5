// `sluice index`: looks into an index of deduplication across builds, and tends it.

import { Command } from 'commander'
import { formatCount } from '../audit/format.ts'
import { type Compaction, compactIndex, forgetBuild, type IndexFacts, inspectIndex, mergeIndexes } from '../dedup/build-index.ts'

const json = ['--json', 'the result as JSON'] as const

export const command = new Command()
  .addCommand(
    new Command('inspect')
      .description('show what an index holds: its parameters, builds and records')
      .argument('<index>', 'folder, as given to minhashDedup or exactDedup')
      .option(...json)
      .action(async (index: string, flags: { json?: boolean }) => {
        const facts = await inspectIndex(index)
        process.stdout.write(flags.json ? `${JSON.stringify(facts)}\n` : factsText(facts))
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
To rebuild an index, run the stage over the shards of the builds: .from(s.parquet({ path })).pipe(s.minhashDedup({ index })).

Examples:
  sluice index inspect indexes/minhash
  sluice index compact indexes/minhash
  sluice index forget indexes/minhash nightly-0d5a3b1c9e7f`,
  )

function factsText({ stage, parameters, segments }: IndexFacts): string {
  const builds = segments.flatMap((segment) => segment.builds)
  const records = segments.reduce((sum, segment) => sum + segment.records, 0)
  const lines = [
    `${stage} ${JSON.stringify(parameters)}`,
    `${formatCount(records)} records of ${formatCount(builds.length)} builds in ${formatCount(segments.length)} segments`,
    ...segments.map((segment) => `  ${segment.name}  ${formatCount(segment.records)}  ${segment.builds.join(', ')}`),
  ]
  return `${lines.join('\n')}\n`
}

function print({ segments, records }: Compaction, asJson: boolean | undefined): void {
  if (asJson) process.stdout.write(`${JSON.stringify({ segments, records })}\n`)
  else process.stdout.write(`${formatCount(segments)} segments became one of ${formatCount(records)} records\n`)
}
