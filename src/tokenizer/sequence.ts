// Parts of `tokenizer.json` that may be one step, a `Sequence` of steps, or none.

import { z } from 'zod'

/** Reads such a part as a list, sequences in sequences laid out flat. */
export function inSequence<Step extends z.ZodType>(member: string, step: Step) {
  return z.preprocess((json) => flatten(json, member), z.array(step))
}

function flatten(json: unknown, member: string): unknown[] {
  if (json === null || json === undefined) return []
  const steps =
    typeof json === 'object' && 'type' in json && json.type === 'Sequence'
      ? Object.entries(json).find(([key]) => key === member)?.[1]
      : undefined
  return Array.isArray(steps) ? steps.flatMap((step) => flatten(step, member)) : [json]
}

/** The other way round: none is null, one stands alone. */
export function toSequence(member: string, steps: readonly object[]): object | null {
  if (steps.length === 0) return null
  return steps.length === 1 ? steps[0] : { type: 'Sequence', [member]: steps }
}
