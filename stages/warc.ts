// Pages from WARC files, gzip per record or plain, local or over HTTP: what `extractText` takes.

import { z } from 'zod'
import type { WebPage } from '../src/core/document.ts'
import type { Source } from '../src/core/stage.ts'
import { DEFAULT_MAX_RECORD_BYTES } from '../src/warc/reader.ts'
import { inputPaths, listOf } from './batches.ts'
import { pageOf, readRecords, warcFilePartitions } from './warc-records.ts'

export const WARC_EXTENSIONS = ['.warc', '.warc.gz']

export const maxRecordBytes = z
  .int()
  .min(1 << 16)
  .default(DEFAULT_MAX_RECORD_BYTES)
  .describe('bytes of the largest record that is read, decompressed; larger ones count as damage')

export const warcOptions = z.strictObject({ path: inputPaths, maxRecordBytes })
export type WarcOptions = z.input<typeof warcOptions>

/**
 * HTML pages of WARC files: `response` records with status 200, and `resource` records. What else a file holds is counted
 * as ignored, what cannot be read as damage. Large files are cut into byte ranges where each record is a gzip member.
 */
export function warc(options: WarcOptions): Source<WebPage> {
  const { path, ...settings } = warcOptions.parse(options)
  const { maxRecordBytes } = settings
  return {
    kind: 'source',
    name: 'warc',
    version: 1,
    options: settings,
    partitions: (context) => warcFilePartitions(listOf(path), WARC_EXTENSIONS, context),
    read: (partition, context) =>
      readRecords(partition, context, maxRecordBytes, (record, source) => pageOf(record, source, maxRecordBytes)),
  }
}
