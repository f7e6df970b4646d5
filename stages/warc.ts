// Pages from web archives (WARC, ARC, WACZ; plain, gzip, zstd or lz4), local or remote: what `extractText` takes.

import { z } from 'zod'
import type { WebPage } from '../src/core/document.ts'
import type { Source } from '../src/core/stage.ts'
import { inputPaths, listOf } from '../src/sources/batches.ts'
import { pageOf, readRecords, warcFilePartitions } from '../src/sources/warc-records.ts'
import { ARCHIVE_EXTENSIONS, DEFAULT_MAX_RECORD_BYTES } from '../src/warc/reader.ts'

export const maxRecordBytes = z
  .int()
  .min(1 << 16)
  .default(DEFAULT_MAX_RECORD_BYTES)
  .describe('bytes of the largest record that is read, decompressed; larger ones count as damage')

export const warcOptions = z.strictObject({ path: inputPaths, maxRecordBytes })
export type WarcOptions = z.input<typeof warcOptions>

/**
 * HTML pages of web archives: `response` records with status 200, and `resource` records. What else a file holds is counted
 * as ignored, what cannot be read as damage. Large files are cut into byte ranges where they are compressed.
 */
export function warc(options: WarcOptions): Source<WebPage> {
  const { path, ...settings } = warcOptions.parse(options)
  const { maxRecordBytes } = settings
  return {
    kind: 'source',
    name: 'warc',
    version: 2,
    options: settings,
    partitions: (context) => warcFilePartitions(listOf(path), ARCHIVE_EXTENSIONS, context),
    read: (partition, context) =>
      readRecords(partition, context, maxRecordBytes, (record, source) => pageOf(record, source, maxRecordBytes)),
  }
}
