// Inputs over HTTP. Reads a range with one request and, where the connection breaks, goes on at the exact byte with
// another: Range for the place, If-Match and the response's own ETag for the version. undici's RetryAgent would count
// its retries over a whole request of hours and ask again after a 412, so the loop is here and progress resets its count.
// What an object store does in another way (addresses, signatures, the meaning of a refusal) is its `Target`.

import { Agent, type Dispatcher, interceptors } from 'undici'
import { SluiceError, systemCode, type Where } from '../core/errors.ts'
import { packageVersion } from '../core/version.ts'
import type { ByteSource, HttpPolicy, OpenOptions } from './byte-source.ts'
import { type Host, hostOf, MOST_REQUESTS } from './host.ts'
import { LONGEST_RETRY_AFTER_MS, pauseMs, retryAfterMs, transientCodes } from './retry.ts'

/** All in all five minutes of waiting: servers restart, and archives answer 503 for minutes on a bad day. */
const defaultPolicy: HttpPolicy = { attempts: 12, firstDelayMs: 500, longestDelayMs: 60_000, idleTimeoutMs: 60_000 }

/** Of what a server says about a refusal. */
const REFUSAL_BYTES = 1 << 16

const busyStatus = new Set([429, 503])
const transientStatus = new Set([408, 425, 500, 502, 504, ...busyStatus])

let direct: Dispatcher | undefined
let following: Dispatcher | undefined
function dispatcher(isRedirected: boolean): Dispatcher {
  direct ??= new Agent({ connections: MOST_REQUESTS, keepAliveTimeout: 10_000 })
  following ??= direct.compose(interceptors.redirect({ maxRedirections: 5 }))
  return isRedirected ? following : direct
}

/** Where an input lies and how it is asked for. */
export interface Target {
  /** As byte sources and errors name it. */
  readonly url: string
  readonly where: Where
  /** Whether redirections are followed. */
  readonly isRedirected: boolean
  /** Address and headers of one attempt. */
  readonly request: (headers: Headers) => Promise<{ readonly address: URL; readonly headers: Headers }>
  /** What a refusal means: an error, `again` where the next attempt will be a better one, undefined where its status says it all. */
  readonly refusal?: (answer: Answer, text: string) => SluiceError | 'again' | undefined
}

type Headers = Readonly<Record<string, string>>

export interface Answer {
  /** Of performance.now(). */
  readonly askedAt: number
  readonly status: number
  readonly header: (name: string) => string | undefined
  readonly body: Dispatcher.ResponseData['body']
}

export function httpTarget(url: string): Target {
  const address = new URL(url)
  return { url, where: { url }, isRedirected: true, request: async (headers) => ({ address, headers }) }
}

export async function openTarget(target: Target, options: OpenOptions): Promise<ByteSource> {
  const client = new HttpClient(target, options)
  const { size, version } = await client.probe(options.first)
  if (options.version !== undefined && options.version !== version) throw client.changed(0)
  return sourceOf(client, target.url, size, version)
}

/** What is known of an input already, to be read without asking again. A version that is no longer served is an error when it is read. */
export function openKnown(target: Target, size: number, version: string, options: OpenOptions): ByteSource {
  return sourceOf(new HttpClient(target, options), target.url, size, version)
}

function sourceOf(client: HttpClient, url: string, size: number, version: string): ByteSource {
  return { url, size, version, read: (start = 0, end = size) => client.read(start, Math.min(end, size), version) }
}

/** A short text, such as a listing. */
export async function fetchText(target: Target, options: OpenOptions): Promise<string> {
  return await new HttpClient(target, options).text()
}

/** An answer whose body is still to be read, over bytes [start, end). */
interface Opened {
  readonly answer: Answer
  readonly start: number
  readonly end: number
}

class HttpClient {
  readonly #target: Target
  readonly #policy: HttpPolicy
  readonly #signal?: AbortSignal
  readonly #host: Host
  /** What the probe brought along. */
  #opened?: Opened

  constructor(target: Target, options: OpenOptions) {
    this.#target = target
    this.#policy = { ...defaultPolicy, ...options.http }
    this.#signal = options.signal
    this.#host = hostOf(target.url)
  }

