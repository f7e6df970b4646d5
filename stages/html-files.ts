// Pages from HTML files on disk, for `extractText`: saved pages, a site's export, a manual.

import { z } from 'zod'
import type { WebPage } from '../src/core/document.ts'
import type { Source } from '../src/core/stage.ts'
import { urlBelow } from '../src/io/inputs.ts'
import { extensionList, fileOptions, fileSource } from '../src/sources/file-items.ts'

export const htmlFilesOptions = z.strictObject({
  ...fileOptions,
  extensions: extensionList.default(['.html', '.htm', '.xhtml']),
  baseUrl: z.url().optional().describe('where the site was published: a page has this and its path as URL'),
})
export type HtmlFilesOptions = z.input<typeof htmlFilesOptions>

/** A page a file, in the file's own encoding. */
export function htmlFiles(options: HtmlFilesOptions): Source<WebPage> {
  const { baseUrl, ...settings } = htmlFilesOptions.parse(options)
  return fileSource({
    name: 'htmlFiles',
    version: 3,
    settings,
    options: { baseUrl: baseUrl ?? null },
    make: ({ item, path, bytes }) => ({ ...item, html: bytes, contentType: 'text/html', url: baseUrl && urlBelow(baseUrl, path) }),
  })
}
