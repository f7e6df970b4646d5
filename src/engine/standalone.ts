// Stages outside a run: any of them as a Node stream, or over a handful of documents with what became of each. What the
// engine does with receipts and markers is left out; the stage is the same.

import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Transform, Writable } from 'node:stream'
import type { Item } from '../core/document.ts'
import { type PackedError, packError, SluiceError } from '../core/errors.ts'
import type { Partition, StageContext, Statistics } from '../core/stage.ts'
import { ItemFileWriter, readItemFile } from '../io/item-file.ts'
import { makeFolder } from '../io/make-folder.ts'
import type { ErasedBarrier, ErasedSink, ErasedSource, ErasedStage } from './pipeline.ts'

const MEMORY_BYTES = 256e6
const BATCH_BYTES = 1 << 20

/** Hears what a stage says about items, where anybody cares. */
export interface Listener {
  readonly recorded?: (item: Item, statistics: Statistics) => void
  readonly dropped?: (item: Item, reason: string) => void
  /** The stage threw on the item; without this listener the error is thrown on. */
  readonly failed?: (item: Item, error: unknown) => void
}

export interface AloneOptions extends Listener {
  readonly seed?: number
  readonly signal?: AbortSignal
}

/** A map or barrier stage as an object-mode Transform over batches. A barrier gives out nothing before its input ends. */
export function asTransform(part: ErasedStage | ErasedBarrier, options: AloneOptions = {}): Transform {
  return part.kind === 'map' ? mapTransform(part, options) : barrierTransform(part, options)
}

/** A source as an object-mode Readable over batches: all its partitions in order. */
export function asReadable(
  source: ErasedSource,
  options: { readonly signal?: AbortSignal; readonly partitionBytes?: number } = {},
): Readable {
  const signal = options.signal ?? new AbortController().signal
  const read = async function* () {
    const partitions = await source.partitions({ signal, partitionBytes: options.partitionBytes ?? Number.MAX_SAFE_INTEGER })
    for (const partition of partitions) yield* source.read(partition, sourceContext(partition, signal))
  }
  return Readable.from(read(), { objectMode: true, highWaterMark: 1 })
}

/** A sink as an object-mode Writable over batches; shards appear in the sink's folder. */
export function asWritable(sink: ErasedSink, options: { readonly signal?: AbortSignal; readonly partition?: string } = {}): Writable {
  const opened = (async () => {
    await makeFolder(sink.path)
    return await sink.open({
      signal: options.signal ?? new AbortController().signal,
      folder: sink.path,
      partition: options.partition ?? 'alone',
      planHash: '',
      artifact: noArtifact,
    })
  })()
  return new Writable({
    objectMode: true,
    highWaterMark: 1,
    write: (items: Item[], _encoding, done) => void opened.then((run) => run.write(items)).then(() => done(), done),
    final: (done) => void opened.then((run) => run.close()).then(() => done(), done),
  })
}

function mapTransform(stage: ErasedStage, options: AloneOptions): Transform {
  const opened = stage.open(aloneContext(options))
  return new Transform({
    objectMode: true,
    highWaterMark: 1,
    transform: (items: Item[], _encoding, done) => void opened.then((run) => run.process(items)).then((out) => done(null, out), done),
    flush: (done) => void opened.then((run) => run.close?.()).then(() => done(), done),
  })
}

function barrierTransform(barrier: ErasedBarrier, options: AloneOptions): Transform {
  const context = aloneContext(options)
  const opened = openBarrier(barrier, context)
  let rows = 0
  return new Transform({
    objectMode: true,
    highWaterMark: 1,
    transform: (items: Item[], _encoding, done) => {
      const firstRow = rows
      rows += items.length
      opened.then((barrier) => collectBatch(barrier, items, firstRow)).then(() => done(), done)
    },
    async flush(done) {
      try {
        for await (const items of mergeAndApply(barrier, context, await opened, rows)) this.push(items)
        done()
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)))
      }
    },
  })
}

async function openBarrier(barrier: ErasedBarrier, context: StageContext) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-'))
  const path = join(folder, 'collected')
  return {
    folder,
    path,
    items: join(folder, 'items'),
    writer: await ItemFileWriter.create(join(folder, 'items')),
    collect: await barrier.collect({ ...context, path }),
  }
}

async function collectBatch({ writer, collect }: Awaited<ReturnType<typeof openBarrier>>, items: Item[], firstRow: number): Promise<void> {
  await writer.write(items)
  await collect.process(
    items,
    Uint32Array.from(items, (_, index) => firstRow + index),
  )
}

