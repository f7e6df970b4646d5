// Two pipelines on the same documents: where they disagree, and by which rule. Each document goes through the map stages of
// both, up to the first barrier: what lies behind one depends on all documents, not on this one.

import type { Item, Json } from '../core/document.ts'
import { packError, SluiceError } from '../core/errors.ts'
import { sampleFraction } from '../core/identity.ts'
import type { Partition, Statistics } from '../core/stage.ts'
import type { ErasedRun, ErasedSource, ErasedStage } from '../engine/pipeline.ts'
import type { Plan } from '../engine/plan.ts'
import { isFatal, partError } from '../engine/stage-error.ts'
import { aloneContext } from '../engine/standalone.ts'
import { redactText } from '../pii/redact.ts'
import { thresholdsOf } from './thresholds.ts'

/** Documents read for each one that is taken. */
const READ_AHEAD = 20
const PARTITION_BYTES = 64e6
const BATCH_BYTES = 1 << 20
/** Documents that go through both chains together. */
const BATCH_DOCUMENTS = 64

// ---- the sample ----

export interface DocumentSample {
  /** In the order in which they were read. */
  readonly items: readonly Item[]
  readonly read: number
  /** Of all partitions, how many were looked into. */
  readonly partitionsRead: number
  readonly partitions: number
  readonly damaged: number
}

/**
 * The documents whose ids hash lowest among those of some partitions, themselves in the order of their hashes: the same ones
 * in every call, and without reading a whole crawl for a thousand pages.
 */
export async function sampleDocuments(sources: readonly ErasedSource[], count: number, signal: AbortSignal): Promise<DocumentSample> {
  const planned: { source: ErasedSource; partition: Partition }[] = []
  for (const source of sources)
    for (const partition of await source.partitions({ signal, partitionBytes: PARTITION_BYTES })) planned.push({ source, partition })
  const hashOf = ({ source, range }: Partition) => sampleFraction(`${source}\n${range}`, 'diff')
  planned.sort((a, b) => hashOf(a.partition) - hashOf(b.partition))
  let taken: { item: Item; hash: number; place: number }[] = []
  const found = { read: 0, partitionsRead: 0, partitions: planned.length, damaged: 0 }
  const context = {
    signal,
    batchBytes: BATCH_BYTES,
    begin: () => true,
    damaged: () => void found.damaged++,
    ignored: () => {},
    consumed: () => {},
  }
  for (const { source, partition } of planned) {
    if (found.read >= count * READ_AHEAD) break
    found.partitionsRead++
    for await (const items of source.read(partition, context)) {
      for (const item of items) taken.push({ item, hash: sampleFraction(item.id, 'diff'), place: found.read++ })
      if (taken.length > 2 * count) taken = lowest(taken, count)
      if (found.read >= count * READ_AHEAD) break
    }
  }
  const items = lowest(taken, count)
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item)
  return { items, ...found }
}

function lowest<T extends { readonly hash: number }>(taken: T[], count: number): T[] {
  return taken.sort((a, b) => a.hash - b.hash).slice(0, count)
}

// ---- one pipeline ----

/** What became of a document in one of the pipelines. */
export interface Fate {
  readonly verdict: 'kept' | 'dropped' | 'failed'
  /** Where it ended; empty where it was kept. */
  readonly stage: string
  /** The error's message where it failed. */
  readonly reason: string
  /** The statistic of that stage that lies beyond its limit; undefined where none does, or the stage measures none. */
  readonly decided?: Decided
  /** By `stage.statistic`. */
  readonly statistics: Statistics
  /** As it came out, or as the stage that ended it saw it. */
  readonly item: Item
}

export interface Decided {
  readonly statistic: string
  readonly value: number
  readonly option: string
  readonly limit: number
}

interface NamedStage {
  readonly name: string
  readonly stage: ErasedStage
}

export interface ComparedPipeline {
  readonly plan: Plan
  readonly stages: readonly NamedStage[]
  /** The first barrier and what lies behind it, by name; empty where there is none. */
  readonly notRun: readonly string[]
}

export function comparedPipeline(plan: Plan): ComparedPipeline {
  const last = plan.phases.findIndex(({ end }) => end.kind === 'barrier')
  const phases = last === -1 ? plan.phases : plan.phases.slice(0, last + 1)
  const stages = phases.flatMap(({ steps, stageNames }) =>
    steps.filter((step) => step.kind === 'map').map((stage, index) => ({ name: stageNames[index], stage })),
  )
  const barrier = phases.at(-1)?.end
  const behind = plan.phases.slice(phases.length).flatMap(({ apply, stageNames }) => stageNames.slice(apply ? 1 : 0))
  return { plan, stages, notRun: barrier?.kind === 'barrier' ? [barrier.name, ...behind] : [] }
}

interface Chain {
  /** Fates in the order of the items. */
  readonly judge: (items: Item[]) => Promise<Fate[]>
  readonly close: () => Promise<void>
}

