// The collecting half of a deduplication: one look at each document, records written when the writer's memory is full.

import type { Document } from '../core/document.ts'
import type { CollectContext, CollectRun } from '../core/stage.ts'
import type { RecordWriter } from '../io/sorted-runs.ts'

/** @param collectOne adds a document's records to the writer */
export function collectRecords(
  context: CollectContext,
  writer: RecordWriter,
  collectOne: (document: Document, row: number) => void,
): CollectRun<Document> {
  return {
    process: (batch, rows) => {
      for (const [i, document] of batch.entries()) context.examine(document, () => collectOne(document, rows[i]))
      if (writer.isFull) writer.flush()
    },
    close: async () => writer.close(),
  }
}
