// Inputs over HTTP. Reads a range with one request and, where the connection breaks, goes on at the exact byte with
// another: Range for the place, If-Match and the response's own ETag for the version. undici's RetryAgent would count
// its retries over a whole request of hours and ask again after a 412, so the loop is here and progress resets its count.

import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, type Dispatcher, interceptors } from 'undici'
import { SluiceError, systemCode } from '../core/errors.ts'
import { packageVersion } from '../core/version.ts'
import type { ByteSource, HttpPolicy, OpenOptions } from './byte-source.ts'

const defaultPolicy: HttpPolicy = { attempts: 8, firstDelayMs: 500, longestDelayMs: 60_000, idleTimeoutMs: 60_000 }

/** A server that asks for a longer pause than this is told to the user instead of being waited for. */
const LONGEST_RETRY_AFTER_MS = 15 * 60_000

const transientStatus = new Set([408, 425, 429, 500, 502, 503, 504])
const transientCodes = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_SOCKET',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'SLUICE_HTTP_SHORT',
])

let shared: Dispatcher | undefined
function dispatcher(): Dispatcher {
  shared ??= new Agent({ connections: 8, keepAliveTimeout: 10_000 }).compose(interceptors.redirect({ maxRedirections: 5 }))
  return shared
}

export async function openHttp(url: string, options: OpenOptions): Promise<ByteSource> {
  const client = new HttpClient(url, { ...defaultPolicy, ...options.http }, options.signal)
  const { size, version } = await client.probe()
  if (options.version !== undefined && options.version !== version) throw client.changed(0)
  return { url, size, version, read: (start = 0, end = size) => client.read(start, Math.min(end, size), version) }
}

interface Answer {
  readonly status: number
  readonly header: (name: string) => string | undefined
  readonly body: Dispatcher.ResponseData['body']
}

class HttpClient {
  readonly #url: string
  readonly #policy: HttpPolicy
  readonly #signal?: AbortSignal

  constructor(url: string, policy: HttpPolicy, signal?: AbortSignal) {
    this.#url = url
    this.#policy = policy
    this.#signal = signal
  }

  /** Size and version, from a request for the first byte: some servers refuse HEAD, and this shows whether ranges work. */
  async probe(): Promise<{ size: number; version: string }> {
    for (let failures = 0; ; ) {
      try {
        const answer = await this.#get({ range: 'bytes=0-0' })
        answer.body.on('error', () => {}).destroy()
        const size = answer.status === 416 ? 0 : totalSize(answer)
        if (answer.status >= 400 && answer.status !== 416) throw this.#refused(answer, 0)
        if (size === undefined)
          throw this.#error(
            'SLUICE_HTTP_SIZE',
            'the server does not say how large the file is',
            0,
            'download the file and name the local copy',
          )
        return { size, version: versionOf(answer, size) }
      } catch (error) {
        await this.#pause(error, ++failures, 0)
      }
    }
  }

  async *read(start: number, end: number, version: string): AsyncGenerator<Buffer> {
    let position = start
    for (let failures = 0; position < end; ) {
      try {
        const answer = await this.#range(position, end, version)
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

  async #range(position: number, end: number, version: string): Promise<Answer> {
    const headers: Record<string, string> = { range: `bytes=${position}-${end - 1}` }
    if (version.startsWith('"')) headers['if-match'] = version // weak tags never match
    const answer = await this.#get(headers)
    try {
      if (answer.status === 412 || answer.status === 416) throw this.changed(position)
      if (answer.status !== 200 && answer.status !== 206) throw this.#refused(answer, position)
      const size = totalSize(answer)
      if (size !== undefined && versionOf(answer, size) !== version) throw this.changed(position)
      const first = answer.status === 206 ? /^bytes (\d+)-/.exec(answer.header('content-range') ?? '')?.[1] : undefined
      if (answer.status === 206 && Number(first) !== position)
        throw this.#error('SLUICE_HTTP_RANGE', `the server answered with bytes from ${first ?? 'nowhere'}, not from ${position}`, position)
      return answer
    } catch (error) {
      answer.body.on('error', () => {}).destroy()
      throw error
    }
  }

  async #get(headers: Record<string, string>): Promise<Answer> {
    const { origin, pathname, search } = new URL(this.#url)
    const response = await dispatcher().request({
      origin,
      path: pathname + search,
      method: 'GET',
      headers: { 'user-agent': `sluice/${packageVersion}`, 'accept-encoding': 'identity', ...headers },
      bodyTimeout: this.#policy.idleTimeoutMs,
      headersTimeout: this.#policy.idleTimeoutMs,
      signal: this.#signal,
    })
    const header = (name: string) => {
      const value = response.headers[name]
      return Array.isArray(value) ? value[0] : value
    }
    return { status: response.statusCode, header, body: response.body }
  }

  /** Waits where the failure is one that passes, else throws what a person can read. */
  async #pause(error: unknown, failures: number, position: number): Promise<void> {
    if (error instanceof SluiceError && !(error instanceof TransientError)) throw error
    this.#signal?.throwIfAborted()
    const code = systemCode(error) ?? ''
    if (!(error instanceof TransientError) && !transientCodes.has(code))
      throw this.#error(
        'SLUICE_HTTP_FAILED',
        `the request failed: ${error instanceof Error ? error.message : String(error)}`,
        position,
        'check the address and the network',
        error,
      )
    const retryAfterMs = error instanceof TransientError ? error.retryAfterMs : 0
    if (failures >= this.#policy.attempts || retryAfterMs > LONGEST_RETRY_AFTER_MS) {
      const what = error instanceof TransientError ? error.message : `the connection failed (${code})`
      throw this.#error('SLUICE_HTTP_FAILED', `${what}, ${failures} times in a row`, position, 'run again later: it resumes', error)
    }
    const backoffMs = Math.min(this.#policy.longestDelayMs, this.#policy.firstDelayMs * 2 ** (failures - 1))
    await sleep(Math.max(backoffMs, retryAfterMs), undefined, { signal: this.#signal })
  }

  #refused(answer: Answer, position: number): SluiceError {
    const { status } = answer
    if (transientStatus.has(status)) return new TransientError(status, retryAfterMs(answer.header('retry-after')))
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
    return new SluiceError(code, message, { where: { url: this.#url, byte }, fix, cause })
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

/** @param value seconds, or a date */
function retryAfterMs(value: string | undefined): number {
  if (value === undefined) return 0
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? 0 : Math.max(0, date - Date.now())
}

function totalSize(answer: Answer): number | undefined {
  const text = answer.status === 206 ? /\/(\d+)$/.exec(answer.header('content-range') ?? '')?.[1] : answer.header('content-length')
  return text === undefined ? undefined : Number(text)
}

function versionOf(answer: Answer, size: number): string {
  return answer.header('etag') ?? `${size}-${answer.header('last-modified') ?? ''}`
}
