// The supervisor: a small process that outlives what happens to the runner. It starts the runner, watches its memory and
// whether its documents move, and when the runner dies, hangs or grows past its limit, tries the documents that were in
// hand one by one in a process of their own, quarantines the guilty and starts the runner again.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { SluiceError, unpackError } from '../core/errors.ts'
import { documentId } from '../core/identity.ts'
import { type Note, readNotes } from '../engine/notes.ts'
import type { Plan } from '../engine/plan.ts'
import { RunFolder } from '../engine/run-folder.ts'
import { phaseRequests, type RunResult } from '../engine/runner.ts'
import { type RunnerMessage, type RunnerSetup, runnerExit } from './runner-setup.ts'

const POLL_MS = 200
/** Deaths without a guilty document before the run is given up. */
const UNEXPLAINED_DEATHS = 3

export interface Watch {
  /** Resident bytes of the runner process, all threads together. */
  readonly memoryBytes: number
  /** How long one document may take in one stage. */
  readonly documentTimeoutMs: number
}

type Ending =
  | { readonly kind: 'told'; readonly message: RunnerMessage }
  /** A trial that came to its end. */
  | { readonly kind: 'survived' }
  | { readonly kind: 'interrupted' }
  | { readonly kind: 'died'; readonly cause: 'crashed' | 'hung' | 'out_of_memory'; readonly suspects: readonly Note[] }

/** Runs the plan under supervision; undefined where the user interrupted it. */
export async function supervise(plan: Plan, setup: RunnerSetup, watch: Watch, say: (line: string) => void): Promise<RunResult | undefined> {
  const folder = new RunFolder(setup.run)
  for (let unexplained = 0; ; ) {
    const ending = await runOnce(setup, watch, folder.noteFile)
    if (ending.kind === 'interrupted' || ending.kind === 'survived') return undefined
    if (ending.kind === 'told') {
      if ('error' in ending.message) throw unpackError(ending.message.error)
      return ending.message.result
    }
    say(`the runner ${describeCause(ending.cause)}; trying the ${ending.suspects.length} documents it had in hand one by one`)
    const guilty = await findGuilty(plan, setup, watch, folder, ending.suspects, say)
    if (guilty === undefined) return undefined
    if (guilty > 0) unexplained = 0
    else if (++unexplained >= UNEXPLAINED_DEATHS) {
      throw new SluiceError(
        'SLUICE_RUNNER_DIED',
        `the runner ${describeCause(ending.cause)} ${unexplained} times, and no document alone is to blame`,
        {
          where: { run: setup.run },
          fix: 'lower --threads or raise --memory; what is done stays done, the same command goes on',
        },
      )
    }
  }
}

function describeCause(cause: 'crashed' | 'hung' | 'out_of_memory'): string {
  return { crashed: 'crashed', hung: 'hung', out_of_memory: 'grew past its memory limit' }[cause]
}

// ---- one life of the runner ----

async function runOnce(setup: RunnerSetup, watch: Watch, noteFile: string): Promise<Ending> {
  const child = startRunner(setup)
  let message: RunnerMessage | undefined
  child.on('message', (told: RunnerMessage) => {
    message = told
  })
  const watcher = new AbortController()
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)))
  const forward = () => child.kill('SIGTERM')
  const ignore = () => {} // a terminal's Ctrl-C reaches the runner by itself
  process.on('SIGTERM', forward)
  process.on('SIGINT', ignore)
  const verdict = watchRunner(child, watch, noteFile, watcher.signal)
  const end = await ended
  watcher.abort()
  process.off('SIGTERM', forward)
  process.off('SIGINT', ignore)
  const killed = await verdict
  if (killed) return { kind: 'died', ...killed }
  if (message) return { kind: 'told', message }
  if (end === runnerExit.done) return { kind: 'survived' }
  // By signal where it came before the runner could listen.
  if (end === runnerExit.interrupted || end === 'SIGINT' || end === 'SIGTERM') return { kind: 'interrupted' }
  return { kind: 'died', cause: end === runnerExit.workerDied ? 'out_of_memory' : 'crashed', suspects: inHand(noteFile) }
}

function startRunner(setup: RunnerSetup): ChildProcess {
  const script = fileURLToPath(new URL(`./runner-process${extname(import.meta.url)}`, import.meta.url))
  return spawn(process.execPath, [...process.execArgv, script, JSON.stringify(setup)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
}

/** Kills the runner where it hangs or grows too large, and says which documents are suspect. */
async function watchRunner(child: ChildProcess, watch: Watch, noteFile: string, signal: AbortSignal) {
  const since = new Map<number, { sequence: number; time: number }>()
  while (!signal.aborted) {
    await sleep(POLL_MS, undefined, { signal }).catch(() => {})
    if (signal.aborted || child.pid === undefined) return undefined
    if ((await residentBytes(child.pid)) > watch.memoryBytes) {
      child.kill('SIGKILL')
      return { cause: 'out_of_memory', suspects: inHand(noteFile) } as const
    }
    const stuck = stuckNotes(inHand(noteFile), since, watch.documentTimeoutMs)
    if (stuck.length > 0) {
      child.kill('SIGKILL')
      return { cause: 'hung', suspects: stuck } as const
    }
  }
  return undefined
}

function stuckNotes(notes: readonly Note[], since: Map<number, { sequence: number; time: number }>, timeoutMs: number): Note[] {
  const now = performance.now()
  return notes.filter(({ slot, sequence, activity }) => {
    const last = since.get(slot)
    if (last?.sequence !== sequence) since.set(slot, { sequence, time: now })
    // A reader may wait for a slow server as long as it likes.
    return activity === 'working' && last?.sequence === sequence && now - last.time > timeoutMs
  })
}

function inHand(noteFile: string): Note[] {
  return existsSync(noteFile) ? readNotes(noteFile) : []
}

async function residentBytes(pid: number): Promise<number> {
  try {
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024
  } catch {
    if (process.platform === 'linux') return 0 // it just ended
    return Number(spawnSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' }).stdout) * 1024 || 0
  }
}

// ---- trials ----

/** @returns how many documents were quarantined; undefined where the user interrupted the trials */
async function findGuilty(
  plan: Plan,
  setup: RunnerSetup,
  watch: Watch,
  folder: RunFolder,
  suspects: readonly Note[],
  say: (line: string) => void,
): Promise<number | undefined> {
  let guilty = 0
  for (const note of suspects) {
    const options = { signal: new AbortController().signal, partitionBytes: setup.partitionBytes, memoryBytes: setup.taskMemoryBytes }
    const request = (await phaseRequests(plan, folder, note.phase, options))[note.partition]
    const { source } = request.partition.input
    const id = note.id === '' ? documentId(source, note.offset) : note.id
    const ending = await runOnce(
      { ...setup, trial: { phase: note.phase, partition: note.partition, suspects: [id] } },
      watch,
      folder.noteFile,
    )
    if (ending.kind === 'interrupted') return undefined
    if (ending.kind !== 'died') continue
    const stage = note.activity === 'reading' ? 'source' : (plan.phases[note.phase].stageNames[note.stage] ?? '')
    await folder.addQuarantine({ id, source, offset: note.offset, stage, cause: ending.cause, message: '' })
    say(`quarantined one: alone with it the runner ${describeCause(ending.cause)} (stage ${stage}, ${source}, offset ${note.offset})`)
    guilty++
  }
  return guilty
}
