// One task: all of one partition through one phase, inside one worker. Input (a source or the phase before) → fused
// stages → what ends the phase, composed by Node streams, so that back-pressure, errors and aborts are Node's own. The
// stages are one Transform: twelve streams in a row would hold hundreds of batches alive, one holds a few.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Readable, Transform, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Item } from '../core/document.ts'
import { SluiceError, systemCode } from '../core/errors.ts'
import { documentId, sampleFraction } from '../core/identity.ts'
import type { Partition, Shard, SourceContext, StageContext } from '../core/stage.ts'
import { ItemFileWriter, readItemFile } from '../io/item-file.ts'
import type { NoteSlot } from './notes.ts'
import type { ErasedBarrier, ErasedCollectRun, ErasedRowRun, ErasedSink, ErasedSinkRun } from './pipeline.ts'
import type { Phase, Plan } from './plan.ts'
import { ReceiptWriter } from './receipt-writer.ts'
import { Receipts } from './receipts.ts'
import type { Marker, PhaseFolder, SinkOutput } from './run-folder.ts'
import { addCount, NOTES, type QuarantineNote, type Summary } from './summary.ts'

/** Text per batch: what crosses one await together. */
const BATCH_BYTES = 1 << 20

/** What a worker is asked to do; plain data. */
export interface TaskRequest {
  readonly phase: number
  readonly phaseHash: string
  readonly partition: { readonly id: string; readonly sourceIndex: number; readonly index: number; readonly input: Partition }
  readonly attempt: string
  /** Items file of the phase before; absent in the first phase. */
  readonly upstream?: string
  /** Folder of the merged barrier that this phase applies. */
  readonly merged?: string
  /** Merged folders of all barriers before, by name. */
  readonly artifacts: Readonly<Record<string, string>>
  /** At most so many documents of this partition. */
  readonly limit?: number
  readonly quarantined: readonly QuarantineNote[]
  readonly memoryBytes: number
  /** Only these documents go through, and nothing is written: the trial of suspects. */
  readonly suspects?: readonly string[]
}

/** What the surroundings of a task give it. */
export interface TaskHost {
  readonly signal: AbortSignal
  readonly notes: NoteSlot
  /** Counts up while the task works. */
  readonly progress: (documents: number, inputBytes: number) => void
  readonly redact: (text: string) => string
}

interface Batch {
  readonly items: Item[]
  /** Of the items in the phase before's file; empty in the first phase. */
  readonly rows: Uint32Array
}

/** @returns the marker that makes the task done once it is written; undefined for a trial */
export async function runTask(plan: Plan, phaseFolder: PhaseFolder, request: TaskRequest, host: TaskHost): Promise<Marker | undefined> {
  const task = new Task(plan, phaseFolder, request, host)
  return await task.run()
}

class Task {
  readonly #plan: Plan
  readonly #phase: Phase
  readonly #folder: PhaseFolder
  readonly #request: TaskRequest
  readonly #host: TaskHost
  readonly #receipts: Receipts
  readonly #quarantined: ReadonlyMap<string, QuarantineNote>
  readonly #isTrial: boolean
  readonly #outputs: SinkOutput[] = []
  #taken = 0

  constructor(plan: Plan, folder: PhaseFolder, request: TaskRequest, host: TaskHost) {
    this.#plan = plan
    this.#phase = plan.phases[request.phase]
    this.#folder = folder
    this.#request = request
    this.#host = host
    this.#receipts = new Receipts(this.#phase.stageNames, plan.choices, host.redact)
    this.#quarantined = new Map(request.quarantined.map((note) => [note.id, note]))
    this.#isTrial = request.suspects !== undefined
  }

