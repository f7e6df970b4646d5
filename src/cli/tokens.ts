// `sluice tokens`: looks into token corpora, checks them, shuffles and mixes them.

import { existsSync } from 'node:fs'
import { readdir, rename, rm } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { Command } from 'commander'
import { parquetShards } from '../../stages/parquet-shards.ts'
import { SluiceError } from '../core/errors.ts'
import { counted, formatBytes, formatCount, formatShare } from '../core/format.ts'
import { hash128 } from '../core/identity.ts'
import type { Shard } from '../core/stage.ts'
import { packageVersion } from '../core/version.ts'
import { makeFolder } from '../io/make-folder.ts'
import { writeWhole } from '../io/write-whole.ts'
import { loadTokenizer } from '../tokenizer/tokenizer.ts'
import { type Corpus, openCorpus } from '../tokens/corpus.ts'
import { readDocuments } from '../tokens/documents.ts'
import { type Part, shuffled } from '../tokens/shuffle.ts'
import { digestOf, measureCorpus, verifyCorpus } from '../tokens/statistics.ts'
import { exitCodes } from './exit-codes.ts'
import { failOnInterrupt } from './interrupt.ts'
import { wholeNumber } from './numbers.ts'
import { printable } from './printable.ts'
import { ProgressLine } from './progress-line.ts'
import { memorySize } from './run-options.ts'

const json = ['--json', 'the result as JSON'] as const

export const command = new Command().addHelpText(
  'after',
  `
A corpus is a folder of token shards: what a pipeline writes that ends in .pipe(tokenize()).to(parquetShards()).

Examples:
  sluice tokens inspect corpora/web --show 2
  sluice tokens verify corpora/web
  sluice tokens shuffle corpora/web -o corpora/web-shuffled --seed 7
  sluice tokens mix corpora/web=0.5 corpora/code=2 -o corpora/mixed`,
)

command
  .command('inspect')
  .description('show shards, vocabulary and counts; --show prints documents as text')
  .argument('<corpus>', 'folder of token shards, or one shard')
  .option('--show <n>', 'first documents to print', wholeNumber(0), 0)
  .option(...json)
  .action(async (path: string, flags: { show: number; json?: boolean }) => {
    const corpus = await openCorpus(path)
    process.stdout.write(flags.json ? `${JSON.stringify(factsOf(corpus))}\n` : factsText(corpus))
    if (flags.show > 0) await showDocuments(corpus, flags.show)
  })

command
  .command('stats')
  .description('count all tokens: lengths, ids in use, subsets')
  .argument('<corpus>', 'folder of token shards, or one shard')
  .option(...json)
  .action(async (path: string, flags: { json?: boolean }) => {
    const progress = new ProgressLine()
    const statistics = await measureCorpus(await openCorpus(path), (documents) => progress.show(() => `${formatCount(documents)} counted`))
    progress.clear()
    if (flags.json) {
      process.stdout.write(`${JSON.stringify(statistics)}\n`)
      return
    }
    const { documents, tokens, usedIds, vocabularySize, length, endInEndOfText, bySubset } = statistics
    const lines = [
      `${formatCount(documents)} documents, ${formatCount(tokens)} tokens, ${formatCount(usedIds)} of ${formatCount(vocabularySize)} ids in use`,
      `tokens of a document: ${length.min} at least, ${length.p10} (10 %), ${length.median} (half), ${length.p90} (90 %), ${length.max} at most`,
      `${formatShare(endInEndOfText, documents)} of the documents end in the end of text`,
      ...bySubset.map(
        ({ subset, ...counts }) =>
          `  ${subset || '(no subset)'}: ${formatCount(counts.documents)} documents, ${formatCount(counts.tokens)} tokens`,
      ),
    ]
    process.stdout.write(printable(`${lines.join('\n')}\n`))
  })

command
  .command('verify')
  .description('read every row of every shard; digests are compared with the manifest')
  .argument('<corpus>', 'folder of token shards')
  .option(...json)
  .addHelpText('after', '\nExit codes: 0 all is well, 1 a shard is not.')
  .action(async (path: string, flags: { json?: boolean }) => {
    let damaged = 0
    for await (const check of verifyCorpus(path)) {
      if (check.problem !== undefined) damaged++
      const verdict = check.problem === undefined ? 'ok' : `DAMAGED: ${check.problem}`
      process.stdout.write(
        flags.json
          ? `${JSON.stringify(check)}\n`
          : printable(`${check.shard}  ${formatCount(check.rows)} rows  ${formatCount(check.tokens)} tokens  ${verdict}\n`),
      )
    }
    if (damaged > 0) process.exitCode = exitCodes.failed
  })

withOutput(command.command('shuffle'))
  .description('put all documents of a corpus into an order of the seed')
  .argument('<corpus>', 'folder of token shards')
  .action(async (corpus: string, flags: ShuffleFlags) => await shuffleInto([await openPart({ path: corpus, weight: 1 })], flags))

withOutput(command.command('mix'))
  .description('shuffle several corpora into one, each by its weight in epochs')
  .argument('<corpora...>', 'folders, each with =weight behind it where it is not 1: corpora/web=0.5')
  .action(async (corpora: string[], flags: ShuffleFlags) => {
    await shuffleInto(await Promise.all(corpora.map(parsePart).map(openPart)), flags)
  })

interface ShuffleFlags {
  readonly output: string
  readonly seed: number
  readonly memory: number
}

