// What the benchmarks share: pinning, peers, the machine, and the results file. A ratio is the median of paired rounds:
// sluice, peer, sluice, peer, each in a fresh process on the same core, so that a machine that drifts drifts for both.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { packageVersion } from '../../src/core/version.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
export const peerPython = `${root}bench/peers/installed/python/bin/python`
/** With PyTorch and transformers. */
export const modelPython = `${root}bench/peers/installed/models/bin/python`

/** What a program says in the end: the last line of its standard output. */
export const lastJson = (output: string): unknown => JSON.parse(output.trimEnd().split('\n').at(-1) ?? '')

/** A command's last line of standard output, which is JSON. */
export function runPinned(command: string, words: readonly string[], cores = '0'): Record<string, number> {
  const output = execFileSync('taskset', ['-c', cores, command, ...words], {
    encoding: 'utf8',
    maxBuffer: 64e6,
    stdio: ['ignore', 'pipe', 'ignore'],
    cwd: root,
  })
  return z.record(z.string(), z.number()).parse(lastJson(output))
}

/** A part of a benchmark file in a process of its own: `node bench/<file> --only`. */
export function runSelf(file: string, words: readonly string[], cores = '0'): Record<string, number> {
  return runPinned(process.execPath, ['--conditions=source', fileURLToPath(file), ...words], cores)
}

export function requirePeers(program = peerPython): void {
  if (existsSync(program)) return
  console.error('the peers are not installed: run bench/peers/install.sh (Python 3.11 or newer)')
  process.exit(1)
}

/** Versions of Python packages among the peers. */
export function peerVersions(...names: string[]): Record<string, string> {
  const script = `import importlib.metadata as m, json, sys\nprint(json.dumps({n: m.version(n) for n in sys.argv[1:]}))`
  return z.record(z.string(), z.string()).parse(JSON.parse(execFileSync(peerPython, ['-c', script, ...names], { encoding: 'utf8' })))
}

export interface Round {
  readonly sluice: number
  readonly peer: number
}

/** Alternates the two and gives the seconds of each round. */
export function pairedRounds(rounds: number, sluice: () => number, peer: () => number): Round[] {
  return Array.from({ length: rounds }, (_, round) => {
    const times = { sluice: sluice(), peer: peer() }
    console.error(`round ${round + 1}: sluice ${times.sluice.toFixed(2)} s, peer ${times.peer.toFixed(2)} s`)
    return times
  })
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1]
}

/** Prints the comparison and saves it with the machine under bench/results. */
export function saveResult(name: string, result: Record<string, unknown>): void {
  const machine = {
    cpu: cpus()[0]?.model,
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    node: process.version,
    sluice: packageVersion,
  }
  mkdirSync(`${root}bench/results`, { recursive: true })
  writeFileSync(
    `${root}bench/results/${name}.json`,
    `${JSON.stringify({ name, date: new Date().toISOString().slice(0, 10), machine, ...result }, undefined, 2)}\n`,
  )
  console.log(JSON.stringify(result, undefined, 2))
}
