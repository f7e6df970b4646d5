// The tokenizer.json of a loaded tokenizer, as a file that shards can carry a copy of: the user's own where there is one,
// else one written into a cache, named by its content.

import { readFile, rename, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeFolder } from '../io/make-folder.ts'
import { serializeTokenizerJson } from './formats.ts'
import { type LoadedTokenizer, sha256 } from './tokenizer.ts'

/**
 * Path of a tokenizer.json whose SHA-256 is the tokenizer's hash. Writes it where it is not there yet, whole or not at all.
 *
 * @param nameOrPath what the tokenizer was loaded by
 */
export async function tokenizerFile(tokenizer: LoadedTokenizer, nameOrPath: string, cache = defaultCache()): Promise<string> {
  if (await hasHash(nameOrPath, tokenizer.hash)) return nameOrPath
  const path = join(cache, `${tokenizer.hash}.json`)
  // The folder may be shared with others: what lies there is trusted by its content only.
  if (await hasHash(path, tokenizer.hash)) return path
  await makeFolder(cache)
  const temporary = `${path}.${process.pid}-${performance.now().toString(36).replace('.', '')}`
  await writeFile(temporary, serializeTokenizerJson(tokenizer.definition))
  await rename(temporary, path)
  return path
}

function defaultCache(): string {
  return join(tmpdir(), `sluice-tokenizers-${process.getuid?.() ?? 0}`)
}

async function hasHash(path: string, hash: string): Promise<boolean> {
  try {
    return sha256(await readFile(path)) === hash
  } catch {
    return false // not there, or not to be read: another is written
  }
}
