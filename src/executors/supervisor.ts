// The supervisor: a small process that outlives what happens to the runner. It starts the runner, watches its memory and
// whether its documents move, and when the runner dies, hangs or grows past its limit, tries the documents that were in
// hand one by one in a process of their own, quarantines the guilty and starts the runner again.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { SluiceError, unpackError } from '../core/errors.ts'
import { clearNotes, type Note, readNotes } from '../engine/notes.ts'
import type { Plan } from '../engine/plan.ts'
import { phaseRequests } from '../engine/requests.ts'
import { RunFolder } from '../engine/run-folder.ts'
import type { RunResult } from '../engine/runner.ts'
import { redactText } from '../pii/redact.ts'
import type { Cause, Loss, RunnerMessage, RunnerSetup } from './runner-setup.ts'

const POLL_MS = 200
/** Deaths without a guilty document before the run is given up. */
const UNEXPLAINED_DEATHS = 3

export interface Watch {
  /** Resident bytes of the runner process, all threads together. */
  readonly memoryBytes: number
  /** How long one document may take in one stage. */
  readonly documentTimeoutMs: number
}

/** How one life of the runner ended. */
type Ending = Exclude<RunnerMessage, { lost: Loss }> | { readonly lost: Loss; readonly suspects: readonly Note[] }

/** Runs the plan under supervision; undefined where the user interrupted it. */
export async function supervise(plan: Plan, setup: RunnerSetup, watch: Watch, say: (line: string) => void): Promise<RunResult | undefined> {
  for (let unexplained = 0; ; ) {
    const ending = await runOnce(setup, watch)
    if ('ended' in ending) return undefined
    if ('error' in ending) throw unpackError(ending.error)
    if ('result' in ending) return ending.result
    const { lost, suspects } = ending
    say(`the runner ${describe(lost)}; ${suspects.length === 0 ? 'starting it again' : 'trying what it had in hand, document by document'}`)
    const guilty = await findGuilty(plan, setup, watch, suspects, say)
    if (guilty === undefined) return undefined
    if (guilty > 0) unexplained = 0
    else if (++unexplained >= UNEXPLAINED_DEATHS) throw unexplainedDeath(lost, setup.run)
  }
}

function unexplainedDeath({ cause, message }: Loss, run: string): SluiceError {
  const advice: Record<Cause, string> = {
    threw: 'mend the stage',
    crashed: 'mend the stage that ends the process or its thread: it is not one document that it fails on',
    hung: 'raise --document-timeout, or lower --threads',
    out_of_memory: 'lower --threads or raise --memory',
  }
  const what = `the runner ${describe({ cause, message })} ${UNEXPLAINED_DEATHS} times, and no document alone is to blame`
  return new SluiceError('SLUICE_RUNNER_DIED', what, {
    where: { run },
    fix: `${advice[cause]}; what is done stays done, the same command goes on`,
  })
}

function describe({ cause, message }: Loss): string {
  const what = { threw: 'failed on a document', crashed: 'crashed', hung: 'hung', out_of_memory: 'grew past its memory limit' }[cause]
  return message === '' ? what : `${what} (${redactText(message)})`
}

// ---- one life of the runner ----

async function runOnce(setup: RunnerSetup, watch: Watch): Promise<Ending> {
  const { noteFile } = new RunFolder(setup.run)
  clearNotes(noteFile) // what an earlier life had in hand says nothing about this one
  const child = startRunner(setup)
  let message: RunnerMessage | undefined
  child.on('message', (told: RunnerMessage) => {
    message = told
  })
  const watcher = new AbortController()
  const forward = () => child.kill('SIGTERM')
  const ignore = () => {} // a terminal's Ctrl-C reaches the runner by itself
  process.on('SIGTERM', forward)
  process.on('SIGINT', ignore)
  const killed = watchRunner(child, watch, noteFile, watcher.signal)
  const end = await ended(child)
  watcher.abort()
  process.off('SIGTERM', forward)
  process.off('SIGINT', ignore)
  const verdict = await killed
  if (verdict) return verdict
  if (message) return 'lost' in message ? { ...message, suspects: readNotes(noteFile) } : message
  // By signal where it came before the runner could listen, or a second time.
  if (end === 'SIGINT' || end === 'SIGTERM') return { ended: 'interrupted' }
  return { lost: { cause: 'crashed', message: typeof end === 'string' ? end : '' }, suspects: readNotes(noteFile) }
}

/** The runner's output is for people, whoever wrote it: standard output belongs to the result. A trial repeats what was said. */
function startRunner(setup: RunnerSetup): ChildProcess {
  const script = fileURLToPath(new URL(`./runner-process${extname(import.meta.url)}`, import.meta.url))
  const output = setup.trial ? 'ignore' : 2
  return spawn(process.execPath, [...process.execArgv, script, JSON.stringify(setup)], { stdio: ['ignore', output, output, 'ipc'] })
}

/** Resolves when the process is gone and all it said has been heard: its exit may come before its last message. */
async function ended(child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  const disconnected = new Promise<void>((resolve) => child.once('disconnect', () => resolve()))
  const exited = new Promise<number | NodeJS.Signals | null>((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)))
  await disconnected
  return await exited
}

/** Kills the runner where it hangs or grows too large, and says which documents are suspect. */
async function watchRunner(child: ChildProcess, watch: Watch, noteFile: string, signal: AbortSignal): Promise<Ending | undefined> {
  const since = new Map<number, { sequence: number; time: number }>()
  while (!signal.aborted) {
    await sleep(POLL_MS, undefined, { signal }).catch(() => {})
    if (signal.aborted || child.pid === undefined) return undefined
    const notes = readNotes(noteFile)
    const stuck = stuckNotes(notes, since, watch.documentTimeoutMs)
    const isTooLarge = (await residentBytes(child.pid)) > watch.memoryBytes
    if (!isTooLarge && stuck.length === 0) continue
    child.kill('SIGKILL')
    return isTooLarge
      ? { lost: { cause: 'out_of_memory', message: '' }, suspects: readNotes(noteFile) }
      : { lost: { cause: 'hung', message: '' }, suspects: stuck }
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
  suspects: readonly Note[],
  say: (line: string) => void,
): Promise<number | undefined> {
  const folder = new RunFolder(setup.run)
  let guilty = 0
  for (const note of suspects) {
    const { phase, partition, id, offset } = note
    const ending = await runOnce({ ...setup, trial: { phase, partition, suspect: { id, offset } } }, watch)
    if ('ended' in ending && ending.ended === 'interrupted') return undefined
    // Guilty is who was in hand: a trial may die of something else, such as too little memory for an empty runner.
    if (!('lost' in ending) || !ending.suspects.some((held) => held.id === id)) continue
    const { cause, message } = ending.lost
    const options = { signal: new AbortController().signal, partitionBytes: setup.partitionBytes, memoryBytes: setup.taskMemoryBytes }
    const { source } = (await phaseRequests(plan, folder, phase, options))[partition].partition.input
    const stage = stageOf(plan, note)
    if (!(await folder.addQuarantine({ id, source, offset, stage, cause, message: redactText(message) }))) continue
    say(`quarantined one: alone with it the runner ${describe(ending.lost)} (stage ${stage}, ${source}, offset ${offset})`)
    guilty++
  }
  return guilty
}

function stageOf(plan: Plan, note: Note): string {
  if (note.activity === 'reading') return 'source'
  const { stageNames, end } = plan.phases[note.phase]
  return stageNames[note.stage] ?? (end.kind === 'checkpoint' ? end.kind : end.name)
}
