// Receipts: what every rule measured on every document, and what became of it. The task's only place where documents are
// counted. A dropped document goes no further, except a deterministic few, the shadows, on which the remaining rules of
// the phase still run, so that their receipts are complete; a shadow counts nowhere and reaches no sink.

import { type Document, type Item, itemBytes } from '../core/document.ts'
import { packError, SluiceError } from '../core/errors.ts'
import { sampleFraction } from '../core/identity.ts'
import type { Statistics } from '../core/stage.ts'
import type { RunChoices } from './choices.ts'
import { addCount, addStatistics, addSubset, emptySummary, NOTES, type QuarantineNote, type Summary } from './summary.ts'

/** Dropped documents of one reason that are kept for reading whatever the sample says, per partition. */
const FIRST_OF_REASON = 20
const SAMPLE = 0.01

/** Addresses without a sign of an e-mail address, a login, a number or a key are not looked at closer: that takes 11 µs. */
const mayBePersonal = /@|%40|\d[\d.%+-]{6}|\w{20}/

export interface Receipt {
  readonly id: string
  readonly source: string
  readonly offset: number
  readonly url?: string
  outcome: 'kept' | 'dropped' | 'quarantined'
  /** Where it ended; empty where it was kept. */
  stage: string
  reason: string
  isShadow: boolean
  /** Stages that gave it out. */
  passed: number
  /** By `stage.statistic`. */
  readonly values: Map<string, number>
}

export interface Rejected {
  readonly item: Item
  readonly stage: string
  readonly reason: string
  readonly statistics: Statistics
}

export class Receipts {
  readonly summary: Summary
  readonly #choices: RunChoices
  readonly #stageNames: readonly string[]
  readonly #redact: (text: string) => string
  /** Of the batch in hand. */
  #open = new Map<string, Receipt>()
  #rejected: Rejected[] = []
  readonly #keptOfReason = new Map<string, number>()

  constructor(stageNames: readonly string[], choices: RunChoices, redact: (text: string) => string) {
    this.summary = emptySummary(stageNames)
    this.#stageNames = stageNames
    this.#choices = choices
    this.#redact = redact
  }

  arrived(items: readonly Item[]): void {
    this.summary.documents += items.length
    for (const item of items) {
      const { id, source, offset, url, subset } = item
      if (subset !== undefined) addSubset(this.summary.subsets, subset, { documents: 1 })
      if (this.#open.has(id)) throw itemsError('the source gave two documents of one id', 'source', item)
      const shown = url !== undefined && mayBePersonal.test(url) && this.#choices.rejectedText !== 'raw' ? this.#redact(url) : url
      const nothing = { outcome: 'kept', stage: '', reason: '', isShadow: false, passed: 0 } as const
      this.#open.set(id, { id, source, offset, url: shown, ...nothing, values: new Map() })
    }
  }

  /** Still counted where it is: neither dropped nor quarantined. */
  isAlive(item: Item): boolean {
    return this.#open.get(item.id)?.outcome === 'kept'
  }

  entered(stage: number, items: readonly Item[]): void {
    const counts = this.summary.stages[stage]
    for (const item of items) {
      if (!this.isAlive(item)) continue
      counts.in++
      counts.bytesIn += itemBytes(item)
    }
  }

  /**
   * @throws SluiceError `SLUICE_STAGE_ITEMS` where a document is not among `out` though nobody dropped it, is there twice, or
   * came from nowhere: sums alone would not tell where one is lost and another doubled
   */
  left(stage: number, items: readonly Item[], out: readonly Item[], seconds: number): void {
    const counts = this.summary.stages[stage]
    counts.seconds += seconds
    for (const item of out) {
      if (item instanceof Promise) throw itemsError('gave out a promise: what filter and map call is synchronous', counts.name, items[0])
      const receipt = this.#open.get(item?.id)
      if (!receipt) throw itemsError('gave out something that is none of the documents it got', counts.name, items[0])
      if (receipt.passed > stage) throw itemsError('gave out a document twice', counts.name, item)
      receipt.passed = stage + 1
      if (receipt.outcome !== 'kept') continue
      counts.kept++
      counts.bytesOut += itemBytes(item)
    }
    for (const item of items) {
      const receipt = this.#open.get(item.id)
      if (receipt?.outcome === 'kept' && receipt.passed <= stage) throw itemsError('lost a document', counts.name, item)
    }
  }

  record(stage: number, item: Item, statistics: Statistics): void {
    const receipt = this.#open.get(item.id)
    if (!receipt) return
    if (receipt.outcome === 'kept') addStatistics(this.summary.stages[stage], statistics)
    const prefix = this.#stageNames[stage]
    for (const name in statistics) receipt.values.set(`${prefix}.${name}`, statistics[name])
  }

  /** @returns true where the item goes on as a shadow */
  drop(stage: number, item: Item, reason: string): boolean {
    const receipt = this.#open.get(item.id)
    if (!receipt) return false
    if (receipt.outcome !== 'kept') return receipt.isShadow
    receipt.outcome = 'dropped'
    receipt.stage = this.#stageNames[stage]
    receipt.reason = reason
    receipt.isShadow = this.#choices.shadows > 0 && sampleFraction(item.id, 'shadow') < this.#choices.shadows
    this.summary.dropped++
    addCount(this.summary.stages[stage].dropped, reason)
    if (this.#keepsRejected(receipt)) {
      this.#rejected.push({ item: this.#readable(item), stage: receipt.stage, reason, statistics: Object.fromEntries(receipt.values) })
    }
    return receipt.isShadow
  }

  /** The stage threw on this item: it is set aside, the run goes on. A shadow that throws is just gone. */
  quarantine(stage: number, item: Item, error: unknown, cause = 'threw'): void {
    const receipt = this.#open.get(item.id)
    if (receipt?.outcome !== 'kept') return
    receipt.outcome = 'quarantined'
    receipt.stage = this.#stageNames[stage]
    receipt.reason = cause
    this.summary.stages[stage].quarantined++
    const message = this.#redact(packError(error).message.split('\n')[0])
    this.#addQuarantine({ id: item.id, source: item.source, offset: item.offset, stage: receipt.stage, cause, message })
  }

  /** One that an earlier attempt died of: counted, not tried again. */
  skipped(note: QuarantineNote): void {
    this.summary.documents++
    this.#addQuarantine(note)
  }

  #addQuarantine(note: QuarantineNote): void {
    this.summary.quarantined++
    if (this.summary.quarantines.length < NOTES) this.summary.quarantines.push(note)
  }

