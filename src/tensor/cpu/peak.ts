// What the CPU device reaches at its best: large products of matrices, which is what training would be if it were nothing else.

import { Graph } from '../graph.ts'
import { linear } from '../ops.ts'
import { addresses, placeActivations, placePersistent } from '../plan.ts'
import type { CpuPrecision } from '../precision.ts'
import { cpuArenaStart, createCpuDevice } from './cpu-device.ts'

const SIDE = 768
const RUNS = 8

/** Floating-point operations a second: the best of a few runs, some tenths of a second together. */
export async function measurePeakFlops(threads: number, precision: CpuPrecision = 'f32'): Promise<number> {
  const graph = new Graph()
  const [x, w] = ['x', 'w'].map((name) => graph.tensor(name, [SIDE, SIDE], 'input'))
  const y = linear(graph, x, w)
  const persistent = placePersistent(graph.tensors, cpuArenaStart)
  const activations = placeActivations(graph.records, new Set([y]), persistent.endBytes)
  const { records } = graph
  const device = await createCpuDevice({ arenaBytes: activations.endBytes - cpuArenaStart, threads, records, precision })
  const program = device.compile(records, addresses(persistent, activations))
  let best = Number.POSITIVE_INFINITY
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now()
    device.run(program)
    best = Math.min(best, performance.now() - start)
  }
  await device.dispose()
  return (2 * SIDE ** 3 * 1000) / best
}
