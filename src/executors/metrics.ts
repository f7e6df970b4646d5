// The run's counts in OpenMetrics form, in a file that a node exporter's textfile collector or a cron job picks up.
// Written by rename, so that no reader sees half of one. https://prometheus.io/docs/specs/om/open_metrics_spec/

import { renameSync, writeFileSync } from 'node:fs'
import type { Executor, Reporter } from '../engine/runner.ts'
import { chainSummaries, mergeSummaries, type Summary } from '../engine/summary.ts'

const WRITE_MS = 5000

/** Writes while the run goes on and once more at its end. */
export function metricsReporter(path: string, pipeline: string, executor: Executor, inner: Reporter & Disposable): Reporter & Disposable {
  const phases: Summary[] = []
  let tasks: Summary[] = []
  let stageNames: readonly string[] = []
  let isDone = false
  const write = () => {
    const all = tasks.length === 0 ? phases : [...phases, mergeSummaries(tasks, stageNames)]
    writeFileSync(`${path}.tmp`, metricsText(pipeline, chainSummaries(all), executor.progress(), isDone))
    renameSync(`${path}.tmp`, path)
  }
  const timer = setInterval(write, WRITE_MS)
  return {
    phaseStarted: (info) => {
      stageNames = info.phase.stageNames
      tasks = []
      inner.phaseStarted(info)
    },
    taskDone: (marker) => {
      tasks.push(marker.summary)
      inner.taskDone(marker)
    },
    mergeStarted: (barrier, step) => inner.mergeStarted(barrier, step),
    phaseDone: (phase, summary, isNew) => {
      phases.push(summary)
      tasks = []
      inner.phaseDone(phase, summary, isNew)
    },
    finished: () => {
      isDone = true
    },
    [Symbol.dispose]: () => {
      clearInterval(timer)
      write()
      inner[Symbol.dispose]()
    },
  }
}

export function metricsText(
  pipeline: string,
  summary: Summary,
  progress: { documents: number; inputBytes: number },
  isDone: boolean,
): string {
  const lines: string[] = []
  const family = (
    name: string,
    type: 'counter' | 'gauge',
    help: string,
    samples: readonly (readonly [labels: Record<string, string>, value: number])[],
  ) => {
    lines.push(`# TYPE sluice_${name} ${type}`, `# HELP sluice_${name} ${help}`)
    for (const [labels, value] of samples) {
      const pairs = Object.entries({ pipeline, ...labels }).map(([key, text]) => `${key}="${escapeLabel(text)}"`)
      lines.push(`sluice_${name}${type === 'counter' ? '_total' : ''}{${pairs.join(',')}} ${value}`)
    }
  }
  const { records, damaged, documents, kept, quarantined, ignored, stages } = summary
  family('records', 'counter', 'Records read from the inputs.', [[{}, records]])
  family('damaged_records', 'counter', 'Records that could not be read.', [[{}, damaged]])
  family(
    'ignored_records',
    'counter',
    'Records that are no documents.',
    Object.entries(ignored).map(([reason, count]) => [{ reason }, count]),
  )
  family('documents', 'counter', 'Documents that entered the pipeline.', [[{}, documents]])
  family('kept_documents', 'gauge', 'Documents that came through so far.', [[{}, kept]])
  family('quarantined_documents', 'counter', 'Documents set aside because a stage failed on them.', [[{}, quarantined]])
  const drops = stages.flatMap(({ name, dropped }) =>
    Object.entries(dropped).map(([reason, count]) => [{ stage: name, reason }, count] as const),
  )
  family('dropped_documents', 'counter', 'Documents dropped, by stage and reason.', drops)
  family(
    'stage_seconds',
    'counter',
    'Worker time inside a stage.',
    stages.map(({ name, seconds }) => [{ stage: name }, seconds]),
  )
  family('worked_documents', 'counter', 'Documents that workers looked at since this process started, in any phase.', [
    [{}, progress.documents],
  ])
  family('input_bytes', 'counter', 'Bytes of input read since this process started.', [[{}, progress.inputBytes]])
  family('finished', 'gauge', '1 when the run is done.', [[{}, Number(isDone)]])
  return `${lines.join('\n')}\n# EOF\n`
}

function escapeLabel(text: string): string {
  return text.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n')
}
