// Every area's runners. A new area adds its file here.

import type { Runner } from './cases.ts'
import { dedupRunners } from './dedup.ts'
import { filterRunners } from './filters.ts'
import { languageRunners } from './language.ts'
import { piiRunners } from './pii.ts'
import { repairRunners } from './repair.ts'
import { textRunners } from './text.ts'
import { tokenFileRunners } from './token-files.ts'
import { urlRunners } from './url.ts'
import { variantRunners } from './variants.ts'

export const runners: readonly Runner[] = [
  ...textRunners,
  ...filterRunners,
  ...urlRunners,
  ...languageRunners,
  ...variantRunners,
  ...repairRunners,
  ...tokenFileRunners,
  ...dedupRunners,
  ...piiRunners,
]
