// Mergeable histograms with bins that grow with the value: eight to a doubling, so that one shape serves ratios of 0.001
// and lengths of a million alike, at most 9 % wide. Counts are exact, merging is addition.

const BINS_PER_DOUBLING = 8

/** Plain JSON. A key of `bins` is `zero`, or `p` or `n` (sign) and the bin number: `binEdges` gives its edges. */
export interface Histogram {
  count: number
  /** Documents on which it was not measured. */
  missing: number
  sum: number
  min: number
  max: number
  bins: Record<string, number>
}

export function emptyHistogram(): Histogram {
  return { count: 0, missing: 0, sum: 0, min: Number.MAX_VALUE, max: -Number.MAX_VALUE, bins: {} }
}

export function addValue(histogram: Histogram, value: number): void {
  if (!Number.isFinite(value)) {
    histogram.missing++
    return
  }
  histogram.count++
  histogram.sum += value
  if (value < histogram.min) histogram.min = value
  if (value > histogram.max) histogram.max = value
  const key = binOf(value)
  histogram.bins[key] = (histogram.bins[key] ?? 0) + 1
}

/** Adds `other` into `histogram`. */
export function mergeHistogram(histogram: Histogram, other: Histogram): void {
  histogram.count += other.count
  histogram.missing += other.missing
  histogram.sum += other.sum
  histogram.min = Math.min(histogram.min, other.min)
  histogram.max = Math.max(histogram.max, other.max)
  for (const [key, count] of Object.entries(other.bins)) histogram.bins[key] = (histogram.bins[key] ?? 0) + count
}

/** Lower and upper edge of a bin, lower ≤ value < upper for positive ones. */
export function binEdges(key: string): readonly [lower: number, upper: number] {
  if (key === 'zero') return [0, 0]
  const isNegative = key.startsWith('n')
  const exponent = Number(key.slice(1))
  const near = 2 ** (exponent / BINS_PER_DOUBLING)
  const far = 2 ** ((exponent + 1) / BINS_PER_DOUBLING)
  return isNegative ? [-far, -near] : [near, far]
}

function binOf(value: number): string {
  if (value === 0) return 'zero'
  return (value < 0 ? 'n' : 'p') + Math.floor(Math.log2(Math.abs(value)) * BINS_PER_DOUBLING)
}
