// Progress on standard error: a bar per phase on a terminal, JSON lines otherwise.

import { MultiBar, type SingleBar } from 'cli-progress'
import pino from 'pino'
import type { Marker } from '../engine/run-folder.ts'
import type { Executor, PhaseStart, Reporter } from '../engine/runner.ts'
import type { Summary } from '../engine/summary.ts'
import { onNotice } from '../io/notices.ts'

const BAR_MS = 200
const LINE_MS = 5000

interface PhaseState {
  readonly title: string
  readonly total: number
  done: number
  readonly start: number
  readonly before: { documents: number; inputBytes: number }
  kept: number
  documents: number
  /** The barrier's step that runs when all tasks are done. */
  merging?: string
  readonly bytesLeft: number
  readonly documentsLeft: number
}

export function progressReporter(executor: Executor, { isJson }: { isJson: boolean }): Reporter & Disposable {
  return process.stderr.isTTY && !isJson ? barReporter(executor) : lineReporter(executor)
}

function begin(executor: Executor, { phase, phases, tasks, done, bytesLeft, documentsLeft }: PhaseStart): PhaseState {
  const end = phase.end.kind === 'checkpoint' ? 'checkpoint' : phase.end.name
  return {
    title: `phase ${phase.index + 1}/${phases} → ${end}`,
    total: tasks,
    done,
    start: performance.now(),
    before: executor.progress(),
    kept: 0,
    documents: 0,
    bytesLeft,
    documentsLeft,
  }
}

function rates(state: PhaseState, executor: Executor) {
  const seconds = Math.max(0.001, (performance.now() - state.start) / 1000)
  const { documents, inputBytes } = executor.progress()
  const keptShare = state.documents === 0 ? undefined : state.kept / state.documents
  const here = { documents: documents - state.before.documents, bytes: inputBytes - state.before.inputBytes }
  const share = shareDone(state, here)
  return {
    documents: here.documents,
    documentsPerSecond: Math.round(here.documents / seconds),
    megabytesPerSecond: Math.round(here.bytes / seconds / 1e4) / 100,
    keptShare: keptShare === undefined ? undefined : Math.round(keptShare * 1000) / 1000,
    shareDone: Math.round(share * 1000) / 1000,
    etaSeconds: share > 0.01 ? Math.round((seconds * (1 - share)) / share) : undefined,
  }
}

/** Of what was to do when the phase began; by bytes or documents, by tasks where their sizes are unknown. */
function shareDone(state: PhaseState, { documents, bytes }: { documents: number; bytes: number }): number {
  if (state.done === state.total) return 1
  if (state.bytesLeft > 0) return Math.min(0.999, bytes / state.bytesLeft)
  if (state.documentsLeft > 0) return Math.min(0.999, documents / state.documentsLeft)
  return state.done / state.total
}

function duration(seconds: number): string {
  if (seconds < 100) return `${seconds} s`
  return seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`
}

// ---- a terminal ----

function barReporter(executor: Executor): Reporter & Disposable {
  const bars = new MultiBar({
    format: '{title} {bar} {tasks} tasks · {documents} documents · {rate} · kept {kept} · {left}',
    stream: process.stderr,
    hideCursor: true,
    barsize: 24,
    emptyOnZero: true,
    autopadding: false,
  })
  let bar: SingleBar | undefined
  let state: PhaseState | undefined
  const draw = () => {
    if (!bar || !state) return
    const { documents, documentsPerSecond, megabytesPerSecond, keptShare, shareDone, etaSeconds } = rates(state, executor)
    const megabytes = megabytesPerSecond > 0 ? `, ${megabytesPerSecond.toFixed(1)} MB/s` : ''
    bar.update(shareDone, {
      tasks: `${state.done}/${state.total}`,
      left: state.merging ?? (shareDone === 1 ? 'done' : etaSeconds === undefined ? '…' : `${duration(etaSeconds)} left`),
      title: state.title,
      documents,
      rate: `${documentsPerSecond}/s${megabytes}`,
      kept: keptShare === undefined ? '–' : `${(keptShare * 100).toFixed(0)} %`,
    })
  }
  const timer = setInterval(draw, BAR_MS)
  const notices = onNotice((message) => bars.log(`${message}\n`))
  return {
    phaseStarted: (info) => {
      state = begin(executor, info)
      bar = bars.create(1, 0, { title: state.title, tasks: `${info.done}/${info.tasks}`, documents: 0, rate: '', kept: '–', left: '…' })
    },
    taskDone: (marker) => {
      note(state, marker)
      draw()
    },
    mergeStarted: (barrier, step) => {
      if (state) state.merging = `merging ${barrier}: ${step}`
      draw()
    },
    phaseDone: () => {
      if (state) state.merging = undefined
      draw()
    },
    [Symbol.dispose]: () => {
      clearInterval(timer)
      notices[Symbol.dispose]()
      draw()
      bars.stop()
    },
  }
}

// ---- a log ----

function lineReporter(executor: Executor): Reporter & Disposable {
  const log = pino({ base: undefined }, pino.destination({ dest: 2, sync: true }))
  let state: PhaseState | undefined
  const tick = () => {
    if (state) log.info({ phase: state.title, tasks: state.total, done: state.done, ...rates(state, executor) }, 'progress')
  }
  const timer = setInterval(tick, LINE_MS)
  const notices = onNotice((message) => log.info(message))
  return {
    phaseStarted: (info) => {
      state = begin(executor, info)
      log.info({ phase: state.title, tasks: info.tasks, done: info.done }, 'phase started')
    },
    taskDone: (marker) => note(state, marker),
    mergeStarted: (barrier, step) => log.info({ barrier, step }, 'merge started'),
    phaseDone: (_phase, summary, isNew) => {
      log.info({ phase: state?.title, ...brief(summary), isNew }, isNew ? 'phase done' : 'phase was done before')
      state = undefined
    },
    [Symbol.dispose]: () => {
      clearInterval(timer)
      notices[Symbol.dispose]()
    },
  }
}

function note(state: PhaseState | undefined, { summary }: Marker): void {
  if (!state) return
  state.done++
  state.kept += summary.kept
  state.documents += summary.documents
}

function brief({ documents, kept, dropped, quarantined, damaged }: Summary) {
  return { documents, kept, dropped, quarantined, damaged }
}
