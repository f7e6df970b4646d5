// Clusters of duplicates as data: which documents a deduplication took for one, which of them stays, how similar they are
// and what text they share. Read from the run's working files: before `sluice clean`.

import { existsSync } from 'node:fs'
import type { Item } from '../core/document.ts'
import { SluiceError } from '../core/errors.ts'
import { fineWebParameters, shingleHashes } from '../dedup/minhash.ts'
import { readMembers } from '../dedup/verdicts.ts'
import { readItemFile } from '../io/item-file.ts'
import { redactText } from '../pii/redact.ts'
import { simplify } from '../text/simplify.ts'
import { splitWords } from '../text/words.ts'
import type { AuditedPhase, AuditedRun } from './read-run.ts'

/** Last merge step of the stages that group documents. */
const lastSteps: Readonly<Record<string, string>> = { minhashDedup: 'clusters', exactDedup: 'verdicts' }
const READ_BYTES = 1 << 22

export interface ClusterMember {
  readonly id: string
  readonly url?: string
  readonly source: string
  readonly offset: number
  readonly fate: 'stays' | 'duplicate' | 'earlier'
  readonly text: string
}

interface Place {
  readonly partition: number
  readonly row: number
  readonly fate: ClusterMember['fate']
}
export type Cluster = readonly Place[]

/** What groups documents in a run. */
export class Clusters {
  readonly stage: string
  readonly #phase: AuditedPhase
  readonly #merged: string
  #all: readonly Cluster[] | undefined

  /** @throws SluiceError `SLUICE_AUDIT_CHOICE` where the run has no such stage, has not come so far, or is cleaned */
  constructor(run: AuditedRun, stage: string | undefined) {
    const grouping = run.phases.filter(({ end }) => lastSteps[end] !== undefined)
    const phase = grouping.find(({ end }) => stage === undefined || end === stage)
    if (!phase)
      throw new SluiceError('SLUICE_AUDIT_CHOICE', `the run has no ${stage ?? 'stage that groups documents'}`, {
        where: { folder: run.path },
        fix: grouping.length > 0 ? `it has ${grouping.map(({ end }) => end).join(', ')}` : 'exactDedup and minhashDedup do',
      })
    const merged = phase.merged(lastSteps[phase.end])
    if (!merged || !existsSync(merged) || !phase.items.every((file) => existsSync(file)))
      throw new SluiceError('SLUICE_AUDIT_CHOICE', `${phase.end} has left nothing to read`, {
        where: { folder: run.path },
        fix: 'finish the run, and look before sluice clean: afterwards only a run done anew can tell',
      })
    this.stage = phase.end
    this.#phase = phase
    this.#merged = merged
  }

  /** In the order of their first members. Held in memory: their places, not their documents. */
  get all(): readonly Cluster[] {
    this.#all ??= this.#group()
    return this.#all
  }

  #group(): Cluster[] {
    const groups = new Map<string, Place[]>()
    for (const partition of this.#phase.items.keys())
      for (const { row, group, fate } of readMembers(this.#merged, partition)) {
        const place = { partition, row, fate }
        const known = groups.get(group)
        if (known) known.push(place)
        else groups.set(group, [place])
      }
    return [...groups.values()]
  }

  /** All members of all clusters in the order of the input, one pass, nothing held. */
  async *eachMember(): AsyncGenerator<Omit<ClusterMember, 'text'> & { readonly cluster: string; readonly size: number }> {
    for (const [partition, file] of this.#phase.items.entries()) {
      const members = new Map(readMembers(this.#merged, partition).map((member) => [member.row, member]))
      if (members.size === 0) continue
      for await (const { items, firstRow } of readItemFile(file, READ_BYTES))
        for (const [i, { id, url, source, offset }] of items.entries()) {
          const found = members.get(firstRow + i)
          if (found) yield { cluster: found.group, size: found.size, fate: found.fate, id, url: url && redactText(url), source, offset }
        }
    }
  }

  /** The most members first; of equals the first. */
  largest(count: number): Cluster[] {
    return this.all.toSorted((a, b) => b.length - a.length).slice(0, count)
  }

  /** The cluster of a document; undefined where it is in none. */
  async ofDocument(id: string): Promise<Cluster | undefined> {
    for (const [partition, file] of this.#phase.items.entries())
      for await (const { items, firstRow } of readItemFile(file, READ_BYTES)) {
        const at = items.findIndex((item) => item.id === id)
        if (at >= 0)
          return this.all.find((cluster) => cluster.some((place) => place.partition === partition && place.row === firstRow + at))
      }
    throw new SluiceError('SLUICE_AUDIT_CHOICE', `no document ${id} came to ${this.stage}`, { fix: 'ids are those of receipts and shards' })
  }

  /** Members of some clusters, a list each, read in one pass over the documents. */
  async members(clusters: readonly Cluster[]): Promise<ClusterMember[][]> {
    const wanted = new Map<number, Map<number, { readonly cluster: number; readonly place: Place }>>()
    for (const [cluster, places] of clusters.entries())
      for (const place of places) {
        const rows = wanted.get(place.partition) ?? new Map()
        wanted.set(place.partition, rows.set(place.row, { cluster, place }))
      }
    const members: ClusterMember[][] = clusters.map(() => [])
    for (const [partition, rows] of [...wanted].sort(([a], [b]) => a - b))
      for await (const { items, firstRow } of readItemFile(this.#phase.items[partition], READ_BYTES))
        for (const [i, item] of items.entries()) {
          const found = rows.get(firstRow + i)
          if (found) members[found.cluster].push(memberOf(item, found.place))
        }
    return members
  }
}

function memberOf(item: Item, { fate }: Place): ClusterMember {
  const { id, url, source, offset } = item
  return { id, url: url && redactText(url), source, offset, fate, text: 'text' in item && typeof item.text === 'string' ? item.text : '' }
}

/** Exact Jaccard similarity of two texts' sets of five-word shingles; 1 for equal texts. */
export function similarity(a: string, b: string): number {
  if (a === b) return 1
  const [first, second] = [a, b].map((text) => new Set(shingleHashes(splitWords(simplify(text)), fineWebParameters)))
  const common = first.intersection(second).size
  return common === 0 ? 0 : common / (first.size + second.size - common)
}

/** Words of a text that are looked at for what it shares. */
const MOST_WORDS = 4000

/** The longest stretch of words that two texts share, as the first has it, personal data taken out. */
export function sharedText(a: string, b: string): string {
  const [first, second] = [a, b].map((text) => text.split(/\s+/).slice(0, MOST_WORDS))
  let best = { length: 0, end: 0 }
  let before = new Uint32Array(second.length + 1)
  for (const [i, word] of first.entries()) {
    const lengths = new Uint32Array(second.length + 1)
    for (let j = 0; j < second.length; j++)
      if (second[j] === word) {
        lengths[j + 1] = before[j] + 1
        if (lengths[j + 1] > best.length) best = { length: lengths[j + 1], end: i + 1 }
      }
    before = lengths
  }
  return redactText(first.slice(best.end - best.length, best.end).join(' '))
}
