// What an endpoint has answered and what that took, in one SQLite file that all workers share: answers by the hash of what
// was asked, so that nothing is paid for twice, and a ledger a budget, which no two workers can overdraw.

import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { SluiceError } from '../core/errors.ts'

export interface Limits {
  /** Spending is summed up under this name. */
  readonly name: string
  readonly requests: number
  readonly tokens: number
  readonly cost: number
  /** Per million tokens, in the currency of `cost`. */
  readonly inputPrice: number
  readonly outputPrice: number
}

export interface Usage {
  readonly inputTokens: number
  readonly outputTokens: number
}

const SCHEMA = `
PRAGMA busy_timeout = 30000;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS budgets (name TEXT PRIMARY KEY, requests INTEGER NOT NULL, inputTokens INTEGER NOT NULL, outputTokens INTEGER NOT NULL);`

/** Every method throws SluiceError `SLUICE_ENDPOINT_CACHE` where the file cannot be used. */
export class EndpointStore {
  readonly #path: string
  readonly #database: DatabaseSync
  readonly #get: StatementSync
  readonly #put: StatementSync
  readonly #begin: StatementSync
  readonly #reserve: StatementSync
  readonly #spend: StatementSync

  constructor(path: string) {
    this.#path = path
    this.#database = this.#guard(() => new DatabaseSync(path))
    this.#guard(() => this.#database.exec(SCHEMA))
    this.#get = this.#prepare('SELECT value FROM answers WHERE key = ?')
    this.#put = this.#prepare('INSERT OR REPLACE INTO answers (key, value) VALUES (?, ?)')
    this.#begin = this.#prepare('INSERT OR IGNORE INTO budgets VALUES (?, 0, 0, 0)')
    this.#reserve = this.#prepare(`UPDATE budgets SET requests = requests + 1 WHERE name = ? AND requests < ?
      AND inputTokens + outputTokens < ? AND inputTokens * ? + outputTokens * ? < ?`)
    this.#spend = this.#prepare('UPDATE budgets SET inputTokens = inputTokens + ?, outputTokens = outputTokens + ? WHERE name = ?')
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const value = this.#guard(() => this.#get.get(key))?.value
    return value instanceof Uint8Array ? value : undefined
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#guard(() => this.#put.run(key, value))
  }

  /** Counts a request, where the budget has one left. */
  reserve({ name, requests, tokens, cost, inputPrice, outputPrice }: Limits): boolean {
    return this.#guard(() => {
      this.#begin.run(name)
      return this.#reserve.run(name, requests, tokens, inputPrice / 1e6, outputPrice / 1e6, cost).changes === 1
    })
  }

  spend({ name }: Limits, { inputTokens, outputTokens }: Usage): void {
    this.#guard(() => this.#spend.run(inputTokens, outputTokens, name))
  }

  close(): void {
    this.#guard(() => this.#database.close())
  }

  #prepare(sql: string): StatementSync {
    return this.#guard(() => this.#database.prepare(sql))
  }

  #guard<T>(work: () => T): T {
    try {
      return work()
    } catch (cause) {
      throw new SluiceError(
        'SLUICE_ENDPOINT_CACHE',
        `the cache of answers cannot be used: ${cause instanceof Error ? cause.message : cause}`,
        {
          where: { file: this.#path },
          fix: 'name a file that can be written, or remove this one: it is made anew, and what it holds is asked again',
          cause,
        },
      )
    }
  }
}
