// Documents from source code: each file is one, with its language by its name, and the license that holds for it.

import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { Document, Metadata } from '../src/core/document.ts'
import type { Source } from '../src/core/stage.ts'
import { decodeText } from '../src/sources/decode-text.ts'
import { type FileContent, fileOptions, fileSource, type Made } from '../src/sources/file-items.ts'
import { declaredLicense, isLicenseFile, licenseOf } from '../src/sources/licenses.ts'
import { endsOfLanguages, sourceFileEnds, sourceLanguage, sourceLanguages } from '../src/sources/source-languages.ts'

const languageName = z.string().refine((name) => sourceLanguages.includes(name), {
  error: ({ input }) => `no such language: ${input}. There are ${sourceLanguages.join(', ')}`,
})

export const sourceCodeOptions = z.strictObject({
  ...fileOptions,
  languages: z
    .array(languageName)
    .min(1)
    .optional()
    .describe("only files in these, by Linguist's names: Python, C++; all that are known without it"),
  gitignore: z
    .boolean()
    .default(true)
    .describe(fileOptions.gitignore.description ?? ''),
  maxFileBytes: z
    .int()
    .min(1)
    .max(512 << 20)
    .default(1 << 20)
    .describe('larger files are ignored as too_large: what people write is smaller'),
})
export type SourceCodeOptions = z.input<typeof sourceCodeOptions>

/**
 * A document a file. Its metadata: `file`, `path`, `bytes`, `modified`, `programming_language`; `license`, by an SPDX line in
 * the file itself or else by the nearest license file in its folder or above, and that file as `license_file`. Ignored:
 * `empty_file`, `binary_file`, `too_large`.
 */
export function sourceCode(options: SourceCodeOptions): Source<Document> {
  const { languages, maxFileBytes, ...settings } = sourceCodeOptions.parse(options)
  const extensions = languages ? endsOfLanguages(languages) : [...sourceFileEnds]
  const licenses = new LicenseFinder()
  return fileSource({
    name: 'sourceCode',
    version: 1,
    settings: { ...settings, extensions, maxFileBytes: fileOptions.maxFileBytes.parse(undefined) },
    options: { languages: languages ?? null, maxFileBytes },
    make: async (content) => (content.bytes.length > maxFileBytes ? { ignored: 'too_large' } : await documentOf(content, licenses)),
  })
}

async function documentOf({ item, path, facts, bytes }: FileContent, licenses: LicenseFinder): Promise<Made<Document>> {
  const decoded = decodeText(bytes)
  if (!decoded) return { ignored: 'binary_file' }
  const { text, encoding } = decoded
  if (text === '') return { ignored: 'empty_file' }
  const found = await licenses.of(item.source, path)
  const license = declaredLicense(text) ?? found?.license
  const metadata: Metadata = {
    ...item.metadata,
    path,
    ...facts,
    ...(encoding === 'utf-8' ? {} : { encoding }),
    programming_language: sourceLanguage(path) ?? null,
    ...(license !== undefined && { license }),
    ...(found && { license_file: found.path }),
  }
  return { ...item, metadata, text }
}

interface FoundLicense {
  /** Below the folder that the user named. */
  readonly path: string
  /** Undefined where its text is not known. */
  readonly license?: string
}

/** The license files of folders on a disk, each folder looked at once. */
class LicenseFinder {
  readonly #byFolder = new Map<string, Promise<FoundLicense | undefined>>()

  /** @param path below the folder that the user named, where looking upward ends */
  async of(url: string, path: string): Promise<FoundLicense | undefined> {
    if (!url.startsWith('file:')) return undefined
    return await this.#ofFolder(dirname(fileURLToPath(url)), dirname(path))
  }

  #ofFolder(folder: string, below: string): Promise<FoundLicense | undefined> {
    const known = this.#byFolder.get(folder)
    if (known) return known
    const found = this.#look(folder, below)
    this.#byFolder.set(folder, found)
    return found
  }

  async #look(folder: string, below: string): Promise<FoundLicense | undefined> {
    const names = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isFile() && isLicenseFile(entry.name))
    const [name] = names.map((entry) => entry.name).sort()
    if (name !== undefined) return { path: join(below, name), license: licenseOf(await readFile(join(folder, name), 'utf8')) }
    return below === '.' ? undefined : await this.#ofFolder(dirname(folder), dirname(below))
  }
}
