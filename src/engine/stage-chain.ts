// The stages of a phase in one task, fused: every batch goes through all of them, is counted before and behind each, and
// leaves its receipts. A document that a stage fails on is set aside; a stage that loses or doubles one ends the run.

import type { Item } from '../core/document.ts'
import { SluiceError } from '../core/errors.ts'
import type { StageContext } from '../core/stage.ts'
import type { ErasedBarrier, ErasedSink, ErasedStage } from './pipeline.ts'
import { ReceiptWriter } from './receipt-writer.ts'
import type { SinkOutput } from './run-folder.ts'
import { blaming, isFatal } from './stage-error.ts'
import { openSink } from './task-end.ts'
import type { Batch } from './task-input.ts'
import { stageContext, type TaskScope } from './task-scope.ts'

/** Disposing of one that was not closed gives its files back; what is in them counts for nothing. */
export interface StageChain extends AsyncDisposable {
  /** What came through, in order. */
  process(batch: Batch): Promise<Item[]>
  /** @returns what sinks on the way made */
  close(): Promise<SinkOutput[]>
}

interface Link {
  process(items: Item[], rows: Uint32Array): Promise<Item[]>
  close(): Promise<SinkOutput | undefined>
}

export async function openChain(scope: TaskScope): Promise<StageChain> {
  const { phase, receipts, host, folder, request, plan } = scope
  const links: Link[] = []
  let stage = 0
  if (phase.apply) links.push(await openApply(scope, phase.apply, stage++))
  for (const step of phase.steps) links.push(step.kind === 'sink' ? await openTee(scope, step) : await openStage(scope, step, stage++))
  const writer = await ReceiptWriter.create(folder, request.partition.id, request.attempt, plan.choices)
  return {
    process: async ({ items, rows }) => {
      receipts.arrived(items)
      let current = items
      for (const link of links) current = await link.process(current, rows)
      host.notes.idle() // what follows may take its time: nothing in hand is stuck
      const survivors = current.filter((item) => receipts.isAlive(item))
      const finished = receipts.finish(survivors)
      await writer.write(finished.receipts, finished.rejected)
      host.progress(items.length, 0)
      return survivors
    },
    close: async () => {
      const outputs: SinkOutput[] = []
      for (const link of links) outputs.push(...[(await link.close()) ?? []].flat())
      await writer.close()
      return outputs
    },
    [Symbol.asyncDispose]: () => writer.close().catch(() => undefined), // the error that ended the task is the one to tell
  }
}

async function openStage(scope: TaskScope, stage: ErasedStage, index: number): Promise<Link> {
  const blame = blamer(scope, index)
  const run = await blame(() => stage.open(mapContext(scope, index)))
  const process = async (items: Item[]) => {
    const out = run.process(items)
    if (out instanceof Promise) scope.host.notes.idle() // it waits for somebody else: no document in hand is stuck
    return await out
  }
  return {
    process: (items) => counted(scope, index, items, () => tolerant(scope, index, items, process)),
    close: async () => void (await blame(async () => run.close?.())),
  }
}

/** The apply of a barrier goes through its verdicts in order of rows, so a batch cannot be given to it a second time. */
async function openApply(scope: TaskScope, barrier: ErasedBarrier, index: number): Promise<Link> {
  const { merged, partition } = scope.request
  if (merged === undefined) throw new SluiceError('SLUICE_TASK', `phase ${scope.phase.index} has no merged folder of ${barrier.name}`)
  const blame = blamer(scope, index)
  const run = await blame(() => barrier.apply({ ...mapContext(scope, index), merged, partition: partition.index }))
  return {
    process: (items, rows) => counted(scope, index, items, () => blame(() => run.process(items, rows))),
    close: async () => void (await blame(async () => run.close?.())),
  }
}

async function openTee(scope: TaskScope, sink: ErasedSink): Promise<Link> {
  const opened = await openSink(scope, sink)
  return {
    process: async (items) => {
      await opened.write(items.filter((item) => scope.receipts.isAlive(item)))
      return items
    },
    close: opened.close,
  }
}

function blamer({ phase, request }: TaskScope, stage: number) {
  const name = phase.stageNames[stage]
  return <T>(work: () => T | Promise<T>): Promise<T> =>
    blaming(`the stage "${name}"`, { stage: name, source: request.partition.input.source }, work)
}

/** One stage over one batch: counts and times. */
async function counted({ receipts }: TaskScope, stage: number, items: Item[], work: () => Promise<Item[]>): Promise<Item[]> {
  receipts.entered(stage, items)
  const start = performance.now()
  const out = await work()
  receipts.left(stage, items, out, (performance.now() - start) / 1000)
  return out
}

/** A stage that throws on a batch gets its items one by one; the one it throws on alone is quarantined. */
async function tolerant(scope: TaskScope, stage: number, items: Item[], process: (batch: Item[]) => Promise<Item[]>): Promise<Item[]> {
  try {
    if (items.length === 1) scope.host.notes.working(stage, items[0].offset, items[0].id)
    return await process(items)
  } catch (error) {
    if (isFatal(error) || scope.host.signal.aborted) throw error
    if (items.length > 1) {
      const out: Item[] = []
      for (const item of items) out.push(...(await tolerant(scope, stage, [item], process)))
      return out
    }
    scope.receipts.quarantine(stage, items[0], error)
    return []
  }
}

function mapContext(scope: TaskScope, stage: number): StageContext {
  const { host, receipts } = scope
  return {
    ...stageContext(scope, stage),
    examine: (item, work) => {
      host.notes.working(stage, item.offset, item.id)
      try {
        return work()
      } catch (error) {
        if (isFatal(error)) throw error
        receipts.quarantine(stage, item, error)
        return undefined
      }
    },
  }
}