async function openChain({ plan, stages }: ComparedPipeline, signal: AbortSignal): Promise<Chain> {
  let values = new Map<string, Record<string, number>>()
  let ended = new Map<string, Pick<Fate, 'verdict' | 'stage' | 'reason'>>()
  const end = (id: string, fate: Pick<Fate, 'verdict' | 'stage' | 'reason'>) => {
    if (!ended.has(id)) ended.set(id, fate)
  }
  const open = async ({
    name,
    stage,
  }: NamedStage): Promise<{ name: string; run: ErasedRun; fail: (item: Item, error: unknown) => void }> => {
    const fail = (item: Item, error: unknown) => {
      if (isFatal(error)) throw error
      const lacksText = 'text' in item ? '' : 'it has no text: '
      end(item.id, { verdict: 'failed', stage: name, reason: lacksText + redactText(packError(error).message.split('\n')[0]) })
    }
    const context = aloneContext({
      seed: plan.pipeline.seed,
      signal,
      recorded: ({ id }, statistics) => {
        const known = values.get(id)
        for (const statistic in statistics) if (known) known[`${name}.${statistic}`] = statistics[statistic]
      },
      dropped: ({ id }, reason) => end(id, { verdict: 'dropped', stage: name, reason }),
      failed: fail,
    })
    try {
      return { name, run: await stage.open(context), fail }
    } catch (error) {
      throw partError(error, `the stage "${name}"`, { file: plan.file, stage: name })
    }
  }
  const runs: Awaited<ReturnType<typeof open>>[] = []
  for (const stage of stages) runs.push(await open(stage))
  const judge = async (items: Item[]): Promise<Fate[]> => {
    values = new Map(items.map(({ id }) => [id, {}]))
    ended = new Map()
    const seen = new Map(items.map((item) => [item.id, item]))
    let current = items
    for (const { name, run, fail } of runs) {
      const out = await tolerant(current, run, fail)
      const ids = new Set(out.map(({ id }) => id))
      for (const { id } of current)
        if (!ids.has(id)) end(id, { verdict: 'failed', stage: name, reason: 'lost: no verdict and no document' })
      for (const item of out) seen.set(item.id, item)
      current = out.filter(({ id }) => !ended.has(id))
    }
    return items.map(({ id, ...rest }): Fate => {
      const statistics = values.get(id) ?? {}
      const fate = ended.get(id) ?? { verdict: 'kept', stage: '', reason: '' }
      const stage = stages.find(({ name }) => name === fate.stage)
      const decided = fate.verdict === 'dropped' && stage ? decidedBy(stage, statistics) : undefined
      return { ...fate, decided, statistics, item: seen.get(id) ?? { id, ...rest } }
    })
  }
  return {
    judge,
    close: async () => {
      for (const { run } of runs) await run.close?.()
    },
  }
}

/** A stage that throws on a batch gets its items one by one. */
async function tolerant(items: Item[], run: ErasedRun, fail: (item: Item, error: unknown) => void): Promise<Item[]> {
  try {
    return await run.process(items)
  } catch (error) {
    if (items.length > 1) {
      const out: Item[] = []
      for (const item of items) out.push(...(await tolerant([item], run, fail)))
      return out
    }
    fail(items[0], error)
    return []
  }
}

/** The first statistic of the stage, in the order measured, that lies beyond its limit. */
function decidedBy({ name, stage }: NamedStage, statistics: Statistics): Decided | undefined {
  for (const [key, value] of ownStatistics(name, statistics)) {
    for (const { option, value: limit, drops } of thresholdsOf({ name, options: stage.options }, key))
      if (drops === 'below' ? value < limit : value > limit) return { statistic: key, value, option, limit }
  }
  return undefined
}

/** Of one stage, without its name. */
export function ownStatistics(stage: string, statistics: Statistics): [name: string, value: number][] {
  const prefix = `${stage}.`
  return Object.entries(statistics).flatMap(([name, value]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), value]] : []))
}

// ---- both ----

export const CELLS = ['same', 'text', 'onlyA', 'onlyB', 'dropped', 'reason', 'failed'] as const
/**
 * `same`: kept by both, same text. `text`: kept by both, other text. `onlyA`, `onlyB`: kept by one. `dropped`: dropped by both
 * for the same reason. `reason`: dropped by both, for different ones. `failed`: a stage of either threw.
 */
export type Cell = (typeof CELLS)[number]

export interface Compared {
  readonly cell: Cell
  readonly a: Fate
  readonly b: Fate
}

/** @throws SluiceError `SLUICE_DIFF_TYPES` where a pipeline fails on all documents: they are not what it takes */
export async function compareOn(items: readonly Item[], pipelines: readonly [ComparedPipeline, ComparedPipeline], signal: AbortSignal) {
  const [a, b] = [await openChain(pipelines[0], signal), await openChain(pipelines[1], signal)]
  const compared: Compared[] = []
  for (let start = 0; start < items.length; start += BATCH_DOCUMENTS) {
    signal.throwIfAborted()
    const batch = items.slice(start, start + BATCH_DOCUMENTS)
    const [ofA, ofB] = [await a.judge(batch), await b.judge(batch)]
    for (const [index, fate] of ofA.entries()) compared.push({ cell: cellOf(fate, ofB[index]), a: fate, b: ofB[index] })
  }
  await a.close()
  await b.close()
  for (const [side, pipeline] of (['a', 'b'] as const).map((side, index) => [side, pipelines[index]] as const)) {
    const fates = compared.map((both) => both[side])
    if (fates.length > 0 && fates.every(({ verdict }) => verdict === 'failed')) throw wrongType(fates[0], pipeline)
  }
  return compared
}

