// How text stands out on the terminal; plain where standard output is none.

import { styleText } from 'node:util'

export const terminalStyle = {
  columns: process.stdout.columns ?? 100,
  strong: (text: string) => styleText('bold', text, { stream: process.stdout }),
  soft: (text: string) => styleText('dim', text, { stream: process.stdout }),
}