  /** Size and version, from a request for some bytes: some servers refuse HEAD, and this shows whether ranges work. */
  async probe(first?: readonly [start: number, end: number]): Promise<{ size: number; version: string }> {
    const [start, end] = first ?? [0, 1]
    return await this.#persist(0, async () => {
      const answer = await this.#get({ range: `bytes=${start}-${end - 1}` })
      if (answer.status >= 400 && answer.status !== 416) throw await this.#refused(answer, 0)
      const size = totalSize(answer)
      if (first && answer.status === 206 && firstByte(answer) === start) this.#opened = { answer, start, end }
      else await drain(answer)
      if (size === undefined)
        throw this.#error(
          'SLUICE_HTTP_SIZE',
          'the server does not say how large the file is',
          0,
          'download the file and name the local copy',
        )
      return { size, version: versionOf(answer, size) }
    })
  }

  async *read(start: number, end: number, version: string): AsyncGenerator<Buffer> {
    let position = start
    for (let failures = 0; position < end; ) {
      try {
        const answer = this.#broughtAlong(position, end) ?? (await this.#range(position, end, version))
        let skip = answer.status === 200 ? position : 0 // the server knows no ranges: it starts over
        for await (const chunk of answer.body) {
          const bytes: Buffer = skip === 0 ? chunk : chunk.subarray(Math.min(skip, chunk.length))
          skip -= chunk.length - bytes.length
          if (bytes.length === 0) continue
          const wanted = bytes.subarray(0, end - position)
          position += wanted.length
          failures = 0
          yield wanted
          if (position >= end) return
        }
        throw Object.assign(new Error('the body ended early'), { code: 'SLUICE_HTTP_SHORT' })
      } catch (error) {
        await this.#pause(error, ++failures, position)
      }
    }
  }

  async text(): Promise<string> {
    return await this.#persist(0, async () => {
      const answer = await this.#get({})
      if (answer.status !== 200) throw await this.#refused(answer, 0)
      return await answer.body.text()
    })
  }

  async #persist<T>(position: number, work: () => Promise<T>): Promise<T> {
    for (let failures = 0; ; ) {
      try {
        return await work()
      } catch (error) {
        await this.#pause(error, ++failures, position)
      }
    }
  }

  #broughtAlong(start: number, end: number): Answer | undefined {
    const opened = this.#opened
    this.#opened = undefined
    if (opened?.start === start && opened.end >= end) return opened.answer
    if (opened) discard(opened.answer)
    return undefined
  }

  async #range(position: number, end: number, version: string): Promise<Answer> {
    const headers: Record<string, string> = { range: `bytes=${position}-${end - 1}` }
    if (version.startsWith('"')) headers['if-match'] = version // weak tags never match
    const answer = await this.#get(headers)
    try {
      if (answer.status === 412 || answer.status === 416) throw this.changed(position)
      if (answer.status !== 200 && answer.status !== 206) throw await this.#refused(answer, position)
      const size = totalSize(answer)
      if (size !== undefined && versionOf(answer, size) !== version) throw this.changed(position)
      if (answer.status === 206 && firstByte(answer) !== position)
        throw this.#error(
          'SLUICE_HTTP_RANGE',
          `the server answered with bytes from ${firstByte(answer) ?? 'nowhere'}, not from ${position}`,
          position,
        )
      return answer
    } catch (error) {
      discard(answer)
      throw error
    }
  }

  async #get(headers: Headers): Promise<Answer> {
    await this.#host.pauseOver(this.#signal)
    const { address, headers: signed } = await this.#target.request(headers)
    const askedAt = performance.now()
    const response = await this.#send(address, signed, askedAt)
    const header = (name: string) => {
      const value = response.headers[name]
      return Array.isArray(value) ? value[0] : value
    }
    return { askedAt, status: response.statusCode, header, body: response.body }
  }

  async #send(address: URL, headers: Headers, askedAt: number): Promise<Dispatcher.ResponseData> {
    try {
      const response = await dispatcher(this.#target.isRedirected).request({
        origin: address.origin,
        path: address.pathname + address.search,
        method: 'GET',
        headers: { 'user-agent': `sluice/${packageVersion}`, 'accept-encoding': 'identity', ...headers },
        bodyTimeout: this.#policy.idleTimeoutMs,
        headersTimeout: this.#policy.idleTimeoutMs,
        signal: this.#signal,
      })
      if (response.statusCode < 400) this.#host.answered(askedAt)
      return response
    } catch (error) {
      if (systemCode(error)?.endsWith('_TIMEOUT')) this.#host.pushedBack(askedAt, 0)
      throw error
    }
  }

  /** Waits where the failure is one that passes, else throws what a person can read. */
  async #pause(error: unknown, failures: number, position: number): Promise<void> {
    this.#signal?.throwIfAborted()
    if (error instanceof Again && failures <= this.#policy.attempts) return
    if (error instanceof SluiceError && !(error instanceof TransientError)) throw error
    const code = systemCode(error) ?? ''
    if (!(error instanceof TransientError) && !transientCodes.has(code))
      throw this.#error(
        'SLUICE_HTTP_FAILED',
        `the request failed: ${error instanceof Error ? error.message : String(error)}`,
        position,
        'check the address and the network',
        error,
      )
    const what = error instanceof TransientError ? error.message : `the connection failed (${code})`
    const pause = pauseMs(failures, this.#policy, error instanceof TransientError ? error.retryAfterMs : 0)
    if (pause === undefined)
      throw this.#error('SLUICE_HTTP_FAILED', `${what}, ${failures} times in a row`, position, 'run again later: it resumes', error)
    await this.#host.wait(pause, `${what}, attempt ${failures} of ${this.#policy.attempts}`, this.#signal)
  }

  async #refused(answer: Answer, position: number): Promise<SluiceError> {
    const { status } = answer
    const text = await bodyText(answer)
    const known = this.#target.refusal?.(answer, text)
    if (known === 'again') return new Again(status)
    if (known) return known
    const askedMs = retryAfterMs(answer.header('retry-after'))
    if (busyStatus.has(status)) this.#host.pushedBack(answer.askedAt, Math.min(askedMs, LONGEST_RETRY_AFTER_MS))
    if (transientStatus.has(status)) return new TransientError(status, askedMs)
    if (status === 404 || status === 410)
      return this.#error('SLUICE_INPUT_MISSING', `the server has no such file (status ${status})`, position, 'check the address')
    if (status === 401 || status === 403)
      return this.#error(
        'SLUICE_PERMISSION',
        `the server refuses access (status ${status})`,
        position,
        'check the address, and whether the file is public',
      )
    return this.#error('SLUICE_HTTP_FAILED', `the server answered with status ${status}`, position, 'check the address')
  }

  changed(position: number): SluiceError {
    return this.#error(
      'SLUICE_INPUT_CHANGED',
      'the input has changed since the work on it was planned',
      position,
      'run again: what depends on it is done anew',
    )
  }

  #error(code: string, message: string, byte: number, fix?: string, cause?: unknown): SluiceError {
    return new SluiceError(code, message, { where: { ...this.#target.where, byte }, fix, cause })
  }
}

/** The server asks to try again. */
class TransientError extends SluiceError {
  readonly retryAfterMs: number
  constructor(status: number, retryAfterMs: number) {
    super('SLUICE_HTTP_FAILED', `the server answered with status ${status}`)
    this.retryAfterMs = retryAfterMs
  }
}

/** The target has learnt from the answer how to ask. */
class Again extends SluiceError {
  constructor(status: number) {
    super('SLUICE_HTTP_FAILED', `the server answered with status ${status}, whatever was changed`)
  }
}

function totalSize(answer: Answer): number | undefined {
  if (answer.status === 416) return Number(/\*\/(\d+)$/.exec(answer.header('content-range') ?? '')?.[1] ?? 0)
  const text = answer.status === 206 ? /\/(\d+)$/.exec(answer.header('content-range') ?? '')?.[1] : answer.header('content-length')
  return text === undefined ? undefined : Number(text)
}

function firstByte(answer: Answer): number | undefined {
  const text = /^bytes (\d+)-/.exec(answer.header('content-range') ?? '')?.[1]
  return text === undefined ? undefined : Number(text)
}

function versionOf(answer: Answer, size: number): string {
  return answer.header('etag') ?? `${size}-${answer.header('last-modified') ?? ''}`
}

// ---- bodies that are not read ----

/** Reads a short rest, so that the connection can be used again, and breaks off a long one. */
async function drain(answer: Answer): Promise<void> {
  await answer.body.dump({ limit: REFUSAL_BYTES }).catch(() => {})
}

function discard(answer: Answer): void {
  answer.body.on('error', () => {}).destroy()
}

async function bodyText(answer: Answer): Promise<string> {
  let text = ''
  try {
    for await (const chunk of answer.body) {
      text += chunk
      if (text.length > REFUSAL_BYTES) break
    }
  } catch {
    // the status says enough
  }
  return text
}
