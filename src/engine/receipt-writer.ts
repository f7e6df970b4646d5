// Writes a task's receipts and its rejected documents as Parquet, in the run folder. Receipts have one column for each
// statistic that was measured; which ones is known only afterwards, so they are held and written in files of 100,000.

import { rejectedSchema } from '../../schemas/rejected.ts'
import { statisticsSchema } from '../../schemas/statistics.ts'
import { boolColumn, float32Column, int64Column, recordBatch, utf8Column } from '../io/columns.ts'
import { documentColumns } from '../io/document-columns.ts'
import { ParquetWriter } from '../io/parquet.ts'
import type { RunChoices } from './choices.ts'
import type { Receipt, Rejected } from './receipts.ts'
import type { PhaseFolder } from './run-folder.ts'

const RECEIPTS_PER_FILE = 100_000

export class ReceiptWriter {
  readonly #folder: PhaseFolder
  readonly #partition: string
  readonly #attempt: string
  readonly #rejected: ParquetWriter | undefined
  #receipts: Receipt[] = []
  #files = 0
  #isClosed = false

  private constructor(folder: PhaseFolder, partition: string, attempt: string, rejected: ParquetWriter | undefined) {
    this.#folder = folder
    this.#partition = partition
    this.#attempt = attempt
    this.#rejected = rejected
  }

  static async create(folder: PhaseFolder, partition: string, attempt: string, choices: RunChoices): Promise<ReceiptWriter> {
    const rejected =
      choices.rejected === 'off' ? undefined : await ParquetWriter.open(folder.data('rejected', partition, attempt), rejectedSchema())
    return new ReceiptWriter(folder, partition, attempt, rejected)
  }

  async write(receipts: readonly Receipt[], rejected: readonly Rejected[]): Promise<void> {
    if (rejected.length > 0) await this.#rejected?.write(rejectedBatch(rejected))
    for (const receipt of receipts) this.#receipts.push(receipt)
    if (this.#receipts.length >= RECEIPTS_PER_FILE) await this.#flush()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#rejected?.close()
    if (this.#receipts.length > 0) await this.#flush()
  }

  async #flush(): Promise<void> {
    const receipts = this.#receipts
    this.#receipts = []
    const names = [...new Set(receipts.flatMap(({ values }) => [...values.keys()]))].sort()
    const path = this.#folder.data('statistics', this.#partition, `${this.#attempt}-${this.#files++}`)
    const writer = await ParquetWriter.open(path, statisticsSchema(names))
    await writer.write(receiptBatch(receipts, names))
    await writer.close()
  }
}

function receiptBatch(receipts: readonly Receipt[], names: readonly string[]) {
  return recordBatch(statisticsSchema(names), [
    utf8Column(receipts.map(({ id }) => id)),
    utf8Column(receipts.map(({ source }) => source)),
    int64Column(receipts.map(({ offset }) => offset)),
    utf8Column(receipts.map(({ url }) => url)),
    utf8Column(receipts.map(({ outcome }) => outcome)),
    utf8Column(receipts.map(({ stage }) => stage || undefined)),
    utf8Column(receipts.map(({ reason }) => reason || undefined)),
    boolColumn(receipts.map(({ isShadow }) => isShadow)),
    ...names.map((name) => float32Column(receipts.map(({ values }) => values.get(name)))),
  ])
}

function rejectedBatch(rejected: readonly Rejected[]) {
  const items = rejected.map(({ item }) => item)
  return recordBatch(rejectedSchema(), [
    ...documentColumns(items, JSON.stringify),
    utf8Column(rejected.map(({ stage }) => stage)),
    utf8Column(rejected.map(({ reason }) => reason)),
    utf8Column(rejected.map(({ statistics }) => JSON.stringify(statistics))),
  ])
}
