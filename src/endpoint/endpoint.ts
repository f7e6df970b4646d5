// Requests to an OpenAI-compatible endpoint (platform.openai.com/docs/api-reference; vLLM, llama.cpp, Ollama and others speak
// it): patient with a busy server, within a budget, and silent about the API key.

import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, type Dispatcher } from 'undici'
import { z } from 'zod'
import type { Json } from '../core/document.ts'
import { SluiceError, systemCode } from '../core/errors.ts'
import { packageVersion } from '../core/version.ts'
import { pauseMs, type RetryPolicy, retryAfterMs, transientCodes } from '../io/retry.ts'
import type { EndpointStore, Limits } from './store.ts'

const price = z.number().min(0).default(0)
const limit = (unit: string) => z.number().min(0).nullable().default(null).describe(`${unit}; null: no bound`)

/** What every stage that asks an endpoint takes. */
export const endpointOptions = {
  baseUrl: z
    .url({ protocol: /^https?$/ })
    .refine((url) => !/^https?:\/*[^/?#]*@/i.test(url), { error: 'has a name or password in it: give the key by keyVariable' })
    .default('http://localhost:8000/v1')
    .describe('of any OpenAI-compatible server; the documents’ text is sent there'),
  model: z.string().min(1).describe('as the server calls it'),
  keyVariable: z
    .string()
    .default('OPENAI_API_KEY')
    .describe('environment variable that holds the API key; where it is not set, none is sent'),
  concurrency: z.int().min(1).max(1000).default(8).describe('requests of each worker at once'),
  timeoutMs: z.int().min(1).default(60_000).describe('longest time that an answer may take'),
  pauseMs: z
    .int()
    .min(0)
    .default(500)
    .describe('pause after a failed request; doubles with each further one, unless the server asks for a longer one'),
  attempts: z.int().min(1).default(6).describe('of a request that the server is too busy for, or answers with nonsense'),
  cache: z
    .string()
    .min(1)
    .default('endpoint-cache.sqlite')
    .describe('file with all answers: what was asked once is not asked again, whatever the server'),
  budget: z
    .strictObject({
      name: z
        .string()
        .min(1)
        .default('default')
        .describe('what is spent is summed up under it in the cache; another name begins at nothing'),
      requests: limit('most requests, failed ones counted'),
      tokens: limit('most tokens, of questions and answers'),
      cost: limit('most money'),
      inputPrice: price.describe('of a million tokens of questions'),
      outputPrice: price.describe('of a million tokens of answers'),
    })
    .prefault({})
    .describe(
      'name, requests, tokens, cost, inputPrice, outputPrice (a million tokens): nothing is sent beyond it, save what is under way',
    ),
  onBudget: z
    .enum(['stop', 'keep-unscored'])
    .default('stop')
    .describe('where the budget is used up: end the run (it resumes), or let documents pass as they are'),
  onFailure: z.enum(['quarantine', 'keep-unscored']).default('quarantine').describe('where there is no usable answer for a document'),
} as const
const endpointSchema = z.strictObject(endpointOptions)
export type EndpointOptions = z.output<typeof endpointSchema>

const usage = z.object({ prompt_tokens: z.number().min(0).default(0), completion_tokens: z.number().min(0).default(0) }).nullish()

const BUSY = new Set([408, 425, 429, 502, 503, 504])
const LONGEST_DELAY_MS = 60_000
const LONGEST_MESSAGE = 300

/** The budget is used up. */
export class BudgetError extends SluiceError {}

/** A request failed; the next attempt may not. */
class Transient extends Error {
  readonly code: string
  readonly retryAfterMs: number
  constructor(code: string, message: string, retryAfterMs = 0, cause?: unknown) {
    super(message, { cause })
    this.code = code
    this.retryAfterMs = retryAfterMs
  }
}

export class Endpoint implements AsyncDisposable {
  readonly store: EndpointStore
  readonly #options: EndpointOptions
  readonly #policy: RetryPolicy
  readonly #limits: Limits
  readonly #key: string | undefined
  readonly #agent: Dispatcher

  constructor(options: EndpointOptions, store: EndpointStore) {
    const { budget, keyVariable, concurrency, timeoutMs } = options
    const unbounded = (value: number | null) => value ?? Number.MAX_VALUE
    this.store = store
    this.#options = options
    this.#policy = { attempts: options.attempts, firstDelayMs: options.pauseMs, longestDelayMs: LONGEST_DELAY_MS }
    this.#limits = { ...budget, requests: unbounded(budget.requests), tokens: unbounded(budget.tokens), cost: unbounded(budget.cost) }
    this.#key = process.env[keyVariable]?.trim() || undefined // a file's last line feed would make it an invalid header
    this.#agent = new Agent({
      connections: concurrency,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      connect: { timeout: timeoutMs },
    })
  }

  /**
   * Posts until there is an answer of that shape.
   *
   * @throws BudgetError; SluiceError `SLUICE_ENDPOINT_DOWN` and `SLUICE_ENDPOINT_REFUSED`, which concern every request, and
   *   `SLUICE_ENDPOINT_REQUEST` and `SLUICE_ENDPOINT_ANSWER`, which concern this one
   */
  async post<T>(path: string, body: Json, shape: z.ZodType<T>, signal: AbortSignal): Promise<T> {
    for (let failures = 1; ; failures++) {
      try {
        return await this.#once(path, body, shape, signal)
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof Transient)) throw error
        const pause = pauseMs(failures, this.#policy, error.retryAfterMs)
        if (pause === undefined)
          throw this.#error(
            error.code,
            `${error.message}, ${failures} times in a row`,
            'look at the server, then run again: it resumes',
            error,
          )
        await sleep(pause, undefined, { signal })
      }
    }
  }

  async #once<T>(path: string, body: Json, shape: z.ZodType<T>, signal: AbortSignal): Promise<T> {
    if (!this.store.reserve(this.#limits))
      throw new BudgetError('SLUICE_ENDPOINT_BUDGET', `the budget "${this.#limits.name}" is used up`, {
        where: { cache: this.#options.cache },
        fix: 'raise it and run again: what is answered is not asked again. Or set onBudget: "keep-unscored"',
      })
    const { status, text, retryAfter } = await this.#send(path, body, signal)
    if (status >= 400) throw this.#refusal(status, text, retryAfter)
    const json = parseJson(text)
    const spent = z.object({ usage }).safeParse(json).data?.usage
    if (spent) this.store.spend(this.#limits, { inputTokens: spent.prompt_tokens, outputTokens: spent.completion_tokens })
    const parsed = shape.safeParse(json)
    if (parsed.success) return parsed.data
    throw new Transient('SLUICE_ENDPOINT_ANSWER', `the server's answer is not what was asked for: ${z.prettifyError(parsed.error)}`)
  }

  async #send(path: string, body: Json, signal: AbortSignal): Promise<{ status: number; text: string; retryAfter: string | undefined }> {
    const { timeoutMs, baseUrl } = this.#options
    const timeout = AbortSignal.timeout(timeoutMs)
    try {
      const response = await this.#agent.request({
        ...target(baseUrl, path),
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'user-agent': `sluice/${packageVersion}`,
          ...(this.#key !== undefined && { authorization: `Bearer ${this.#key}` }),
        },
        body: JSON.stringify(body),
        signal: AbortSignal.any([signal, timeout]),
      })
      const header = response.headers['retry-after']
      return { status: response.statusCode, text: await response.body.text(), retryAfter: Array.isArray(header) ? header[0] : header }
    } catch (error) {
      signal.throwIfAborted()
      const code = systemCode(error) ?? ''
      if (timeout.aborted || /_(HEADERS|BODY)_TIMEOUT$/.test(code))
        throw new Transient('SLUICE_ENDPOINT_REQUEST', `no answer within ${timeoutMs} ms`)
      if (transientCodes.has(code)) throw new Transient('SLUICE_ENDPOINT_DOWN', `the connection failed (${code})`, 0, error)
      throw this.#error(
        'SLUICE_ENDPOINT_DOWN',
        `the request failed: ${error instanceof Error ? error.message : error}`,
        'check baseUrl and the network',
        error,
      )
    }
  }

  #refusal(status: number, text: string, retryAfter: string | undefined): Error {
    if (BUSY.has(status))
      return new Transient('SLUICE_ENDPOINT_DOWN', `the server answered with status ${status}`, retryAfterMs(retryAfter))
    if (status >= 500)
      return new Transient('SLUICE_ENDPOINT_REQUEST', `the server answered with status ${status}`, retryAfterMs(retryAfter))
    if (status === 401 || status === 403)
      return this.#error(
        'SLUICE_ENDPOINT_REFUSED',
        `the server refuses access (status ${status})`,
        `set ${this.#options.keyVariable} to a key that is good for this server`,
      )
    if (status === 404)
      return this.#error(
        'SLUICE_ENDPOINT_REFUSED',
        'the server knows no such address or model (status 404)',
        'check baseUrl, which ends in /v1 as a rule, and model',
      )
    const message = this.#key ? text.replaceAll(this.#key, '…') : text
    return this.#error(
      'SLUICE_ENDPOINT_REQUEST',
      `the server refuses the request (status ${status}): ${message.slice(0, LONGEST_MESSAGE)}`,
      'send less text, or check the model and its options',
    )
  }

  #error(code: string, message: string, fix: string, cause?: unknown): SluiceError {
    return new SluiceError(code, message, { where: { url: this.#options.baseUrl, model: this.#options.model }, fix, cause })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy()
    this.store.close()
  }
}

function target(baseUrl: string, path: string): { origin: string; path: string } {
  const url = new URL(baseUrl)
  return { origin: url.origin, path: `${url.pathname.replace(/\/+$/, '')}/${path}${url.search}` }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Transient('SLUICE_ENDPOINT_ANSWER', 'the server’s answer is not JSON', 0, cause)
  }
}