  /** Ends the batch: those that came through are kept, the receipts and the rejected ones are handed out. */
  finish(survivors: readonly Item[]): { receipts: Receipt[]; rejected: Rejected[] } {
    this.summary.kept += survivors.length
    for (const item of survivors) {
      const { url, subset } = item
      if (subset !== undefined) addSubset(this.summary.subsets, subset, { kept: 1, tokens: tokensOf(item) })
      const host = url && URL.canParse(url) ? new URL(url).hostname : ''
      if (host !== '') addCount(this.summary.hosts, host)
    }
    const receipts = [...this.#open.values()].filter(({ id }) => this.#keepsReceipt(id))
    const rejected = this.#rejected
    this.#open = new Map()
    this.#rejected = []
    return { receipts, rejected }
  }

  #keepsReceipt(id: string): boolean {
    const { statistics } = this.#choices
    return statistics === 'all' || (statistics === 'sample' && sampleFraction(id, 'statistics') < SAMPLE)
  }

  #keepsRejected({ id, stage, reason }: Receipt): boolean {
    const { rejected } = this.#choices
    if (rejected === 'off') return false
    const key = `${stage}/${reason}`
    const before = this.#keptOfReason.get(key) ?? 0
    this.#keptOfReason.set(key, before + 1)
    return rejected === 'all' || before < FIRST_OF_REASON || sampleFraction(id, 'rejected') < SAMPLE
  }

  /** A dropped item as its readers may see it: redacted unless asked otherwise; metadata only where raw, pages without HTML. */
  #readable(item: Item): Item & Pick<Document, 'text'> {
    const { id, source, offset, length, url, date, subset, metadata } = item
    const text = 'text' in item && typeof item.text === 'string' ? item.text : ''
    const common = { id, source, offset, length, date, subset }
    const { rejectedText } = this.#choices
    if (rejectedText === 'raw') return { ...common, url, metadata, text }
    return { ...common, url: url && this.#redact(url), metadata: {}, text: rejectedText === 'off' ? '' : this.#redact(text) }
  }
}

function tokensOf(item: Item): number {
  return 'tokens' in item && ArrayBuffer.isView(item.tokens) && 'length' in item.tokens ? Number(item.tokens.length) : 0
}

function itemsError(what: string, stage: string, item: Item): SluiceError {
  return new SluiceError('SLUICE_STAGE_ITEMS', stage === 'source' ? what : `the stage "${stage}" ${what}`, {
    where: { stage, source: item.source, offset: item.offset, id: item.id },
    fix: 'give out each document at most once and under its own id ({ ...document, text }), and say context.drop for what is left out; filterStage and mapStage do both',
  })
}
