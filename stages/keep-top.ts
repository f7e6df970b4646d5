// Keeps the share of the documents that score highest by an annotation: DCLM keeps the best 10 % by its classifier (Li et al.
// 2024, section 4.4, arxiv.org/abs/2406.11794). The threshold is the exact quantile over all documents of the run.

import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { SluiceError } from '../src/core/errors.ts'
import {
  type ApplyContext,
  type Barrier,
  type CollectContext,
  drop,
  keep,
  type MergeContext,
  named,
  type Verdict,
} from '../src/core/stage.ts'
import { applyEach } from '../src/dedup/apply.ts'

export const keepTopOptions = z.strictObject({
  by: z.string().min(1).describe('name of the annotation, as classify and others write it'),
  share: z.number().gt(0).max(1).describe('of the documents that is kept, from the highest score down; ties at its end are all kept'),
})
export type KeepTopOptions = z.input<typeof keepTopOptions>

const THRESHOLD_FILE = 'threshold.json'
const thresholdFile = z.object({ threshold: z.number() })

/** Reason: `not_in_top_share`. Statistics: `score`, `threshold`. The threshold stands in the barrier's threshold.json. */
export function keepTop(options: KeepTopOptions): Barrier<Document> {
  const { by, share } = keepTopOptions.parse(options)
  return {
    kind: 'barrier',
    ...named('keepTop', { options: { by, share } }),
    collect: async (context) => collect(context, by),
    merges: [{ name: 'threshold', tasks: 1, run: async (context) => findThreshold(context, share) }],
    apply: async (context) => {
      const threshold = readThreshold(context)
      return applyEach(context, (document) => {
        const statistics = { score: scoreOf(document, by), threshold }
        context.record(document, statistics)
        const verdict = decideKeepTop(statistics)
        return verdict.keep ? document : verdict
      })
    },
  }
}

export function decideKeepTop({ score, threshold }: { score: number; threshold: number }): Verdict {
  return score >= threshold ? keep : drop('not_in_top_share')
}

/** Scores as f64, in batches. */
function collect(context: CollectContext, by: string) {
  const file = openSync(context.path, 'w')
  return {
    process: (batch: Document[]) => {
      const scores = batch.flatMap((document) => context.examine(document, () => scoreOf(document, by)) ?? [])
      writeSync(file, new Uint8Array(Float64Array.from(scores).buffer))
    },
    close: async () => closeSync(file),
  }
}

function scoreOf({ annotations }: Document, by: string): number {
  const score = annotations?.[by]
  if (typeof score === 'number' && !Number.isNaN(score)) return score
  throw new SluiceError('SLUICE_ANNOTATION_MISSING', `a document has no number as the annotation ${by}`, {
    where: { stage: 'keepTop', annotation: by },
    fix: 'put the stage that writes it before, or correct its name',
  })
}

/** Holds 8 bytes a document. */
function findThreshold({ collected, folder, memoryBytes }: MergeContext, share: number): void {
  const documents = collected.reduce((sum, { rows }) => sum + rows, 0)
  if (16 * documents > Math.max(memoryBytes, 1e9))
    throw new SluiceError('SLUICE_STAGE_MEMORY', `the scores of ${documents} documents take ${16 * documents} bytes`, {
      where: { stage: 'keepTop', memoryBytes },
      fix: 'give more memory, or take classify with minScore',
    })
  const parts = collected.map(({ path }) => readFileSync(path))
  const bytes = Uint8Array.from(Buffer.concat(parts))
  const scores = new Float64Array(bytes.buffer).sort()
  const kept = Math.max(1, Math.round(share * scores.length))
  // Nothing came: nothing is to be judged either.
  const threshold = scores.length === 0 ? 0 : scores[scores.length - kept]
  writeFileSync(join(folder, THRESHOLD_FILE), JSON.stringify({ threshold, documents: scores.length }))
}

function readThreshold({ merged }: ApplyContext): number {
  return thresholdFile.parse(JSON.parse(readFileSync(join(merged, THRESHOLD_FILE), 'utf8'))).threshold
}
