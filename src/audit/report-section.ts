// What every section of the report is: the page frames it, the section's file fills it.

import type { Html } from './html.ts'

export interface Section {
  /** Of its place in the page, for links. */
  readonly id: string
  readonly title: string
  readonly lead?: Html | string
  readonly body: Html
}
