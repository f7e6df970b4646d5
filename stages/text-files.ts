// Documents from text files: each file is one.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import type { Source } from '../src/core/stage.ts'
import { inputPaths, listOf } from './batches.ts'
import { filePartitions, readFiles } from './file-items.ts'

export const maxFileBytes = z
  .int()
  .min(1)
  .max(512 << 20)
  .default(128 << 20)
  .describe('larger files count as damage')

export const textFilesOptions = z.strictObject({
  path: inputPaths,
  extensions: z
    .array(z.string().startsWith('.'))
    .min(1)
    .default(['.txt', '.md', '.markdown', '.rst'])
    .describe('which files of a folder are read'),
  maxFileBytes,
})
export type TextFilesOptions = z.input<typeof textFilesOptions>

/** A document a file, UTF-8 (invalid bytes become U+FFFD) or UTF-16 with a byte order mark. */
export function textFiles(options: TextFilesOptions): Source<Document> {
  const { path, ...settings } = textFilesOptions.parse(options)
  const paths = listOf(path)
  return {
    kind: 'source',
    name: 'textFiles',
    version: 1,
    options: settings,
    partitions: (context) => filePartitions(paths, settings.extensions, context),
    read: (partition, context) =>
      readFiles(paths, settings.extensions, settings.maxFileBytes, partition, context, ({ item, bytes }) => {
        const text = decodeText(bytes)
        return text === '' ? undefined : { ...item, text }
      }),
  }
}

function decodeText(bytes: Buffer): string {
  const mark = bytes.length >= 2 ? bytes.readUInt16BE(0) : 0
  const encoding = mark === 0xfffe ? 'utf-16le' : mark === 0xfeff ? 'utf-16be' : 'utf-8'
  return new TextDecoder(encoding).decode(bytes)
}
