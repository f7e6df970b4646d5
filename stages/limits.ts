// How a filter decides whose rules are all of one kind: a statistic between two limits.

import { drop, keep, type Statistics, type Verdict } from '../src/core/stage.ts'

/**
 * Drops by the first statistic that is below an option named `min…` or above one named `max…`; reason: its name. Comparisons
 * are strict, null switches a rule off, and NaN breaks none.
 */
export function decideByLimits<Option extends string>(
  statistics: Statistics,
  rules: Readonly<Record<string, readonly Option[]>>,
  limits: Readonly<Record<Option, number | null>>,
): Verdict {
  for (const [statistic, options] of Object.entries(rules)) {
    const value = statistics[statistic]
    for (const option of options) {
      const limit = limits[option]
      if (limit !== null && (option.startsWith('min') ? value < limit : value > limit)) return drop(statistic)
    }
  }
  return keep
}
