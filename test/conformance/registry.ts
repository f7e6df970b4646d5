// Every area's runners. A new area adds its file here.

import type { Runner } from './cases.ts'
import { filterRunners } from './filters.ts'
import { languageRunners } from './language.ts'
import { textRunners } from './text.ts'
import { urlRunners } from './url.ts'

export const runners: readonly Runner[] = [...textRunners, ...filterRunners, ...urlRunners, ...languageRunners]
