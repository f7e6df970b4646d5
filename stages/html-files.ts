// Pages from HTML files on disk, for `extractText`: saved pages, a site's export, a manual.

import { z } from 'zod'
import type { WebPage } from '../src/core/document.ts'
import type { Source } from '../src/core/stage.ts'
import { urlBelow } from '../src/io/inputs.ts'
import { inputPaths, listOf } from './batches.ts'
import { filePartitions, readFiles } from './file-items.ts'
import { maxFileBytes } from './text-files.ts'

export const htmlFilesOptions = z.strictObject({
  path: inputPaths,
  extensions: z.array(z.string().startsWith('.')).min(1).default(['.html', '.htm', '.xhtml']).describe('which files of a folder are read'),
  baseUrl: z.url().optional().describe('where the site was published: a page has this and its path as URL'),
  maxFileBytes,
})
export type HtmlFilesOptions = z.input<typeof htmlFilesOptions>

/** A page a file, in the file's own encoding. */
export function htmlFiles(options: HtmlFilesOptions): Source<WebPage> {
  const { path, baseUrl, ...settings } = htmlFilesOptions.parse(options)
  const paths = listOf(path)
  return {
    kind: 'source',
    name: 'htmlFiles',
    version: 2,
    options: { ...settings, baseUrl: baseUrl ?? null },
    partitions: (context) => filePartitions(paths, settings.extensions, context),
    read: (partition, context) =>
      readFiles(paths, settings.extensions, settings.maxFileBytes, partition, context, ({ item, path, bytes }) =>
        bytes.length === 0 ? undefined : { ...item, html: bytes, contentType: 'text/html', url: baseUrl && urlBelow(baseUrl, path) },
      ),
  }
}
