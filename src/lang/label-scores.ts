// From a text's mean vector to scores of labels, as fastText's Loss::predict gives them. It works on logarithms with 1e-5
// added inside, so a score is a probability plus 1e-5, or in a tree the product of those; here without the logarithms.

import { BestLabels } from './best-labels.ts'
import type { FastTextModel } from './fasttext-model.ts'

/** Adds labels that score at least `smallest` to `best`. @param hidden f64[dimensions] */
type ScoreLabels = (hidden: Float64Array, smallest: number, best: BestLabels) => void

const EPSILON = 1e-5

/** What scores are worked out from. */
export type LabelModel = Pick<FastTextModel, 'settings' | 'labels' | 'counts' | 'wordCount' | 'output'>

export interface Prediction {
  readonly label: string
  /** Probability by the model, plus up to 1e-5 as the reference has it. */
  readonly score: number
}

/**
 * @param hidden f64[dim], the mean of a text's rows
 * @param most how many labels at most, from 1
 * @param smallest labels with a lower score are left out
 * @returns best first
 */
export type RankLabels = (hidden: Float64Array, most: number, smallest: number) => Prediction[]

export function createRanker(model: LabelModel): RankLabels {
  const scoreLabels = createScorer(model)
  let best = new BestLabels(1)
  return (hidden, most, smallest) => {
    const limit = Math.min(most, model.labels.length)
    if (best.most !== limit) best = new BestLabels(limit)
    scoreLabels(hidden, smallest, best)
    const predictions: Prediction[] = []
    for (; best.size > 0; best.dropWorst()) predictions.push({ label: model.labels[best.worstLabel], score: best.worstScore })
    return predictions.reverse()
  }
}

function createScorer(model: LabelModel): ScoreLabels {
  switch (model.settings.loss) {
    case 'hs':
      return scoreTree(model)
    case 'softmax':
      return scoreSoftmax(model)
    // Negative sampling predicts like one-vs-all.
    case 'ns':
    case 'ova':
      return scoreOneVsAll(model)
  }
}

/** Walks the Huffman tree from the root; a branch ends where even its product is too small. */
function scoreTree({ output, labels, counts, wordCount }: LabelModel): ScoreLabels {
  const leaves = labels.length
  const children = huffmanChildren(counts.subarray(wordCount))
  // Nodes still to visit: fewer than there are leaves, since each step replaces one by its two children.
  const nodes = new Int32Array(leaves + 1)
  const products = new Float64Array(leaves + 1)
  return (hidden, smallest, best) => {
    nodes[0] = 2 * leaves - 2
    products[0] = 1
    for (let waiting = 1; waiting > 0; ) {
      const node = nodes[--waiting]
      const product = products[waiting]
      if (product < smallest + EPSILON || product < best.least) continue
      if (node < leaves) {
        best.add(node, product)
        continue
      }
      const right = 1 / (1 + Math.exp(-output.dot(node - leaves, hidden)))
      nodes[waiting] = children[2 * (node - leaves) + 1]
      products[waiting++] = product * (right + EPSILON)
      nodes[waiting] = children[2 * (node - leaves)]
      products[waiting++] = product * (1 - right + EPSILON)
    }
  }
}

/**
 * The tree that training used. Leaves are the labels, which the dictionary lists from the most frequent one down; of two
 * equal counts an inner node goes first.
 *
 * @returns i32[labels - 1, 2]: left and right of each inner node; inner node i is number labels + i, the root comes last
 */
export function huffmanChildren(labelCounts: Float64Array): Int32Array {
  const leaves = labelCounts.length
  const counts = new Float64Array(2 * leaves - 1).fill(1e15)
  counts.set(labelCounts)
  const children = new Int32Array(2 * (leaves - 1))
  let leaf = leaves - 1
  let inner = leaves
  for (let node = leaves; node < 2 * leaves - 1; node++) {
    counts[node] = 0
    let sum = 0
    for (let side = 0; side < 2; side++) {
      // An inner node that is not made yet counts 1e15: never less than a leaf.
      const isLeaf = leaf >= 0 && (inner >= node || counts[leaf] < counts[inner])
      const child = isLeaf ? leaf-- : inner++
      children[2 * (node - leaves) + side] = child
      sum += counts[child]
    }
    counts[node] = sum
  }
  return children
}

function scoreSoftmax({ output, labels }: LabelModel): ScoreLabels {
  const scores = new Float64Array(labels.length)
  return (hidden, smallest, best) => {
    let largest = Number.NEGATIVE_INFINITY
    for (let i = 0; i < scores.length; i++) {
      scores[i] = output.dot(i, hidden)
      largest = Math.max(largest, scores[i])
    }
    let sum = 0
    for (let i = 0; i < scores.length; i++) {
      scores[i] = Math.exp(scores[i] - largest)
      sum += scores[i]
    }
    for (let i = 0; i < scores.length; i++) offer(i, scores[i] / sum, smallest, best)
  }
}

const SIGMOID_STEPS = 512
const SIGMOID_LIMIT = 8

/** The reference looks the sigmoid up at the next lower of 512 steps from -8 to 8: up to 0.008 below the exact value. */
function scoreOneVsAll({ output, labels }: LabelModel): ScoreLabels {
  const sigmoid = sigmoidTable()
  return (hidden, smallest, best) => {
    for (let i = 0; i < labels.length; i++) {
      const x = output.dot(i, hidden)
      const step = Math.floor(((x + SIGMOID_LIMIT) * SIGMOID_STEPS) / (2 * SIGMOID_LIMIT))
      offer(i, x < -SIGMOID_LIMIT ? 0 : x > SIGMOID_LIMIT ? 1 : sigmoid[step], smallest, best)
    }
  }
}

/** f32[513], as rounded there. */
export function sigmoidTable(): Float32Array {
  return Float32Array.from({ length: SIGMOID_STEPS + 1 }, (_, i) => {
    return 1 / (1 + Math.exp(SIGMOID_LIMIT - (2 * SIGMOID_LIMIT * i) / SIGMOID_STEPS))
  })
}

function offer(label: number, probability: number, smallest: number, best: BestLabels): void {
  if (probability >= smallest && probability + EPSILON >= best.least) best.add(label, probability + EPSILON)
}
