// Runs the `sluice` command as a user does, in a folder of its own.

import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const entry = fileURLToPath(new URL('../../bin/sluice.mjs', import.meta.url))

export interface Result {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Options {
  readonly input?: string
  readonly cwd?: string
  readonly env?: Record<string, string>
}

/** Starts it, in a process group of its own, so that a test can kill all of it. */
export function start(words: readonly string[], { cwd, env, input }: Options = {}): { child: ChildProcess; ended: Promise<Result> } {
  const child = spawn(process.execPath, ['--conditions=source', entry, ...words], {
    cwd,
    detached: true,
    env: { ...process.env, NODE_TEST_CONTEXT: '', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (data) => (output.stdout += data))
  child.stderr.on('data', (data) => (output.stderr += data))
  child.stdin.on('error', () => {}) // it may end before it has read all
  child.stdin.end(input ?? '')
  const ended = new Promise<Result>((resolve) => child.on('close', (code, signal) => resolve({ code, signal, ...output })))
  return { child, ended }
}

export function sluice(words: readonly string[], options: Options = {}): Promise<Result> {
  return start(words, options).ended
}

/** Words of `sluice run` for a pipeline of test/e2e/pipelines over `<folder>/in`, state and shards beside it. */
export function runWords(pipelineFile: string, folder: string, ...more: string[]): string[] {
  const places = { run: 'run', input: 'in', output: 'out' }
  const options = Object.entries(places).flatMap(([option, name]) => [`--${option}`, join(folder, name)])
  return ['run', pipelineFile, '--json', ...options, '--threads', '2', ...more]
}

/** kill -9 for the command and everything it started. */
export function killAll(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // it ended by itself
  }
}

/** A folder that goes away with the test. */
export function scratch(after: { after: (clean: () => void) => void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  after.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Names and SHA-256 of all files of a folder: equal where the folders are. */
export function contents(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = files.map(({ parentPath, name }) => join(parentPath, name)).sort()
  return Object.fromEntries(paths.map((path) => [path.slice(folder.length), createHash('sha256').update(readFileSync(path)).digest('hex')]))
}
