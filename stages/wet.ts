// Documents from WET files: the text that Common Crawl has extracted already, one `conversion` record a page.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import type { Source } from '../src/core/stage.ts'
import { inputPaths, listOf } from '../src/sources/batches.ts'
import { readRecords, textOf, warcFilePartitions } from '../src/sources/warc-records.ts'
import { ARCHIVE_EXTENSIONS } from '../src/warc/reader.ts'
import { maxRecordBytes } from './warc.ts'

const WET_EXTENSIONS = ['.wet', '.wet.gz', '.wet.zst', '.wet.lz4', ...ARCHIVE_EXTENSIONS]

export const wetOptions = z.strictObject({ path: inputPaths, maxRecordBytes })
export type WetOptions = z.input<typeof wetOptions>

/** Documents of WET files. Invalid UTF-8 becomes U+FFFD. */
export function wet(options: WetOptions): Source<Document> {
  const { path, ...settings } = wetOptions.parse(options)
  return {
    kind: 'source',
    name: 'wet',
    version: 2,
    options: settings,
    partitions: (context) => warcFilePartitions(listOf(path), WET_EXTENSIONS, context),
    read: (partition, context) => readRecords(partition, context, settings.maxRecordBytes, textOf),
  }
}
