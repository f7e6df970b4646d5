// Numbers and names as the trainer tells them to people.

import type { Objective } from './settings.ts'

export const formatCount = (value: number) => value.toLocaleString('en-US')

/** `1 row`, `2 rows`. */
export const counted = (value: number, noun: string) => `${formatCount(value)} ${noun}${value === 1 ? '' : 's'}`

/** Without digits that say nothing: `2 %`, `3.2 %`. */
export const formatShare = (share: number) => `${Number((100 * share).toFixed(1))} %`

/** What the data consists of. */
export const documentWord = (objective: Objective) => (objective === 'classify' || objective === 'pairs' ? 'example' : 'document')

/** How a setting is asked for on the command line. */
export function flagOf(setting: string): string {
  if (setting === 'learningRate') return '--lr'
  return `--${setting.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}
