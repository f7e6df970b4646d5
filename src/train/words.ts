// Names as the trainer tells them to people.

import type { Objective } from './settings.ts'

/** What the data consists of. */
export const documentWord = (objective: Objective) => (objective === 'classify' || objective === 'pairs' ? 'example' : 'document')

/** How a setting is asked for on the command line. */
export function flagOf(setting: string): string {
  if (setting === 'learningRate') return '--lr'
  return `--${setting.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}
