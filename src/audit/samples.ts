// Dropped documents to read, a few of every stage and reason. Their text is as the run kept it: redacted, unless asked otherwise.

import { z } from 'zod'
import type { Queries } from './queries.ts'

export interface Sample {
  readonly stage: string
  readonly reason: string
  readonly id: string
  readonly url?: string
  readonly source: string
  readonly offset: number
  /** The beginning. */
  readonly text: string
  /** Characters of the whole text. */
  readonly characters: number
  /** By `stage.statistic`, all that was measured by then. */
  readonly statistics: Readonly<Record<string, number | null>>
}

const row = z.object({
  stage: z.string(),
  reason: z.string(),
  id: z.string(),
  url: z.string().nullable(),
  source: z.string(),
  offset: z.coerce.number(),
  text: z.string(),
  characters: z.coerce.number(),
  statistics: z.string().nullable(),
})
const statistics = z.record(z.string(), z.number().nullable())

export interface SampleChoice {
  /** Documents of each reason, chosen by their ids. */
  readonly count: number
  /** Characters of text that are shown of each. */
  readonly characters: number
  readonly stage?: string
  readonly reason?: string
}

export async function readSamples(queries: Queries, { count, characters, stage, reason }: SampleChoice): Promise<Sample[]> {
  const conditions = [stage === undefined ? 'true' : 'stage = $stage', reason === undefined ? 'true' : 'reason = $reason']
  const rows = await queries.rows(
    // The window sees no text: where all that was dropped is kept, that is most of the input.
    `with chosen as (
       select phase, stage, reason, id from rejected where ${conditions.join(' and ')}
       qualify row_number() over (partition by phase, stage, reason order by id) <= ${count})
     select stage, reason, id, url, source, "offset", substr(text, 1, ${characters}) as text, length(text) as characters, statistics
     from rejected semi join chosen using (phase, stage, reason, id) order by phase, stage, reason, id`,
    { ...(stage === undefined ? {} : { stage }), ...(reason === undefined ? {} : { reason }) },
  )
  return z
    .array(row)
    .parse(rows)
    .map(({ url, statistics: json, ...sample }) => ({
      ...sample,
      url: url ?? undefined,
      statistics: statistics.parse(JSON.parse(json ?? '{}')),
    }))
}
