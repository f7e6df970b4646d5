// How much one server bears, learnt from its answers: requests at once by additive increase and multiplicative decrease
// (as TCP: Chiu & Jain 1989), and pauses that it asks for. Each thread learns for itself: what throttles one throttles the
// others, so they settle alike, as they must anyway across the machines of a cluster, where no memory is shared.

import { setTimeout as sleep } from 'node:timers/promises'
import { notify } from './notices.ts'

const FIRST_LIMIT = 4
export const MOST_REQUESTS = 32
/** A first byte that takes so long, and so many times the shortest seen, is a server at its limit. */
const SLOW_MS = 1000
const SLOW_FACTOR = 8

/** Waits shorter than this, all together, are not worth a word. */
const SILENT_MS = 3000
const NOTICE_EVERY_MS = 10_000

export class Host {
  readonly name: string
  #limit = FIRST_LIMIT
  #active = 0
  readonly #queue: (() => void)[] = []
  #pausedUntil = 0
  #shrunkAt = Number.NEGATIVE_INFINITY
  #fastestMs = Number.POSITIVE_INFINITY
  #waitingSince: number | undefined
  #noticedAt = Number.NEGATIVE_INFINITY

  constructor(name: string) {
    this.name = name
  }

  /** Requests that may be at work at once. */
  get limit(): number {
    return Math.floor(this.#limit)
  }

  /** Runs the work when the host bears one more. Not for what waits for other work of the same host. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    while (this.#active >= this.limit) await new Promise<void>((resolve) => this.#queue.push(resolve))
    this.#active++
    try {
      return await work()
    } finally {
      this.#active--
      for (let free = this.limit - this.#active; free > 0; free--) this.#queue.shift()?.()
    }
  }

  /** A good answer begins. @param askedAt of performance.now() */
  answered(askedAt: number): void {
    this.#tellEnd()
    const firstByteMs = performance.now() - askedAt
    this.#fastestMs = Math.min(this.#fastestMs, firstByteMs)
    if (firstByteMs > SLOW_MS && firstByteMs > SLOW_FACTOR * this.#fastestMs) this.#shrink(askedAt)
    else if (this.#active >= this.limit) this.#limit = Math.min(MOST_REQUESTS, this.#limit + 1 / this.#limit)
  }

  /** The host asks for less: 429, 503, or no answer in time. `retryAfterMs` holds back every request to it. */
  pushedBack(askedAt: number, retryAfterMs: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, performance.now() + retryAfterMs)
    this.#shrink(askedAt)
  }

  async pauseOver(signal?: AbortSignal): Promise<void> {
    for (let left = this.#pausedUntil - performance.now(); left > 0; left = this.#pausedUntil - performance.now())
      await sleep(Math.ceil(left), undefined, { signal })
  }

  /** Before a request is tried again. */
  async wait(ms: number, why: string, signal?: AbortSignal): Promise<void> {
    const now = performance.now()
    this.#waitingSince ??= now
    if (now + ms - this.#waitingSince > SILENT_MS && now - this.#noticedAt > NOTICE_EVERY_MS) {
      this.#noticedAt = now
      notify(`waiting for ${this.name}: ${why}; again in ${Math.ceil(ms / 1000)} s`, `waiting for ${this.name}`)
    }
    await sleep(ms, undefined, { signal })
  }

  #tellEnd(): void {
    if (this.#waitingSince === undefined) return
    const seconds = Math.round((performance.now() - this.#waitingSince) / 1000)
    if (this.#noticedAt >= this.#waitingSince) notify(`${this.name} answers again, after ${seconds} s`, `answer of ${this.name}`)
    this.#waitingSince = undefined
    this.#noticedAt = Number.NEGATIVE_INFINITY
  }

  /** Once for all that was asked before: those requests knew no better. */
  #shrink(askedAt: number): void {
    if (askedAt < this.#shrunkAt) return
    this.#shrunkAt = performance.now()
    this.#limit = Math.max(1, this.#limit / 2)
  }
}

const hosts = new Map<string, Host>()

/** @param url of http(s) by its origin, of s3 by its bucket */
export function hostOf(url: string): Host {
  const name = /^[^:]+:\/\/[^/]*/.exec(url)?.[0] ?? url
  const known = hosts.get(name) ?? new Host(name)
  hosts.set(name, known)
  return known
}

/**
 * Results in the order of the items, `ahead` of them at work or waiting to be taken, of these as many at once as their
 * hosts bear. Ends the work that nobody waits for any more.
 *
 * @param urlOf the input that the work on an item reads from
 */
export async function* mapAhead<T, R>(
  items: Iterable<T>,
  urlOf: (item: T) => string,
  work: (item: T, signal: AbortSignal) => Promise<R>,
  signal: AbortSignal,
  ahead = MOST_REQUESTS,
): AsyncGenerator<R> {
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  const pending: Promise<R>[] = []
  const rest = items[Symbol.iterator]()
  try {
    for (;;) {
      while (pending.length < ahead) {
        const next = rest.next()
        if (next.done) break
        const result = hostOf(urlOf(next.value)).run(async () => {
          either.throwIfAborted()
          return await work(next.value, either)
        })
        result.catch(() => {}) // told when its turn comes
        pending.push(result)
      }
      const first = pending.shift()
      if (!first) return
      yield await first
    }
  } finally {
    stop.abort()
  }
}
