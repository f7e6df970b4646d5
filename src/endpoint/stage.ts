// A map stage whose answers come from an endpoint: many documents are asked about at once, each gets its answer or its error,
// and what becomes of them is decided in order. While a batch is under way the stage waits; it holds no thread.

import { createHash } from 'node:crypto'
import type { Document, Json } from '../core/document.ts'
import { SluiceError } from '../core/errors.ts'
import { named, type Report, type Stage, type StageRun, type Verdict } from '../core/stage.ts'
import { BudgetError, Endpoint, type EndpointOptions } from './endpoint.ts'
import { EndpointStore } from './store.ts'

/** Of one document: what was found out, why nothing was, or that the budget was used up. */
export type Asked<A> = { readonly answer: A } | { readonly error: unknown } | { readonly isUnscored: true }

export interface EndpointDefinition<T extends Document, A> {
  readonly options: EndpointOptions & { readonly [option: string]: Json }
  readonly version?: number
  /** Called once a task. What it gives answers for every document of a batch, in order. */
  readonly prepare: (endpoint: Endpoint, signal: AbortSignal) => Promise<(batch: readonly T[]) => Promise<Asked<A>[]>>
  /** Judges, and annotates what stays. */
  readonly finish: (document: T, answer: A, report: Report) => { readonly verdict: Verdict; readonly document: T }
}

/** Codes that concern one document. All other failures end the run, which resumes. */
const OF_ONE_DOCUMENT = new Set(['SLUICE_ENDPOINT_REQUEST', 'SLUICE_ENDPOINT_ANSWER'])

export function endpointStage<T extends Document, A>(name: string, definition: EndpointDefinition<T, A>): Stage<T> {
  const { options, version, prepare, finish } = definition
  return {
    kind: 'map',
    ...named(name, { options, version }),
    open: async (context): Promise<StageRun<T, T>> => {
      const endpoint = new Endpoint(options, new EndpointStore(options.cache))
      const ask = await prepare(endpoint, context.signal)
      const settle = (document: T, asked: Asked<A>): T | undefined => {
        if ('error' in asked && options.onFailure === 'quarantine') throw asked.error
        if (!('answer' in asked)) return document
        const { verdict, document: annotated } = finish(document, asked.answer, (statistics) => context.record(document, statistics))
        return verdict.keep || context.drop(document, verdict.reason) ? annotated : undefined
      }
      return {
        process: async (batch) => {
          const asked = await ask(batch)
          return batch.flatMap((document, i) => context.examine(document, () => settle(document, asked[i])) ?? [])
        },
        close: async () => endpoint[Symbol.asyncDispose](),
      }
    },
  }
}

/** Asks about one thing, or about several at once; a failure that concerns more than them is thrown. */
export async function asking<A>(onBudget: EndpointOptions['onBudget'], ask: () => Promise<A>): Promise<Asked<A>> {
  try {
    return { answer: await ask() }
  } catch (error) {
    if (error instanceof BudgetError && onBudget === 'keep-unscored') return { isUnscored: true }
    if (error instanceof SluiceError && OF_ONE_DOCUMENT.has(error.code)) return { error }
    throw error
  }
}

/**
 * Works on all items, so many at once; results in order. After a failure none is begun, but what is under way is paid for and
 * comes to its end before the failure is thrown.
 */
export async function mapConcurrently<T, R>(items: readonly T[], atOnce: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const worker = async () => {
    for (let i = next++; i < items.length; i = next++) {
      try {
        results[i] = await work(items[i])
      } catch (error) {
        next = items.length
        throw error
      }
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: Math.min(atOnce, items.length) }, worker))
  for (const end of ends) if (end.status === 'rejected') throw end.reason
  return results
}

/** Of everything that decides an answer. The endpoint does not: the same model is the same model wherever it runs. */
export function cacheKey(...parts: Json[]): Uint8Array {
  return createHash('sha256').update(JSON.stringify(parts)).digest()
}

/** The first so many UTF-16 units, without half a character at the end. */
export function beginningOf(text: string, units: number): string {
  const last = text.charCodeAt(units - 1)
  return text.slice(0, last >= 0xd800 && last < 0xdc00 && units < text.length ? units - 1 : units)
}
