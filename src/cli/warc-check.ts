// `sluice warc check`: whether archives are as they were written.

import { Command } from 'commander'
import { SluiceError } from '../core/errors.ts'
import type { ByteSource } from '../io/byte-source.ts'
import { openBytes } from '../io/open-bytes.ts'
import type { WarcDamage } from '../warc/plain-records.ts'
import { readWarc, type WarcLayout } from '../warc/reader.ts'
import { exitCodes } from './exit-codes.ts'
import { printable } from './printable.ts'
import { archivesOf, type DigestState, digestState, displayName, examples, MAX_RECORD_BYTES, write } from './warc-input.ts'

export const checkCommand = new Command('check')
  .summary('verify checksums, lengths and digests')
  .description(
    'Reads archives whole and verifies checksums of the compression, record lengths and digests. Lists what is damaged by byte range, then counts. Exits with 1 where anything is wrong.',
  )
  .argument('<file...>', 'files, folders, patterns or http(s) URLs')
  .option('--json', 'one JSON object a file')
  .addHelpText('after', examples('sluice warc check crawl.warc.gz'))
  .action(check)

interface Report {
  readonly file: string
  readonly bytes: number
  readonly layout: WarcLayout | 'empty' | 'other'
  readonly records: number
  readonly types: Readonly<Record<string, number>>
  readonly digests: Readonly<Record<DigestState, number>>
  readonly damaged: readonly WarcDamage[]
}

const NO_DIGESTS: Report['digests'] = { ok: 0, bad: 0, unknown: 0, none: 0 }

async function check(files: string[], options: { json?: boolean }): Promise<void> {
  let isGood = true
  for (const { url } of await archivesOf(files)) {
    const source = await openBytes(url)
    const report = await inspect(source).catch((error: unknown) => refused(source, error))
    isGood &&= report.damaged.length === 0
    write(options.json ? JSON.stringify(report) : readable(report))
  }
  if (!isGood) process.exitCode = exitCodes.failed
}

async function inspect(source: ByteSource): Promise<Report> {
  const damaged: WarcDamage[] = []
  const types: Record<string, number> = {}
  const digests = { ...NO_DIGESTS }
  const layouts: WarcLayout[] = []
  let records = 0
  const damage = (found: WarcDamage) => void damaged.push(found)
  for await (const record of readWarc(source, {
    damaged: damage,
    layout: (known) => layouts.push(known),
    maxRecordBytes: MAX_RECORD_BYTES,
  })) {
    records++
    types[record.type] = (types[record.type] ?? 0) + 1
    const state = digestState(record)
    digests[state]++
    if (state === 'bad')
      damaged.push({
        offset: record.offset,
        length: record.length,
        code: 'SLUICE_WARC_DIGEST',
        message: `the ${record.type} does not match its digest`,
      })
  }
  const layout = layouts.at(-1) ?? 'empty'
  const [compression, shared] = layout.split('-')
  if (shared !== undefined)
    damaged.push({
      offset: 0,
      length: source.size,
      code: `SLUICE_WARC_SHARED_${compression.toUpperCase()}`,
      message: `records share a ${compression} member: the file can be read from its start only, not by offset and not in parallel`,
    })
  return { file: displayName(source.url), bytes: source.size, layout, records, types, digests, damaged }
}

const UNREADABLE = ['SLUICE_WARC_FORMAT', 'SLUICE_WARC_DICTIONARY']

/** A file that cannot be read at all is a finding like any other: the files behind it are checked all the same. */
function refused({ url, size }: ByteSource, error: unknown): Report {
  if (!(error instanceof SluiceError && UNREADABLE.includes(error.code))) throw error
  const damage = { offset: 0, length: size, code: error.code, message: error.message }
  return { file: displayName(url), bytes: size, layout: 'other', records: 0, types: {}, digests: NO_DIGESTS, damaged: [damage] }
}

function readable({ file, bytes, layout, records, types, digests, damaged }: Report): string {
  const byType = Object.entries(types).sort(([a], [b]) => (a < b ? -1 : 1))
  const lines = damaged.map(({ offset, length, code, message }) => `  bytes ${offset}–${offset + length}: ${message} [${code}]`)
  const counts = `  ${records} records in ${bytes} bytes (${layout}): ${byType.map(([type, count]) => `${count} ${type}`).join(', ') || 'none'}`
  const checked = `  digests: ${digests.ok} match, ${digests.bad} do not, ${digests.none} records have none${digests.unknown > 0 ? `, ${digests.unknown} of unknown kind` : ''}`
  return printable([`${file}: ${damaged.length === 0 ? 'ok' : 'DAMAGED'}`, ...lines, counts, checked].join('\n'))
}
