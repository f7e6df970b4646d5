// The applying half of a deduplication that changes documents: each comes out changed, unchanged or not at all.

import type { Document } from '../core/document.ts'
import { type ApplyContext, type ApplyRun, type Drop, isDrop } from '../core/stage.ts'

/** @param judge gives the document that goes on, the same one where nothing changed, or why none does */
export function applyEach(context: ApplyContext, judge: (document: Document, row: number) => Document | Drop): ApplyRun<Document> {
  return {
    process: (batch, rows) => {
      const kept: Document[] = []
      for (const [i, document] of batch.entries()) {
        const result = context.examine(document, () => judge(document, rows[i]))
        if (result === undefined) continue
        if (!isDrop(result)) kept.push(result)
        else if (context.drop(document, result.reason)) kept.push(document)
      }
      return kept
    },
  }
}
