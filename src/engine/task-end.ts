// What ends a phase in one task: a sink's shards, or the items for the next phase, with a barrier's collection of them.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Item } from '../core/document.ts'
import { packError, SluiceError } from '../core/errors.ts'
import type { Shard } from '../core/stage.ts'
import { ItemFileWriter } from '../io/item-file.ts'
import { makeFolder } from '../io/make-folder.ts'
import type { ErasedBarrier, ErasedCollectRun, ErasedSink } from './pipeline.ts'
import type { SinkOutput } from './run-folder.ts'
import { blaming, isFatal } from './stage-error.ts'
import { artifact, stageContext, type TaskScope } from './task-scope.ts'

export interface TaskEnd {
  write(items: Item[]): Promise<void>
  close(): Promise<{ rows: number; output?: SinkOutput }>
}

export async function openEnd(scope: TaskScope): Promise<TaskEnd> {
  const { end } = scope.phase
  if (end.kind === 'sink') return await sinkEnd(scope, end)
  return await itemsEnd(scope, end.kind === 'barrier' ? await openCollect(scope, end) : undefined)
}

async function sinkEnd(scope: TaskScope, sink: ErasedSink): Promise<TaskEnd> {
  const opened = await openSink(scope, sink)
  let rows = 0
  return {
    write: (items) => {
      rows += items.length
      return opened.write(items)
    },
    close: async () => ({ rows, output: await opened.close() }),
  }
}

async function itemsEnd({ folder, request, host }: TaskScope, collect: ErasedCollectRun | undefined): Promise<TaskEnd> {
  const { partition, attempt } = request
  const writer = await ItemFileWriter.create(folder.data('items', partition.id, attempt))
  const write = <T>(work: () => Promise<T>) =>
    blaming('keeping documents for the next phase, whose fields must be what their type says,', { source: partition.input.source }, work)
  let rows = 0
  return {
    write: async (items) => {
      const ordinals = Uint32Array.from(items, (_, index) => rows + index)
      rows += items.length
      await write(() => writer.write(items))
      await collect?.process(items, ordinals)
      host.notes.idle()
    },
    close: async () => {
      await write(() => writer.close())
      await collect?.close()
      return { rows }
    },
  }
}

/**
 * A document that a barrier throws on while it collects already has its row, so it cannot leave here: the task fails with
 * the document noted, and the supervisor quarantines it before the next attempt.
 */
async function openCollect(scope: TaskScope, barrier: ErasedBarrier): Promise<ErasedCollectRun> {
  const { folder, request, host, phase } = scope
  const { id, input } = request.partition
  const where = { stage: barrier.name, source: input.source }
  const blame = <T>(work: () => T | Promise<T>) => blaming(`the barrier "${barrier.name}"`, where, work)
  const stage = phase.stageNames.length
  const run = await blame(() =>
    barrier.collect({
      ...stageContext(scope, stage),
      path: folder.data('collected', id, request.attempt),
      examine: (item, work) => {
        host.notes.working(stage, item.offset, item.id)
        try {
          return work()
        } catch (cause) {
          if (isFatal(cause)) throw cause
          throw new SluiceError('SLUICE_COLLECT_FAILED', host.redact(packError(cause).message.split('\n')[0]), {
            where: { ...where, offset: item.offset },
            fix: 'sluice run sets the document aside and goes on',
            cause,
          })
        }
      },
    }),
  )
  return { process: (items, rows) => blame(() => run.process(items, rows)), close: () => blame(() => run.close()) }
}

export async function openSink(
  { plan, request, host }: TaskScope,
  sink: ErasedSink,
): Promise<{ write: (items: Item[]) => Promise<void>; close: () => Promise<SinkOutput> }> {
  const { partition, attempt } = request
  const path = resolve(sink.path)
  const folder = join(path, '.attempts', `${partition.id}@${attempt}`)
  const blame = <T>(work: () => Promise<T>) => blaming(`the sink "${sink.name}"`, { folder: path, source: partition.input.source }, work)
  await rm(folder, { recursive: true, force: true })
  await makeFolder(folder)
  const run = await blame(() =>
    sink.open({
      signal: host.signal,
      folder,
      partition: partition.id,
      planHash: plan.hash,
      artifact: (barrier) => artifact(request, barrier),
    }),
  )
  return {
    write: (items) => blame(() => run.write(items)),
    close: async () => {
      const shards = await blame(() => run.close())
      return { path, folder, shards: await Promise.all(shards.map((shard) => digest(folder, shard))) }
    },
  }
}

async function digest(folder: string, shard: Shard) {
  const hash = createHash('sha256')
  await pipeline(createReadStream(join(folder, shard.name)), hash)
  return { ...shard, sha256: hash.digest('hex') }
}
