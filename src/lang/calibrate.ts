// Where to put a threshold, and how a score does at one.

/** A score, and how many documents it stands for. */
export interface Weighted {
  readonly score: number
  readonly weight: number
}

/**
 * The score that a share of all has or exceeds; more than that where scores tie, and never nothing.
 *
 * @param scores of a sample; not empty
 */
export function thresholdFor(scores: readonly Weighted[], share: number): number {
  const sorted = scores.toSorted((a, b) => b.score - a.score)
  const wanted = share * weightOf(sorted)
  let weight = 0
  let threshold = sorted[0].score
  for (const { score, weight: own } of sorted) {
    if (weight > 0 && weight + own / 2 > wanted) break
    weight += own
    threshold = score
  }
  return threshold
}

/** NaN where there are none. */
export function shareFrom(scores: readonly Weighted[], threshold: number): number {
  return weightOf(scores.filter(({ score }) => score >= threshold)) / weightOf(scores)
}

function weightOf(scores: readonly Weighted[]): number {
  return scores.reduce((sum, { weight }) => sum + weight, 0)
}

export interface Confusion {
  readonly truePositives: number
  readonly falsePositives: number
  readonly trueNegatives: number
  readonly falseNegatives: number
  /** Null where nothing was found positive. */
  readonly precision: number | null
  readonly recall: number
  readonly f1: number
}

/** Positive is what scores at least the threshold. Neither may be empty. */
export function confusionAt(positives: readonly number[], negatives: readonly number[], threshold: number): Confusion {
  const truePositives = positives.filter((score) => score >= threshold).length
  const falsePositives = negatives.filter((score) => score >= threshold).length
  const found = truePositives + falsePositives
  return {
    truePositives,
    falsePositives,
    trueNegatives: negatives.length - falsePositives,
    falseNegatives: positives.length - truePositives,
    precision: found === 0 ? null : truePositives / found,
    recall: truePositives / positives.length,
    f1: (2 * truePositives) / (found + positives.length),
  }
}

/** Area under the ROC curve: how often a positive scores above a negative, ties half. Mann and Whitney 1947, by ranks. */
export function areaUnderCurve(positives: readonly number[], negatives: readonly number[]): number {
  const all = [...positives.map((score) => ({ score, own: 1 })), ...negatives.map((score) => ({ score, own: 0 }))]
  all.sort((a, b) => a.score - b.score)
  let ranks = 0
  for (let from = 0; from < all.length; ) {
    let to = from
    let own = 0
    while (to < all.length && all[to].score === all[from].score) own += all[to++].own
    ranks += (own * (from + to + 1)) / 2
    from = to
  }
  return (ranks - (positives.length * (positives.length + 1)) / 2) / (positives.length * negatives.length)
}
