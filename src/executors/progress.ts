// Progress on standard error: a bar per phase on a terminal, JSON lines otherwise.

import { MultiBar, type SingleBar } from 'cli-progress'
import pino from 'pino'
import type { Phase } from '../engine/plan.ts'
import type { Marker } from '../engine/run-folder.ts'
import type { Executor, Reporter } from '../engine/runner.ts'
import type { Summary } from '../engine/summary.ts'

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
}

export function progressReporter(executor: Executor, { isJson }: { isJson: boolean }): Reporter & Disposable {
  return process.stderr.isTTY && !isJson ? barReporter(executor) : lineReporter(executor)
}

function begin(executor: Executor, info: { phase: Phase; phases: number; tasks: number; done: number }): PhaseState {
  const { phase, phases, tasks, done } = info
  const end = phase.end.kind === 'checkpoint' ? 'checkpoint' : phase.end.name
  return {
    title: `phase ${phase.index + 1}/${phases} → ${end}`,
    total: tasks,
    done,
    start: performance.now(),
    before: executor.progress(),
    kept: 0,
    documents: 0,
  }
}

function rates(state: PhaseState, executor: Executor) {
  const seconds = Math.max(0.001, (performance.now() - state.start) / 1000)
  const { documents, inputBytes } = executor.progress()
  const share = state.documents === 0 ? undefined : state.kept / state.documents
  return {
    documents: documents - state.before.documents,
    documentsPerSecond: Math.round((documents - state.before.documents) / seconds),
    megabytesPerSecond: Math.round((inputBytes - state.before.inputBytes) / seconds / 1e4) / 100,
    keptShare: share === undefined ? undefined : Math.round(share * 1000) / 1000,
  }
}

// ---- a terminal ----

function barReporter(executor: Executor): Reporter & Disposable {
  const bars = new MultiBar({
    format: '{title} {bar} {value}/{total} tasks · {documents} documents · {rate} · kept {kept} · ETA {eta_formatted}',
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
    const { documents, documentsPerSecond, megabytesPerSecond, keptShare } = rates(state, executor)
    const megabytes = megabytesPerSecond > 0 ? `, ${megabytesPerSecond.toFixed(1)} MB/s` : ''
    bar.update(state.done, {
      title: state.title,
      documents,
      rate: `${documentsPerSecond}/s${megabytes}`,
      kept: keptShare === undefined ? '–' : `${(keptShare * 100).toFixed(0)} %`,
    })
  }
  const timer = setInterval(draw, BAR_MS)
  return {
    phaseStarted: (info) => {
      state = begin(executor, info)
      bar = bars.create(info.tasks, info.done, { title: state.title, documents: 0, rate: '', kept: '–' })
    },
    taskDone: (marker) => {
      note(state, marker)
      draw()
    },
    mergeStarted: (barrier, step) => bars.log(`merging ${barrier}: ${step}\n`),
    phaseDone: () => draw(),
    [Symbol.dispose]: () => {
      clearInterval(timer)
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
    [Symbol.dispose]: () => clearInterval(timer),
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
