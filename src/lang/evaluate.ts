// How well a classifier does on labelled lines: precision and recall at k over all labels and by label, as FastText::test
// counts them: lines without a known label, or without a known word, do not count.

import type { FastTextModel } from './fasttext-model.ts'
import { createPredictor } from './kernel-predict.ts'
import { lineTokens } from './tokens.ts'

export interface LabelCounts {
  /** Lines that have the label, lines it was predicted for, lines where both is so. */
  readonly gold: number
  readonly predicted: number
  readonly right: number
}

export interface Evaluation {
  readonly examples: number
  readonly all: LabelCounts
  readonly labels: ReadonlyMap<string, LabelCounts>
}

type Counter = { -readonly [Key in keyof LabelCounts]: number }

/** @param most how many labels are predicted for each line @param smallest none below this score */
export function evaluate(model: FastTextModel, lines: Iterable<string>, most: number, smallest: number): Evaluation {
  const predictor = createPredictor(model)
  const labels = new Map(model.labels.map((label): [string, Counter] => [label, { gold: 0, predicted: 0, right: 0 }]))
  const all: Counter = { gold: 0, predicted: 0, right: 0 }
  let examples = 0
  for (const line of lines) {
    const gold = lineTokens(line).filter((token) => labels.has(token))
    if (gold.length === 0) continue
    const predictions = predictor.predict(line, most, 0)
    if (predictions.length === 0) continue
    examples++
    for (const label of gold) count(labels.get(label), all, 'gold')
    for (const { label, score } of predictions) {
      if (score < smallest) continue
      count(labels.get(label), all, 'predicted')
      if (gold.includes(label)) count(labels.get(label), all, 'right')
    }
  }
  return { examples, all, labels }
}

function count(own: Counter | undefined, all: Counter, key: keyof LabelCounts): void {
  if (own !== undefined) own[key]++
  all[key]++
}

/** NaN where nothing was predicted. */
export const precision = ({ right, predicted }: LabelCounts) => right / predicted
/** NaN where no line has it. */
export const recall = ({ right, gold }: LabelCounts) => right / gold
/** 0 where nothing is right. */
export function f1({ right, gold, predicted }: LabelCounts): number {
  return right === 0 ? 0 : (2 * right) / (gold + predicted)
}
