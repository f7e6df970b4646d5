// What a task reads: its part of a source, or what the phase before kept of its partition. Documents that are quarantined
// are left out here, counted; in a trial all others are.

import type { Item } from '../core/document.ts'
import { documentId, sampleFraction } from '../core/identity.ts'
import type { SourceContext } from '../core/stage.ts'
import { readItemFile } from '../io/item-file.ts'
import { partError } from './stage-error.ts'
import { addCount, NOTES, type QuarantineNote } from './summary.ts'
import { BATCH_BYTES, type TaskScope } from './task-scope.ts'

export interface Batch {
  readonly items: Item[]
  /** Of the items in the phase before's file; empty in the first phase. */
  readonly rows: Uint32Array
}

export async function* readInput(scope: TaskScope): AsyncGenerator<Batch> {
  const quarantined = new Map(scope.request.quarantined.map((note) => [note.id, note]))
  const { upstream } = scope.request
  if (upstream === undefined) yield* readSource(scope, quarantined)
  else yield* readPhaseBefore(scope, upstream, quarantined)
}

type Quarantined = ReadonlyMap<string, QuarantineNote>

async function* readPhaseBefore({ request, receipts }: TaskScope, path: string, quarantined: Quarantined): AsyncGenerator<Batch> {
  for await (const { items, firstRow } of readItemFile(path, BATCH_BYTES)) {
    const chosen: Item[] = []
    const rows: number[] = []
    for (const [index, item] of items.entries()) {
      if (request.suspect && item.id !== request.suspect.id) continue
      const note = quarantined.get(item.id)
      if (note) {
        receipts.skipped(note)
        continue
      }
      chosen.push(item)
      rows.push(firstRow + index)
    }
    if (chosen.length > 0) yield { items: chosen, rows: Uint32Array.from(rows) }
  }
}

async function* readSource(scope: TaskScope, quarantined: Quarantined): AsyncGenerator<Batch> {
  const { plan, request, receipts } = scope
  const { input, sourceIndex } = request.partition
  const source = plan.pipeline.sources[sourceIndex]
  const choose = chooser(scope)
  try {
    for await (const items of source.read(input, sourceContext(scope, quarantined))) {
      receipts.summary.records += items.length
      const { chosen, isLast } = choose(items)
      const known = chosen.filter(({ id }) => {
        const note = quarantined.get(id) // by its id: one of several documents in a record
        if (note) receipts.skipped(note)
        return note === undefined
      })
      if (known.length > 0) yield { items: known, rows: new Uint32Array(0) }
      if (isLast) return
    }
  } catch (error) {
    throw partError(error, `the source "${source.name}"`, { source: input.source })
  }
}

/** `--sample`, `--limit` and trials: what is left out counts as ignored. */
function chooser({ plan, request, receipts }: TaskScope): (items: Item[]) => { chosen: Item[]; isLast: boolean } {
  const { sample } = plan.choices
  const { limit, suspect } = request
  let taken = 0
  return (items) => {
    let chosen = sample === undefined ? items : items.filter(({ id }) => sampleFraction(id, 'sample') < sample)
    if (limit !== undefined) chosen = chosen.slice(0, limit - taken)
    if (suspect) chosen = items.filter(({ id }) => id === suspect.id)
    if (chosen.length < items.length) addCount(receipts.summary.ignored, 'not_sampled', items.length - chosen.length)
    taken += chosen.length
    return { chosen, isLast: suspect ? taken > 0 : limit !== undefined && taken >= limit }
  }
}

function sourceContext({ request, receipts, host }: TaskScope, quarantined: Quarantined): SourceContext {
  const { notes, progress, signal, redact } = host
  const { summary } = receipts
  return {
    signal,
    batchBytes: BATCH_BYTES,
    begin: (source, offset) => {
      if (request.suspect && offset !== request.suspect.offset) return false
      const id = documentId(source, offset)
      notes.reading(offset, id)
      const note = quarantined.get(id)
      if (!note) return true
      summary.records++
      receipts.skipped(note)
      return false
    },
    damaged: (damage) => {
      summary.records++
      summary.damaged++
      summary.damagedBytes += damage.length
      if (summary.damages.length < NOTES)
        summary.damages.push({ source: request.partition.input.source, ...damage, message: redact(damage.message) })
    },
    ignored: (reason, count = 1) => {
      summary.records += count
      addCount(summary.ignored, reason, count)
    },
    consumed: (bytes) => {
      summary.inputBytes += bytes
      progress(0, bytes)
    },
  }
}
