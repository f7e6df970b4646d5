// `sluice warc pack`: files as the records of an archive.

import { readFile, stat } from 'node:fs/promises'
import { extname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import { SluiceError } from '../core/errors.ts'
import { diskError } from '../io/disk-errors.ts'
import { expandInputs, localPath, urlBelow } from '../io/inputs.ts'
import { WarcWriter } from '../warc/writer.ts'
import { examples, MAX_RECORD_BYTES } from './warc-input.ts'

export const packCommand = new Command('pack')
  .summary('pack files into a WARC file')
  .description('Packs files into a WARC file, each as a response record with the media type of its extension, a gzip member a record.')
  .argument('<path...>', 'files, folders or patterns')
  .requiredOption('-o, --output <file>', 'file to write: .warc.gz, or .warc for one without compression')
  .requiredOption('--base-url <url>', 'a file gets this and its path as URL')
  .option('--date <date>', 'ISO 8601 date of the records; the modification time of each file without it', isoDate)
  .option('--seed <text>', 'record ids come from it: same files, date and seed, same bytes')
  .option('--force', 'replace an existing output file')
  .addHelpText('after', examples('sluice warc pack site/ -o site.warc.gz --base-url https://docs.example.org/'))
  .action(pack)

const mediaTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.htm': 'text/html',
  '.xhtml': 'application/xhtml+xml',
  '.txt': 'text/plain',
  '.md': 'text/markdown',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.json': 'application/json',
  '.xml': 'application/xml',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.gif': 'image/gif',
  '.webp': 'image/webp',
  '.pdf': 'application/pdf',
}

interface PackOptions {
  readonly output: string
  readonly baseUrl: string
  readonly date?: string
  readonly seed?: string
  readonly force?: boolean
}

async function pack(paths: string[], options: PackOptions): Promise<void> {
  if (!URL.canParse('/', options.baseUrl))
    throw new SluiceError('SLUICE_USAGE', `the base URL ${options.baseUrl} is none that a path can follow`, {
      fix: 'pass one such as https://docs.example.org/',
    })
  const output = pathToFileURL(localPath(options.output)).href
  const inputs = (await expandInputs(paths, [''])).filter(({ url }) => url !== output)
  const date = options.date ?? warcDate(new Date())
  const settings = {
    date,
    seed: options.seed,
    overwrite: options.force,
    gzip: options.output.endsWith('.gz'),
    info: { description: `packed from files for ${options.baseUrl}` },
  }
  await using writer = await WarcWriter.create(options.output, settings)
  for (const { url, path } of inputs) {
    const file = localPath(url)
    try {
      const { size, mtime } = await stat(file)
      if (size > MAX_RECORD_BYTES) throw tooLarge(file, size)
      const body = await readFile(file)
      await writer.writeResponse({
        url: urlBelow(options.baseUrl, path),
        date: options.date ?? warcDate(mtime),
        contentType: mediaTypes[extname(path).toLowerCase()] ?? 'application/octet-stream',
        body,
      })
    } catch (error) {
      throw diskError(error, file)
    }
  }
  await writer.close()
  process.stderr.write(`packed ${inputs.length} files into ${options.output}: ${writer.records} records, ${writer.bytes} bytes\n`)
}

function tooLarge(file: string, bytes: number): SluiceError {
  return new SluiceError('SLUICE_WARC_RECORD_TOO_LARGE', `the file has ${bytes} bytes, a record at most ${MAX_RECORD_BYTES}`, {
    where: { file },
    fix: 'leave it out: name the other files, or a pattern',
  })
}

function isoDate(text: string): string {
  const time = Date.parse(text)
  if (Number.isNaN(time)) throw new InvalidArgumentError('a date such as 2024-05-01 or 2024-05-01T12:00:00Z is needed')
  return warcDate(new Date(time))
}

function warcDate(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z')
}
