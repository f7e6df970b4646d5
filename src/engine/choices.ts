// What whoever starts a run may choose beside the pipeline itself.

/** Choices of a run that change what it keeps on disk. They enter the hashes. */
export interface RunChoices {
  /** At most about this many documents, spread evenly over the partitions. */
  readonly limit?: number
  /** Share of documents to take, by hash of their ids. */
  readonly sample?: number
  /** Which documents get a row of statistics. */
  readonly statistics: 'all' | 'sample' | 'off'
  /** Which dropped documents are kept for reading. */
  readonly rejected: 'all' | 'sample' | 'off'
  /** How their text is kept. */
  readonly rejectedText: 'redacted' | 'raw' | 'off'
  /** Share of dropped documents on which the remaining rules of the phase still run. */
  readonly shadows: number
}

export const defaultChoices: RunChoices = { statistics: 'all', rejected: 'sample', rejectedText: 'redacted', shadows: 0.01 }
