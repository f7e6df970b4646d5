// `sluice warc cat`: one record of an archive, found by offset or URL.

import { Command } from 'commander'
import { SluiceError } from '../core/errors.ts'
import type { ByteSource } from '../io/byte-source.ts'
import { openBytes } from '../io/open-bytes.ts'
import { decodeBody, parseHttpResponse } from '../warc/http.ts'
import type { WarcDamage } from '../warc/plain-records.ts'
import { readWarc } from '../warc/reader.ts'
import { recordUrl, type WarcRecord } from '../warc/record.ts'
import { wholeNumber } from './numbers.ts'
import { archivesOf, displayName, examples, MAX_RECORD_BYTES } from './warc-input.ts'

export const catCommand = new Command('cat')
  .summary('print one record')
  .description("Prints one record's payload: the HTTP body decoded, or the block of records without HTTP.")
  .argument('<file>', 'file or http(s) URL')
  .option('--offset <bytes>', 'the record that begins there, as `ls` shows it', wholeNumber(0))
  .option('--url <url>', 'the first response, resource or conversion with this URL')
  .option('--headers', 'the WARC and HTTP headers in place of the payload')
  .option('--raw', 'header and block as stored, decompressed')
  .addHelpText(
    'after',
    examples('sluice warc cat crawl.warc.gz --offset 865', 'sluice warc cat crawl.warc.gz --url https://example.org/ --headers'),
  )
  .action(print)

interface PrintOptions {
  readonly offset?: number
  readonly url?: string
  readonly headers?: boolean
  readonly raw?: boolean
}

async function print(file: string, options: PrintOptions): Promise<void> {
  if ((options.offset === undefined) === (options.url === undefined))
    throw new SluiceError('SLUICE_USAGE', 'one of --offset and --url is needed', { fix: 'sluice warc ls FILE shows offsets and URLs' })
  const [{ url }, ...others] = await archivesOf([file])
  if (others.length > 0)
    throw new SluiceError('SLUICE_USAGE', `${file} stands for ${others.length + 1} files, and one is needed`, { fix: 'name the file' })
  const source = await openBytes(url)
  const record = options.offset === undefined ? await findUrl(source, options.url ?? '') : await findOffset(source, options.offset)
  if (!record)
    throw new SluiceError(
      'SLUICE_WARC_NO_RECORD',
      options.offset === undefined ? 'no record has this URL' : 'no record begins at this offset',
      {
        where: { file: displayName(url), ...(options.offset === undefined ? { url: options.url ?? '' } : { byte: options.offset }) },
        fix: 'sluice warc ls FILE shows offsets and URLs',
      },
    )
  process.stdout.write(contentOf(record, options))
}

async function findUrl(source: ByteSource, url: string): Promise<WarcRecord | undefined> {
  for await (const record of readWarc(source, { damaged: warn, maxRecordBytes: MAX_RECORD_BYTES }))
    if (recordUrl(record) === url && ['response', 'resource', 'conversion'].includes(record.type)) return record
  return undefined
}

/** Reads there; where nothing begins there it looks through the whole file, for records that share a gzip member. */
async function findOffset(source: ByteSource, offset: number): Promise<WarcRecord | undefined> {
  const damages: WarcDamage[] = []
  const options = { damaged: (damage: WarcDamage) => damages.push(damage), maxRecordBytes: MAX_RECORD_BYTES }
  for await (const record of readWarc(source, { ...options, range: [offset, offset + 1] })) return record
  if (damages.length > 0) warn(damages[0])
  for await (const record of readWarc(source, options)) if (record.offset === offset) return record
  return undefined
}

function warn({ offset, length, message, code }: WarcDamage): void {
  process.stderr.write(`sluice: damage at bytes ${offset}–${offset + length}: ${message} [${code}]\n`)
}

function contentOf(record: WarcRecord, options: PrintOptions): Buffer {
  if (options.raw) return Buffer.concat([record.head, record.block])
  const response = record.type === 'response' ? parseHttpResponse(record.block) : undefined
  if (options.headers)
    return Buffer.concat([record.head, record.block.subarray(0, response ? record.block.length - response.body.length : 0)])
  if (!response) return record.block
  const { bytes, problem } = decodeBody(response, MAX_RECORD_BYTES)
  if (problem !== undefined) process.stderr.write(`sluice: the body is printed as stored: ${problem}\n`)
  return bytes
}
