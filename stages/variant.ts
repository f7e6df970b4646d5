// A paper's name does not define a filter: toolkits that cite the same paper split words, count and compare differently, and
// their verdicts differ on a fifth to a third of hard cases. So each definition has a name, rules@toolkit-version.

import { z } from 'zod'

/** An option with one value: it stands in the plan, the manifest and the audit, and a pipeline that names it is refused the day it is another. */
export function variantOption<Name extends `${string}@${string}-${string}`>(name: Name) {
  return z.literal(name).default(name).describe('which definition of these rules this is; only this value')
}