async function* mergeAndApply(
  barrier: ErasedBarrier,
  context: StageContext,
  opened: Awaited<ReturnType<typeof openBarrier>>,
  rows: number,
): AsyncGenerator<Item[]> {
  const { folder, path, items, writer, collect } = opened
  await writer.close()
  await collect.close()
  let previous: string | undefined
  for (const step of barrier.merges) {
    const merged = join(folder, step.name)
    await mkdir(merged)
    for (let task = 0; task < step.tasks; task++)
      await step.run({ ...context, build: 'standalone', collected: [{ path, rows }], folder: merged, previous }, task)
    previous = merged
  }
  const run = await barrier.apply({ ...context, merged: previous ?? folder, partition: 0 })
  for await (const batch of readItemFile(items, BATCH_BYTES)) {
    yield await run.process(
      batch.items,
      Uint32Array.from(batch.items, (_, index) => batch.firstRow + index),
    )
  }
  await run.close?.()
  await rm(folder, { recursive: true, force: true })
}

// ---- documents with what became of them ----

export interface Outcome {
  readonly verdict: 'keep' | 'drop' | 'error'
  readonly reason?: string
  readonly statistics: Statistics
  /** The item as it came out, where it was kept. */
  readonly item?: Item
  readonly error?: PackedError
}

/** Runs one stage over batches of items with unique ids; gives their outcomes in input order. A barrier gives all at the end. */
export async function* examineAll(part: ErasedStage | ErasedBarrier, batches: AsyncIterable<Item[]>, seed = 0): AsyncGenerator<Outcome[]> {
  const outcomes = new Map<string, Outcome>()
  const add = (id: string, more: Partial<Outcome>) =>
    outcomes.set(id, { ...(outcomes.get(id) ?? { verdict: 'keep', statistics: {} }), ...more })
  const context = aloneContext({
    seed,
    recorded: ({ id }, statistics) => add(id, { statistics: { ...outcomes.get(id)?.statistics, ...statistics } }),
    dropped: ({ id }, reason) => add(id, { verdict: 'drop', reason }),
    failed: ({ id }, error) => add(id, { verdict: 'error', error: packError(error) }),
  })
  const settle = (ids: readonly string[], out: readonly Item[]): Outcome[] => {
    for (const item of out) add(item.id, { item })
    const settled = ids.map((id) => outcomes.get(id) ?? LOST)
    outcomes.clear()
    return settled
  }
  if (part.kind === 'map') {
    const run = await part.open(context)
    for await (const batch of batches)
      yield settle(
        batch.map(({ id }) => id),
        await run.process(batch),
      )
    await run.close?.()
    return
  }
  const opened = await openBarrier(part, context)
  const ids: string[] = []
  for await (const batch of batches) {
    await collectBatch(opened, batch, ids.length)
    ids.push(...batch.map(({ id }) => id))
  }
  const out: Item[] = []
  for await (const items of mergeAndApply(part, context, opened, ids.length)) out.push(...items)
  yield settle(ids, out)
}

/** A stage of the user's that neither gave the item out nor said why. */
const LOST: Outcome = {
  verdict: 'error',
  statistics: {},
  error: { code: 'SLUICE_STAGE_LOST', message: 'the stage gave no item and no reason' },
}

// ---- contexts ----

export function aloneContext({ seed = 0, signal = new AbortController().signal, recorded, dropped, failed }: AloneOptions): StageContext {
  return {
    seed,
    signal,
    memoryBytes: MEMORY_BYTES,
    examine: (item, work) => {
      if (!failed) return work()
      try {
        return work()
      } catch (error) {
        failed(item, error)
        return undefined
      }
    },
    record: (item, statistics) => recorded?.(item, statistics),
    drop: (item, reason) => {
      dropped?.(item, reason)
      return false
    },
    artifact: noArtifact,
  }
}

function sourceContext(partition: Partition, signal: AbortSignal) {
  return {
    signal,
    batchBytes: BATCH_BYTES,
    begin: () => true,
    damaged: ({ code, message, offset }: { code: string; message: string; offset: number }) => {
      throw new SluiceError(code, message, {
        where: { source: partition.source, offset },
        fix: 'run it in a pipeline: a run sets damaged records aside and goes on',
      })
    },
    ignored: () => {},
    consumed: () => {},
  }
}

function noArtifact(barrier: string): never {
  throw new SluiceError('SLUICE_ARTIFACT', `this stage needs what the barrier stage "${barrier}" makes in a run`, {
    fix: 'run the two in one pipeline',
  })
}