function wrongType({ stage, reason, item }: Fate, { plan }: ComparedPipeline): SluiceError {
  const kind = 'html' in item ? 'pages' : 'tokens' in item ? 'tokenized documents' : 'documents with a text'
  return new SluiceError('SLUICE_DIFF_TYPES', `the stage "${stage}" fails on every document of the sample: ${reason}`, {
    where: { file: plan.file, stage, source: item.source },
    fix: `it was given ${kind}: compare pipelines that take the same, or give --documents that both take`,
  })
}

function cellOf(a: Fate, b: Fate): Cell {
  if (a.verdict === 'failed' || b.verdict === 'failed') return 'failed'
  if (a.verdict === 'kept') return b.verdict === 'dropped' ? 'onlyA' : isSame(contentOf(a.item), contentOf(b.item)) ? 'same' : 'text'
  if (b.verdict === 'kept') return 'onlyB'
  return verdictOf(a) === verdictOf(b) ? 'dropped' : 'reason'
}

/** `kept`, or the stage and the reason; a stage's second use has its first one's reasons. */
export function verdictOf({ verdict, stage, reason }: Fate): string {
  if (verdict === 'kept') return 'kept'
  return verdict === 'failed' ? `${stage}: failed` : `${stage}: ${reason}`
}

export function textOf(item: Item): string {
  return 'text' in item && typeof item.text === 'string' ? item.text : ''
}

/** What a pipeline made of it: text, tokens, or the page as it came. */
function contentOf(item: Item): string | ArrayLike<number> {
  if ('tokens' in item && (item.tokens instanceof Uint16Array || item.tokens instanceof Uint32Array)) return item.tokens
  if ('html' in item && item.html instanceof Uint8Array) return item.html
  return textOf(item)
}

function isSame(a: string | ArrayLike<number>, b: string | ArrayLike<number>): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b
  return a === b || (a.length === b.length && Array.prototype.every.call(a, (value: number, index: number) => value === b[index]))
}

/** How one pipeline's verdicts meet the other's, the most frequent first. */
export function transitionsOf(compared: readonly Compared[]): { a: string; b: string; documents: number }[] {
  const counts = new Map<string, { a: string; b: string; documents: number }>()
  for (const { a, b } of compared) {
    const pair = { a: verdictOf(a), b: verdictOf(b), documents: 0 }
    const key = JSON.stringify([pair.a, pair.b])
    const known = counts.get(key) ?? pair
    known.documents++
    counts.set(key, known)
  }
  return [...counts.values()].sort((x, y) => y.documents - x.documents || (x.a + x.b < y.a + y.b ? -1 : 1))
}

/** Documents of a cell to read: one of each pair of verdicts, then a second of each, and so on. */
export function examplesOf(compared: readonly Compared[], cell: Cell, count: number): Compared[] {
  const before = new Map<string, number>()
  const ranked = compared
    .filter((both) => both.cell === cell)
    .map((both) => {
      const pair = JSON.stringify([verdictOf(both.a), verdictOf(both.b)])
      const rank = before.get(pair) ?? 0
      before.set(pair, rank + 1)
      return { both, rank }
    })
  return ranked
    .sort((x, y) => x.rank - y.rank)
    .slice(0, count)
    .map(({ both }) => both)
}

/** Lines that only one of the texts has, as often as it has them more, in their order. Blank lines are none. */
export function lineDifference(a: string, b: string): { onlyA: string[]; onlyB: string[] } {
  return { onlyA: surplus(a, b), onlyB: surplus(b, a) }
}

function surplus(text: string, other: string): string[] {
  const counts = new Map<string, number>()
  for (const line of other.split('\n')) counts.set(line, (counts.get(line) ?? 0) + 1)
  return text.split('\n').filter((line) => {
    const left = counts.get(line) ?? 0
    counts.set(line, left - 1)
    return left <= 0 && line.trim() !== ''
  })
}

/** How the other pipeline stands to the rule that decided: its own value and limit, where it has the stage. */
export function sameRuleIn({ stages }: ComparedPipeline, { stage, decided }: Fate, other: Fate): Decided | undefined {
  const own = stages.find(({ name }) => name === stage)
  const value = decided && other.statistics[`${stage}.${decided.statistic}`]
  if (!own || !decided || value === undefined) return undefined
  const options: Json = own.stage.options
  const threshold = thresholdsOf({ name: stage, options }, decided.statistic).find(({ option }) => option === decided.option)
  return threshold && { statistic: decided.statistic, value, option: threshold.option, limit: threshold.value }
}
