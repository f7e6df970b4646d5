// Documents from text files, each of which is one. The front matter of Markdown becomes metadata.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import type { Source } from '../src/core/stage.ts'
import { decodeText } from '../src/sources/decode-text.ts'
import { extensionList, type FileContent, fileOptions, fileSource, type Made } from '../src/sources/file-items.ts'
import { splitFrontMatter } from '../src/sources/front-matter.ts'

export const textFilesOptions = z.strictObject({
  ...fileOptions,
  extensions: extensionList.default(['.txt', '.md', '.markdown', '.mdx', '.rst', '.text', '.org', '.adoc', '.tex']),
  frontMatter: z.boolean().default(true).describe('takes the YAML between --- lines at the top of Markdown files out of the text'),
})
export type TextFilesOptions = z.input<typeof textFilesOptions>

/**
 * A document a file, in the file's own encoding. Its metadata: `file`, `bytes`, `modified`, `encoding` where it is not UTF-8,
 * `front_matter`, whose `date` becomes the document's. Ignored: `empty_file`, `binary_file`.
 */
export function textFiles(options: TextFilesOptions): Source<Document> {
  const { frontMatter, ...settings } = textFilesOptions.parse(options)
  return fileSource({
    name: 'textFiles',
    version: 2,
    settings,
    options: { frontMatter },
    make: (content) => documentOf(content, frontMatter),
  })
}

const MARKDOWN = /\.(?:md|markdown|mdx)$/i

function documentOf({ item, path, facts, bytes }: FileContent, frontMatter: boolean): Made<Document> {
  const decoded = decodeText(bytes)
  if (!decoded) return { ignored: 'binary_file' }
  const { encoding } = decoded
  const { text, matter } = frontMatter && MARKDOWN.test(path) ? splitFrontMatter(decoded.text) : { text: decoded.text, matter: undefined }
  if (text === '') return { ignored: 'empty_file' }
  return {
    ...item,
    date: typeof matter?.date === 'string' ? matter.date : undefined,
    metadata: { ...item.metadata, ...facts, ...(encoding === 'utf-8' ? {} : { encoding }), ...(matter && { front_matter: matter }) },
    text,
  }
}
