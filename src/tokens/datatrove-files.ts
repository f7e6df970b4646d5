// Token files as datatrove's DocumentTokenizer writes them (0.10): `.ds` holds the ids end to end, `.ds.index` where each
// document ends, `.ds.metadata` names the tokenizer. nanotron and others read them.

import { join } from 'node:path'
import { makeFolder } from '../io/make-folder.ts'
import { idBytes, OutputFile } from './export.ts'
import { numpyPermutation } from './numpy-random.ts'

export interface DatatroveFilesOptions {
  readonly folder: string
  /** Ids take 2 bytes up to 65,536 of them, else 4. */
  readonly vocabularySize: number
  readonly tokenizerName: string
  /** Number of the task that wrote them: the first part of the names. */
  readonly rank: number
  /** The documents' order is drawn from it; undefined: they stay in order. All are held in memory for it, as in the reference. */
  readonly shuffleSeed?: number
  /** A file is closed after the document that takes it over this; only shuffled files are cut. */
  readonly maxTokensPerFile?: number
}

type Ids = ArrayLike<number>

/** Writes the files and gives their paths. Each document's ids include its end of text. */
export async function writeDatatroveFiles(
  documents: AsyncIterable<Ids> | Iterable<Ids>,
  options: DatatroveFilesOptions,
): Promise<string[]> {
  await makeFolder(options.folder)
  const rank = String(options.rank).padStart(5, '0')
  if (options.shuffleSeed === undefined) return await writeFile(`${rank}_unshuffled.ds`, documents, options)
  const paths: string[] = []
  const all = await Array.fromAsync(documents)
  let part: Ids[] = []
  let parts = 0
  let tokens = 0
  const close = async () => {
    paths.push(...(await writeFile(`${rank}_${String(parts++).padStart(5, '0')}_doc_shuffled.ds`, part, options)))
    part = []
    tokens = 0
  }
  for (const document of numpyPermutation(all.length, options.shuffleSeed)) {
    part.push(all[document])
    tokens += all[document].length
    if (options.maxTokensPerFile !== undefined && tokens > options.maxTokensPerFile) await close()
  }
  await close() // as in the reference, empty where the last document closed a file
  return paths
}

async function writeFile(name: string, documents: AsyncIterable<Ids> | Iterable<Ids>, options: DatatroveFilesOptions): Promise<string[]> {
  const wide = options.vocabularySize > 65_536
  const files = {
    tokens: await OutputFile.create(join(options.folder, name)),
    index: await OutputFile.create(join(options.folder, `${name}.index`)),
    metadata: await OutputFile.create(join(options.folder, `${name}.metadata`)),
  }
  try {
    let total = 0
    for await (const ids of documents) {
      await files.tokens.write(idBytes(ids, wide))
      total += ids.length
      await files.index.write(new Uint8Array(BigUint64Array.of(BigInt(total)).buffer))
    }
    await files.metadata.write(Buffer.from(`${options.tokenizerName}|${wide ? 4 : 2}\n${total}\n${threeDigits(total)}`))
  } catch (error) {
    for (const file of Object.values(files)) await file.discard()
    throw error
  }
  for (const file of Object.values(files)) await file.close()
  return Object.values(files).map(({ path }) => path)
}

/** Three significant digits with a metric prefix: "70.0 T", "1.24 kT". */
function threeDigits(count: number): string {
  const exponent = count === 0 ? 0 : Math.floor(Math.log10(count))
  const thousands = Math.floor(exponent / 3)
  const value = count / 1000 ** thousands
  return `${value.toFixed(2 - (exponent % 3))} ${['', 'k', 'M', 'G', 'T'][thousands]}T`
}
