// Token files as datatrove's DocumentTokenizer writes them (0.10): `.ds` holds the ids end to end, `.ds.index` where each
// document ends, `.ds.metadata` names the tokenizer. nanotron and others read them.

import { numpyPermutation } from './numpy-random.ts'

export interface DatatroveFilesOptions {
  /** Ids take 2 bytes up to 65,536 of them, else 4. */
  readonly vocabularySize: number
  readonly tokenizerName: string
  /** Number of the task that wrote them: the first part of the names. */
  readonly rank: number
  /** The documents' order is drawn from it; undefined: they stay in order. */
  readonly shuffleSeed?: number
  /** A file is closed after the document that takes it over this; only shuffled files are cut. */
  readonly maxTokensPerFile?: number
}

/** Contents by name. Each document's ids include its end of text. */
export function datatroveFiles(documents: readonly ArrayLike<number>[], options: DatatroveFilesOptions): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>()
  const rank = String(options.rank).padStart(5, '0')
  if (options.shuffleSeed === undefined) {
    addFile(files, `${rank}_unshuffled.ds`, documents, options)
    return files
  }
  let part: ArrayLike<number>[] = []
  let parts = 0
  let tokens = 0
  const close = () => {
    addFile(files, `${rank}_${String(parts++).padStart(5, '0')}_doc_shuffled.ds`, part, options)
    part = []
    tokens = 0
  }
  for (const document of numpyPermutation(documents.length, options.shuffleSeed)) {
    part.push(documents[document])
    tokens += documents[document].length
    if (options.maxTokensPerFile !== undefined && tokens > options.maxTokensPerFile) close()
  }
  close() // as in the reference, empty where the last document closed a file
  return files
}

function addFile(
  files: Map<string, Uint8Array>,
  name: string,
  documents: readonly ArrayLike<number>[],
  options: DatatroveFilesOptions,
): void {
  const tokenBytes = options.vocabularySize <= 65_536 ? 2 : 4
  const total = documents.reduce((sum, document) => sum + document.length, 0)
  const tokens = Buffer.alloc(total * tokenBytes)
  const index = Buffer.alloc(documents.length * 8)
  let end = 0
  for (const [i, document] of documents.entries()) {
    for (let k = 0; k < document.length; k++) tokens.writeUIntLE(document[k], (end + k) * tokenBytes, tokenBytes)
    end += document.length
    index.writeBigUInt64LE(BigInt(end), i * 8)
  }
  files.set(name, tokens)
  files.set(`${name}.index`, index)
  files.set(`${name}.metadata`, Buffer.from(`${options.tokenizerName}|${tokenBytes}\n${total}\n${threeDigits(total)}`))
}

/** Three significant digits with a metric prefix: "70.0 T", "1.24 kT". */
function threeDigits(count: number): string {
  const exponent = count === 0 ? 0 : Math.floor(Math.log10(count))
  const thousands = Math.floor(exponent / 3)
  const value = count / 1000 ** thousands
  return `${value.toFixed(2 - (exponent % 3))} ${['', 'k', 'M', 'G', 'T'][thousands]}T`
}
