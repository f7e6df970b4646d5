// `sluice export`: token corpora in the files that other trainers read.

import { existsSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { Command, Option } from 'commander'
import { SluiceError } from '../core/errors.ts'
import { openCorpus } from '../tokens/corpus.ts'
import { writeDatatroveFiles } from '../tokens/datatrove-files.ts'
import { bareDocuments, type ExportFormat, exportFormats, exportLlmc, exportMegatron } from '../tokens/export.ts'
import { failOnInterrupt } from './interrupt.ts'
import { wholeNumber } from './numbers.ts'

interface Flags {
  format: ExportFormat
  output: string
  name?: string
  shardTokens: number
}

export const command = new Command()
  .argument('<corpus>', 'folder of token shards, or one shard')
  .addOption(new Option('-f, --format <format>', 'whose files').choices(exportFormats).makeOptionMandatory())
  .requiredOption('-o, --output <folder>', 'folder for the files')
  .option('--name <name>', "first part of the files' names (default: the corpus's own)")
  .option('--shard-tokens <n>', 'llmc: tokens of a file', wholeNumber(1), 100_000_000)
  .addHelpText(
    'after',
    `
llmc       <name>_train_000000.bin, …: a head of 1,024 bytes, then ids, the end of text in front of each document
megatron   <name>.bin and <name>.idx: Megatron-LM's indexed dataset, a sequence a document, the end of text at its end
datatrove  00000_unshuffled.ds with its index and metadata, as its DocumentTokenizer writes them

Documents keep their order: shuffle first (sluice tokens shuffle). Paths of the files go to standard output.

Example:
  sluice export corpora/web --format megatron -o exported`,
  )
  .action(async (path: string, { format, output, name = basename(resolve(path)).replace(/\.parquet$/, ''), shardTokens }: Flags) => {
    const corpus = await openCorpus(path)
    if (corpus.documents === 0)
      throw new SluiceError('SLUICE_TRAIN_CORPUS_EMPTY', 'the corpus holds no document', {
        where: { folder: path },
        fix: 'give another one',
      })
    if (existsSync(output) && !/^[\w.-]+$/.test(name))
      throw new SluiceError('SLUICE_OUTPUT_NAME', `${name} cannot name files`, { fix: 'give --name letters, digits, - and _ only' })
    const signal = failOnInterrupt('stopped: no unfinished file was left')
    const options = { folder: output, name, signal, progress: () => undefined }
    const writers: Readonly<Record<ExportFormat, () => Promise<string[]>>> = {
      llmc: () => exportLlmc(corpus, { ...options, shardTokens }),
      megatron: () => exportMegatron(corpus, options),
      datatrove: () => {
        const { size: vocabularySize, hash, endOfText } = corpus.vocabulary
        const withEnd = bareDocuments(corpus, options)
        async function* documents() {
          for await (const ids of withEnd) yield [...ids, endOfText]
        }
        return writeDatatroveFiles(documents(), { folder: output, vocabularySize, tokenizerName: corpus.tokenizerFile ?? hash, rank: 0 })
      },
    }
    for (const written of await writers[format]()) process.stdout.write(`${written}\n`)
  })
