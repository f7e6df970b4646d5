// SQL over what a run kept: DuckDB on the Parquet files of the sealed attempts, in two views. `receipts` has a row per
// document and phase with every number measured; `rejected` has the dropped documents that were kept for reading.

import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DuckDBConnection, JS } from '@duckdb/node-api'
import { SluiceError } from '../core/errors.ts'
import type { AuditedRun } from './read-run.ts'

export type Row = Record<string, JS>

export class Queries {
  readonly #connection: DuckDBConnection
  private constructor(connection: DuckDBConnection) {
    this.#connection = connection
  }

  /** Loads DuckDB and points its views at the run's files. */
  static async open(run: AuditedRun): Promise<Queries> {
    const { DuckDBInstance } = await import('@duckdb/node-api')
    const instance = await DuckDBInstance.create(':memory:', {
      memory_limit: '2GB',
      temp_directory: join(tmpdir(), `sluice-audit-${process.pid}`),
      autoinstall_known_extensions: 'false', // nothing of an audit needs a network
    })
    const connection = await instance.connect()
    const receipts = run.phases.flatMap(({ index, statistics }) =>
      statistics.length === 0 ? [] : [`select ${index} as phase, * from ${filesOf(statistics)}`],
    )
    const rejected = run.phases.flatMap(({ index, rejected: files }) =>
      files.length === 0 ? [] : [`select ${index} as phase, * from ${filesOf(files)}`],
    )
    await createView(connection, 'receipts', receipts.join(' union all by name ') || EMPTY_RECEIPTS)
    await createView(connection, 'rejected', rejected.join(' union all by name ') || EMPTY_REJECTED)
    return new Queries(connection)
  }

  /** @throws SluiceError `SLUICE_QUERY` where DuckDB refuses the statement */
  async rows(sql: string, values: Record<string, string | number> = {}): Promise<Row[]> {
    try {
      return (await this.#connection.runAndReadAll(sql, values)).getRowObjectsJS()
    } catch (cause) {
      throw new SluiceError('SLUICE_QUERY', messageOf(cause), { fix: 'the views are receipts and rejected: try describe receipts', cause })
    }
  }

  [Symbol.dispose](): void {
    this.#connection.closeSync()
  }
}

/** DuckDB reads the ends of the files here. */
async function createView(connection: DuckDBConnection, name: string, select: string): Promise<void> {
  try {
    await connection.run(`create view ${name} as ${select}`)
  } catch (cause) {
    throw new SluiceError('SLUICE_RUN_CORRUPT', `the files behind the view ${name} cannot be read: ${messageOf(cause)}`, {
      fix: 'the counts are whole without them: sluice audit --json; for the documents run again into another run folder',
      cause,
    })
  }
}

function messageOf(cause: unknown): string {
  return String(cause instanceof Error ? cause.message : cause).split('\n')[0]
}

const EMPTY_RECEIPTS =
  "select 0 as phase, '' as id, '' as source, 0::bigint as offset, '' as url, '' as outcome, '' as stage, '' as reason, false as shadow where false"
const EMPTY_REJECTED =
  "select 0 as phase, '' as id, '' as text, '' as url, '' as source, 0::bigint as offset, '' as stage, '' as reason, '' as statistics where false"

function filesOf(paths: readonly string[]): string {
  const list = paths.map((path) => `'${path.replaceAll("'", "''")}'`).join(', ')
  return `read_parquet([${list}], union_by_name = true)`
}
