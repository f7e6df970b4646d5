// `sluice warc ls`: the records of archives, one a line.

import { Command } from 'commander'
import { openBytes } from '../io/open-bytes.ts'
import { mediaType, parseHttpResponse } from '../warc/http.ts'
import type { WarcDamage } from '../warc/plain-records.ts'
import { readWarc } from '../warc/reader.ts'
import { field, recordDate, recordUrl, type WarcRecord } from '../warc/record.ts'
import { exitCodes } from './exit-codes.ts'
import { printable } from './printable.ts'
import { archivesOf, type DigestState, digestState, displayName, examples, MAX_RECORD_BYTES, write } from './warc-input.ts'

export const listCommand = new Command('ls')
  .summary('list the records of archives')
  .description(
    'Lists the records of archives, one a line: offset, stored bytes, type, digest check, status and media type, date, URL. Damage is listed where it lies.',
  )
  .argument('<file...>', 'files, folders, patterns or http(s) URLs')
  .option('--json', 'one JSON object a record or damage')
  .option('--type <type>', 'only records of this type: response, resource, revisit, conversion, …')
  .addHelpText('after', examples('sluice warc ls crawl.warc.gz', "sluice warc ls --json --type response 'crawls/*.warc.gz' | jq .url"))
  .action(list)

interface Listed {
  readonly offset: number
  readonly length: number
  readonly type: string
  readonly url?: string
  readonly date?: string
  readonly status?: number
  readonly mime?: string
  readonly digest: DigestState
}

function describe(record: WarcRecord): Listed {
  const response = record.type === 'response' ? parseHttpResponse(record.block) : undefined
  const mime = mediaType(response ? field(response.fields, 'content-type') : field(record.fields, 'content-type'))
  return {
    offset: record.offset,
    length: record.length,
    type: record.type,
    url: recordUrl(record),
    date: recordDate(record),
    status: response?.status,
    mime: mime === '' ? undefined : mime,
    digest: digestState(record),
  }
}

async function list(files: string[], options: { json?: boolean; type?: string }): Promise<void> {
  let isDamaged = false
  const archives = await archivesOf(files)
  for (const { url } of archives) {
    const file = displayName(url)
    if (archives.length > 1 && !options.json) write(`${file}:`)
    const damaged = (damage: WarcDamage) => {
      isDamaged = true
      write(options.json ? JSON.stringify({ file, damage }) : damageRow(damage))
    }
    for await (const record of readWarc(await openBytes(url), { damaged, maxRecordBytes: MAX_RECORD_BYTES })) {
      if (options.type !== undefined && record.type !== options.type) continue
      const listed = describe(record)
      write(options.json ? JSON.stringify({ file, ...listed }) : recordRow(listed))
    }
  }
  if (isDamaged) {
    process.stderr.write('sluice: some of the input is damaged: sluice warc check says more\n')
    process.exitCode = exitCodes.failed
  }
}

function recordRow({ offset, length, type, digest, status, mime, date, url }: Listed): string {
  const media = [status, mime].filter((part) => part !== undefined).join(' ')
  return row(offset, length, type, [digest, media, date ?? '', url ?? ''])
}

function damageRow({ offset, length, code, message }: WarcDamage): string {
  return row(offset, length, 'DAMAGE', ['', code, '', message])
}

/** Of digest, media type and date; the last column is as long as it is. */
const COLUMN_WIDTHS = [7, 28, 20, 0]

function row(offset: number, length: number, type: string, columns: readonly string[]): string {
  const padded = columns.map((column, i) => column.padEnd(COLUMN_WIDTHS[i]))
  return printable(`${String(offset).padStart(11)} ${String(length).padStart(9)} ${type.padEnd(10)} ${padded.join(' ')}`.trimEnd())
}
