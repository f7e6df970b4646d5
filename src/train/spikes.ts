// Steps that would do harm: a loss or a gradient that is no number, or far above what it was of late, as OLMo-core's
// SkipStepOptimizer tells them (128 values, 6 standard deviations). Such a step changes no weight. Several in a row mean that
// the weights themselves are bad: the run goes back to its last checkpoint and leaves out the documents since, as PaLM's did
// (Chowdhery et al. 2022, arxiv.org/abs/2204.02311, section 5.1).

/** How many values the normal range is made of. */
const REMEMBERED = 128
/** With fewer, nothing is far. */
const FEWEST = 64

/** The values so far with the newest, where it is a number: the oldest is forgotten. */
export function remember(values: readonly number[], newest: number): number[] {
  return Number.isFinite(newest) ? [...values, newest].slice(-REMEMBERED) : [...values]
}

/** The largest value that is not far: mean plus `deviations` standard deviations; without end where that is 0 or little is known. */
export function largestNormal(values: readonly number[], deviations: number): number {
  if (deviations === 0 || values.length < FEWEST) return Number.MAX_VALUE
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)
  return mean + deviations * Math.sqrt(variance)
}

/** Why a step was left out: `loss 9.310, 4.120 is the most that is normal`. */
export function describeSpike(what: string, value: number, most: number): string {
  if (!Number.isFinite(value)) return `${what} ${value}`
  return `${what} ${value.toPrecision(4)}, ${most.toPrecision(4)} is the most that is normal`
}