  get #summary(): Summary {
    return this.#receipts.summary
  }

  async run(): Promise<Marker | undefined> {
    const { partition, attempt } = this.#request
    const start = performance.now()
    this.#host.notes.enter(this.#phase.index, partition.index)
    const stages = await this.#openStages()
    const end = this.#isTrial ? discard() : await this.#openEnd()
    try {
      await pipeline(
        Readable.from(this.#input(), { objectMode: true, highWaterMark: 1 }),
        new Transform({
          objectMode: true,
          highWaterMark: 1,
          transform: (batch: Batch, _encoding, done) => {
            stages.process(batch).then((items) => done(null, items), done)
          },
        }),
        new Writable({
          objectMode: true,
          highWaterMark: 1,
          write: (items: Item[], _encoding, done) => void end.write(items).then(() => done(), done),
        }),
        { signal: this.#host.signal },
      )
      await stages.close()
      const rows = await end.close()
      this.#summary.seconds = (performance.now() - start) / 1000
      if (this.#isTrial) return undefined
      return { partition: partition.id, attempt, input: partition.input, rows, outputs: this.#outputs, summary: this.#summary }
    } finally {
      this.#host.notes.idle()
    }
  }

  // ---- input ----

  async *#input(): AsyncGenerator<Batch> {
    const { upstream } = this.#request
    if (upstream === undefined) {
      for await (const items of this.#plan.pipeline.sources[this.#request.partition.sourceIndex].read(
        this.#request.partition.input,
        this.#sourceContext(),
      )) {
        this.#summary.records += items.length
        const chosen = this.#choose(items)
        if (chosen.length > 0) yield { items: chosen, rows: new Uint32Array(0) }
        if (this.#isLimitReached()) return
      }
    } else {
      for await (const { items, firstRow } of readItemFile(upstream, BATCH_BYTES)) {
        yield { items, rows: Uint32Array.from(items, (_, index) => firstRow + index) }
      }
    }
  }

  /** `--sample` and `--limit`: what is left out counts as ignored. */
  #choose(items: Item[]): Item[] {
    const { sample } = this.#plan.choices
    const { limit, suspects } = this.#request
    let chosen = sample === undefined ? items : items.filter(({ id }) => sampleFraction(id, 'sample') < sample)
    if (limit !== undefined) chosen = chosen.slice(0, Math.max(0, limit - this.#taken))
    if (suspects) chosen = chosen.filter(({ id }) => suspects.includes(id))
    if (chosen.length < items.length) addCount(this.#summary.ignored, 'not_sampled', items.length - chosen.length)
    this.#taken += chosen.length
    return chosen
  }

  #isLimitReached(): boolean {
    return this.#request.limit !== undefined && this.#taken >= this.#request.limit
  }

  #sourceContext(): SourceContext {
    const { notes, progress, signal, redact } = this.#host
    return {
      signal,
      batchBytes: BATCH_BYTES,
      begin: (source, offset) => {
        notes.reading(offset)
        if (this.#quarantined.size === 0) return true
        const note = this.#quarantined.get(documentId(source, offset))
        if (!note) return true
        this.#summary.records++
        this.#receipts.skipped(note)
        return false
      },
      damaged: (damage) => {
        this.#summary.records++
        this.#summary.damaged++
        this.#summary.damagedBytes += damage.length
        const source = this.#request.partition.input.source
        if (this.#summary.damages.length < NOTES) this.#summary.damages.push({ ...damage, message: redact(damage.message), source })
      },
      ignored: (reason, count = 1) => {
        this.#summary.records += count
        addCount(this.#summary.ignored, reason, count)
      },
      consumed: (bytes) => {
        this.#summary.inputBytes += bytes
        progress(0, bytes)
      },
    }
  }

  // ---- stages ----

  async #openStages(): Promise<{ process: (batch: Batch) => Promise<Item[]>; close: () => Promise<void> }> {
    const { apply, steps } = this.#phase
    const runs: { process: (items: Item[], rows: Uint32Array) => Promise<Item[]>; close?: () => Promise<void> }[] = []
    let stage = 0
    if (apply) runs.push(await this.#openApply(apply, stage++))
    for (const step of steps) {
      if (step.kind === 'sink') runs.push(await this.#openTee(step))
      else {
        const run = await step.open(this.#context(stage))
        const index = stage++
        runs.push({ process: (items) => this.#through(index, items, (batch) => run.process(batch)), close: run.close?.bind(run) })
      }
    }
    const writer = this.#isTrial
      ? undefined
      : await ReceiptWriter.create(this.#folder, this.#request.partition.id, this.#request.attempt, this.#plan.choices)
    return {
      process: async ({ items, rows }) => {
        const known = apply ? items : this.#withoutQuarantined(items)
        this.#receipts.arrived(known)
        let current = known
        for (const run of runs) current = await run.process(current, rows)
        const survivors = current.filter((item) => this.#receipts.isAlive(item))
        const { receipts, rejected } = this.#receipts.finish(survivors)
        await writer?.write(receipts, rejected)
        this.#host.progress(items.length, 0)
        return survivors
      },
      close: async () => {
        for (const run of runs) await run.close?.()
        await writer?.close()
      },
    }
  }

  /** One stage over one batch: notes, counts, times. A stage that throws on a batch gets its items one by one. */
  async #through(stage: number, items: Item[], process: (batch: Item[]) => Item[] | Promise<Item[]>): Promise<Item[]> {
    this.#receipts.entered(stage, items)
    const start = performance.now()
    const out = await this.#tolerant(stage, items, process)
    this.#receipts.left(stage, out, (performance.now() - start) / 1000)
    return out
  }

  async #tolerant(stage: number, items: Item[], process: (batch: Item[]) => Item[] | Promise<Item[]>): Promise<Item[]> {
    try {
      if (items.length === 1) this.#host.notes.working(stage, items[0].offset, items[0].id)
      return await process(items)
    } catch (error) {
      if (isFatal(error) || this.#host.signal.aborted) throw error
      if (items.length > 1) {
        const out: Item[] = []
        for (const item of items) out.push(...(await this.#tolerant(stage, [item], process)))
        return out
      }
      this.#receipts.quarantine(stage, items[0], error)
      return []
    }
  }

  /** The apply of a barrier sees every row, whatever came of it since; the quarantined leave behind it. */
  async #openApply(barrier: ErasedBarrier, stage: number) {
    const { merged, partition } = this.#request
    if (merged === undefined) throw new SluiceError('SLUICE_TASK', `phase ${this.#phase.index} has no merged folder of ${barrier.name}`)
    const run: ErasedRowRun = await barrier.apply({ ...this.#context(stage), merged, partition: partition.index })
    return {
      process: async (items: Item[], rows: Uint32Array) => {
        const out = await this.#through(stage, items, (batch) => run.process(batch, rows))
        return this.#withoutQuarantined(out, stage)
      },
      close: run.close?.bind(run),
    }
  }

  #withoutQuarantined(items: Item[], stage?: number): Item[] {
    if (this.#quarantined.size === 0) return this.#onlySuspects(items)
    return items.filter((item) => {
      const note = this.#quarantined.get(item.id)
      if (!note) return true
      if (stage === undefined) this.#receipts.skipped(note)
      else this.#receipts.quarantine(stage, item, new Error(note.message), note.cause)
      return false
    })
  }

  #onlySuspects(items: Item[]): Item[] {
    const { suspects } = this.#request
    return suspects ? items.filter(({ id }) => suspects.includes(id)) : items
  }

  #context(stage: number): StageContext {
    const { signal, notes } = this.#host
    return {
      seed: this.#plan.pipeline.seed,
      signal,
      memoryBytes: this.#request.memoryBytes,
      examine: (item, work) => {
        notes.working(stage, item.offset, item.id)
        try {
          return work()
        } catch (error) {
          if (isFatal(error)) throw error
          this.#receipts.quarantine(stage, item, error)
          return undefined
        }
      },
      record: (item, statistics) => this.#receipts.record(stage, item, statistics),
      drop: (item, reason) => this.#receipts.drop(stage, item, reason),
      artifact: (barrier) => this.#artifact(barrier),
    }
  }

  #artifact(barrier: string): string {
    const folder = this.#request.artifacts[barrier]
    if (folder !== undefined) return folder
    throw new SluiceError('SLUICE_ARTIFACT', `no barrier stage "${barrier}" ran before this stage`, {
      fix: `put it into the pipeline in front: there are ${Object.keys(this.#request.artifacts).join(', ') || 'none'}`,
    })
  }

  // ---- ends ----

  async #openEnd(): Promise<{ write: (items: Item[]) => Promise<void>; close: () => Promise<number> }> {
    const { end } = this.#phase
    if (end.kind === 'sink') {
      const sink = await this.#openSink(end)
      let rows = 0
      return {
        write: (items) => {
          rows += items.length
          return sink.write(items)
        },
        close: async () => {
          await sink.close()
          return rows
        },
      }
    }
    const { partition, attempt } = this.#request
    const writer = await ItemFileWriter.create(this.#folder.data('items', partition.id, attempt))
    const collect: ErasedCollectRun | undefined =
      end.kind === 'barrier'
        ? await end.collect({
            ...this.#context(0),
            examine: (_item, work) => work(),
            path: this.#folder.data('collected', partition.id, attempt),
          })
        : undefined
    let rows = 0
    return {
      write: async (items) => {
        const ordinals = Uint32Array.from(items, (_, index) => rows + index)
        rows += items.length
        await writer.write(items)
        await collect?.process(items, ordinals)
      },
      close: async () => {
        await writer.close()
        await collect?.close()
        return rows
      },
    }
  }

  async #openTee(sink: ErasedSink) {
    if (this.#isTrial) return { process: async (items: Item[]) => items }
    const opened = await this.#openSink(sink)
    return {
      process: async (items: Item[]) => {
        await opened.write(items.filter((item) => this.#receipts.isAlive(item)))
        return items
      },
      close: opened.close,
    }
  }

  async #openSink(sink: ErasedSink): Promise<{ write: (items: Item[]) => Promise<void>; close: () => Promise<void> }> {
    const { partition, attempt } = this.#request
    const path = resolve(sink.path)
    const folder = join(path, '.attempts', `${partition.id}@${attempt}`)
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder, { recursive: true })
    const run: ErasedSinkRun = await sink.open({
      signal: this.#host.signal,
      folder,
      partition: partition.id,
      planHash: this.#plan.hash,
      artifact: (barrier) => this.#artifact(barrier),
    })
    return {
      write: (items) => run.write(items),
      close: async () => {
        const shards = await run.close()
        this.#outputs.push({ path, folder, shards: await Promise.all(shards.map((shard) => digest(folder, shard))) })
      },
    }
  }
}

async function digest(folder: string, shard: Shard) {
  const hash = createHash('sha256')
  await pipeline(createReadStream(join(folder, shard.name)), hash)
  return { ...shard, sha256: hash.digest('hex') }
}

function discard() {
  return { write: async () => {}, close: async () => 0 }
}

/** Not the document's fault: the disk, the rights, the memory. */
function isFatal(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EACCES', 'EROFS', 'EMFILE', 'EIO', 'SLUICE_DISK_FULL', 'SLUICE_ARTIFACT', 'ABORT_ERR'].includes(
    systemCode(error) ?? '',
  )
}