function withOutput(command: Command): Command {
  return command
    .requiredOption('-o, --output <folder>', 'new folder for the shards')
    .option('--seed <n>', 'same seed and documents, same order', wholeNumber(0), 0)
    .option('--memory <bytes>', 'what may be held of a bucket, such as 4GB', memorySize, 1e9)
}

interface NamedPart extends Part {
  /** As it was asked for. */
  readonly path: string
}

function parsePart(text: string): { path: string; weight: number } {
  const match = /^(.+)=(\d+(?:\.\d+)?)$/.exec(text)
  if (!match) return { path: text, weight: 1 }
  if (Number(match[2]) === 0)
    throw new SluiceError('SLUICE_CLI_OPTIONS', `the weight of ${match[1]} is 0`, { fix: 'leave the corpus out, or give it a weight' })
  return { path: match[1], weight: Number(match[2]) }
}

async function openPart({ path, weight }: { path: string; weight: number }): Promise<NamedPart> {
  return { path, weight, corpus: await openCorpus(path) }
}

/** Into a folder beside the output, which appears by rename. */
async function shuffleInto(parts: readonly NamedPart[], { seed, memory, ...flags }: ShuffleFlags): Promise<void> {
  const output = resolve(flags.output) // without a slash at its end, or what is beside it would be in it
  if (existsSync(output) && (await readdir(output)).length > 0)
    throw new SluiceError('SLUICE_OUTPUT_TAKEN', 'the output folder is not empty', { where: { folder: output }, fix: 'give a new folder' })
  const working = `${output}.working`
  await rm(working, { recursive: true, force: true })
  await makeFolder(working)
  const progress = new ProgressLine()
  try {
    const shards = await writeShuffled(parts, { output, working, seed, memoryBytes: memory, progress })
    await rm(output, { recursive: true, force: true }) // empty
    await rename(working, output)
    const tokens = shards.reduce((sum, shard) => sum + (shard.tokens ?? 0), 0)
    const count = shards.filter((shard) => shard.tokens !== undefined).length
    progress.done(`${output}: ${counted(count, 'shard')}, ${counted(tokens, 'token')}`)
  } finally {
    progress.clear()
    await rm(working, { recursive: true, force: true })
  }
}

interface ShuffleWork {
  readonly output: string
  /** Where the files are until all are there. */
  readonly working: string
  readonly seed: number
  readonly memoryBytes: number
  readonly progress: ProgressLine
}

/** Writes the shards and their manifest. */
async function writeShuffled(
  parts: readonly NamedPart[],
  { output, working: folder, seed, memoryBytes, progress }: ShuffleWork,
): Promise<Shard[]> {
  const signal = failOnInterrupt('stopped: nothing was written')
  const inputs = parts.map(({ path, weight, corpus }) => ({ corpus: path, weight, hash: corpus.hash }))
  const planHash = hash128(JSON.stringify([seed, inputs.map(({ weight, hash }) => [weight, hash])]))
  const sink = await parquetShards({ path: output }).open({
    signal,
    folder,
    partition: planHash.slice(0, 16),
    planHash,
    artifact: () => '',
  })
  const order = shuffled(parts, {
    ...{ seed, memoryBytes, signal },
    workFolder: join(folder, 'buckets'),
    progress: (pass, documents) => progress.show(() => `${counted(documents, 'document')} ${pass === 'scatter' ? 'scattered' : 'written'}`),
  })
  for await (const documents of order) await sink.write(documents)
  const written = await sink.close()
  const shards = await Promise.all(written.map(async (shard) => ({ ...shard, sha256: await digestOf(join(folder, shard.name)) })))
  const manifest = { shuffled: inputs, seed, planHash, sluice: packageVersion, shards }
  await writeWhole(join(folder, 'manifest.json'), JSON.stringify(manifest, undefined, 2))
  return shards
}

function factsOf(corpus: Corpus) {
  const { folder, vocabulary, tokens, documents, hash } = corpus
  const shards = corpus.shards.map((shard, index) => {
    const groups = corpus.rowGroups.filter((group) => group.shard === index)
    return { shard, rows: groups.reduce((sum, { rows }) => sum + rows, 0), rowGroups: groups.length, tokens: corpus.shardTokens[index] }
  })
  return { folder, documents, tokens, vocabulary, hash, shards }
}

function factsText(corpus: Corpus): string {
  const { documents, tokens, vocabulary, shards } = factsOf(corpus)
  const idBytes = vocabulary.size > 65_536 ? 4 : 2
  const lines = [
    `${formatCount(documents)} documents, ${formatCount(tokens)} tokens (${formatBytes(tokens * idBytes)} of ids)`,
    `vocabulary of ${formatCount(vocabulary.size)}, ${vocabulary.hash.slice(0, 12)}, end of text ${vocabulary.endOfText}`,
    ...shards.map(
      (shard) =>
        `  ${shard.shard}  ${formatCount(shard.rows)} rows  ${formatCount(shard.tokens)} tokens  ${formatCount(shard.rowGroups)} row groups`,
    ),
  ]
  return printable(`${lines.join('\n')}\n`)
}

async function showDocuments(corpus: Corpus, count: number): Promise<void> {
  let shown = 0
  let tokenizer: Awaited<ReturnType<typeof loadTokenizer>> | undefined
  for await (const documents of readDocuments(corpus))
    for (const { id, url, source, offset, tokens, vocabulary } of documents) {
      if (shown++ >= count) return
      tokenizer ??= await loadTokenizer(vocabulary.file)
      process.stdout.write(
        printable(`\n${id}  ${url ?? `${basename(source)} at ${offset}`}  ${tokens.length} tokens\n${tokenizer.decode(tokens)}\n`),
      )
    }
}
