// Sums over rows with a fixed order: of runs of rows first, then of the runs.

import type { Tensor } from '../tensor.ts'
import type { Argument, Launch, Operand } from './launch.ts'
import { blocksOf, int, kernel, THREADS, whole, workspace } from './operands.ts'

/** Runs of rows whose sums are added up afterwards. */
const MAXIMUM_RUNS = 64
const ROWS_PER_RUN = 64

export const runsOf = (rows: number, most = MAXIMUM_RUNS, size = ROWS_PER_RUN) => {
  const runs = Math.min(most, blocksOf(rows, size))
  const rowsOfRun = blocksOf(rows, runs)
  return { rowsOfRun, runs: blocksOf(rows, rowsOfRun) }
}

export const sumRows = (parts: Operand, rows: number, columns: number, y: Tensor, isAdded: Argument) =>
  kernel('rows', 'sum_rows', blocksOf(columns, THREADS), [parts, int(rows), int(columns), whole(y), isAdded])

export function columnSums(x: Operand, rows: number, columns: number, y: Tensor, isAdded: Argument): Launch[] {
  const { runs, rowsOfRun } = runsOf(rows)
  const [parts] = workspace(runs * columns)
  return [
    kernel('rows', 'column_parts', [blocksOf(columns, 32), runs, 1], [x, parts, int(rows), int(columns), int(rowsOfRun)]),
    sumRows(parts, runs, columns, y, isAdded),
  ]
}
