// When a request that failed is made again: which failures pass, how long to wait for that, and when to give up. What counts as
// a failure in a row is the caller's matter.

export interface RetryPolicy {
  /** Failures in a row before the caller gives up. */
  readonly attempts: number
  /** Waiting time after the first failure; doubles with each further one. A longer Retry-After is honoured. */
  readonly firstDelayMs: number
  readonly longestDelayMs: number
}

/** A server that asks for a longer pause than this is told to the user instead of being waited for. */
export const LONGEST_RETRY_AFTER_MS = 15 * 60_000

/** Of failures that another attempt may not meet. */
export const transientCodes: ReadonlySet<string> = new Set([
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

/**
 * Milliseconds to wait before the next attempt; undefined where there is to be none.
 *
 * @param failures in a row, from 1
 * @param retryAfterMs what the server asks for at least
 */
export function pauseMs(failures: number, { attempts, firstDelayMs, longestDelayMs }: RetryPolicy, retryAfterMs = 0): number | undefined {
  if (failures >= attempts || retryAfterMs > LONGEST_RETRY_AFTER_MS) return undefined
  const spread = 0.75 + Math.random() / 2 // so that those who failed together do not come back together
  return Math.max(Math.min(longestDelayMs, firstDelayMs * 2 ** (failures - 1)) * spread, retryAfterMs)
}

/** Of a Retry-After header. @param value seconds, or a date */
export function retryAfterMs(value: string | undefined): number {
  if (value === undefined) return 0
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? 0 : Math.max(0, date - Date.now())
}
