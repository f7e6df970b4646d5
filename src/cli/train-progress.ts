// Progress of a training run: a bar on a terminal, JSON lines otherwise. Notices go to standard error.

import { SingleBar } from 'cli-progress'
import pino from 'pino'
import { formatBytes, formatCount, formatSeconds } from '../core/format.ts'
import type { Evaluation } from '../train/checkpoint.ts'
import type { TrainReport } from '../train/loop.ts'

/** Between two lines of a log that nobody watches. */
const LINE_MS = 5000

export interface TrainProgress extends Disposable {
  readonly report: (report: TrainReport) => void
  readonly notice: (line: string) => void
}

export function trainProgress(isJson: boolean): TrainProgress {
  if (isJson) return jsonLines()
  return process.stderr.isTTY ? bar() : logLines()
}

/** Everything, for a program. */
function jsonLines(): TrainProgress {
  const write = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`)
  return { report: write, notice: (text) => write({ event: 'notice', text }), [Symbol.dispose]: () => {} }
}

/** Evaluations and checkpoints, and a step now and then, for a log file. */
function logLines(): TrainProgress {
  const log = pino({ base: undefined }, pino.destination({ dest: 2, sync: true }))
  let last = Number.NEGATIVE_INFINITY
  return {
    report: ({ event, ...facts }) => {
      if (event === 'skip' || event === 'rollback') return log.warn(facts, event)
      if (event === 'step') {
        if (performance.now() - last < LINE_MS) return
        last = performance.now()
      }
      log.info(facts, event)
    },
    notice: (line) => log.info(line),
    [Symbol.dispose]: () => {},
  }
}

function bar(): TrainProgress {
  const view = new SingleBar({
    format: 'step {value}/{total} {bar} loss {loss} · {validation}{rate} tokens/s{utilization} · {memory} · {left} left',
    stream: process.stderr,
    hideCursor: true,
    barsize: 24,
    autopadding: false,
  })
  let isShown = false
  let evaluation: Evaluation | undefined
  const stop = () => {
    if (isShown) view.stop()
    isShown = false
  }
  const notice = (line: string) => {
    stop()
    process.stderr.write(`${line}\n`)
  }
  return {
    report: (report) => {
      if (report.event === 'evaluation') evaluation = report
      if (report.event === 'skip') notice(`step ${report.step} left out: ${report.reason}`)
      if (report.event === 'rollback')
        notice(`${report.reason ? `${report.reason}: ` : ''}back to step ${report.to}, on with the documents after step ${report.step}`)
      if (report.event !== 'step') return
      const { step, steps, smoothedLoss, tokensPerSecond, utilization, secondsLeft, memoryBytes } = report
      const values = {
        loss: smoothedLoss.toFixed(3),
        validation: evaluation ? `validation ${evaluation.loss.toFixed(3)}${bits(evaluation)} · ` : '',
        rate: formatCount(tokensPerSecond),
        utilization: utilization === undefined ? '' : ` (${(utilization * 100).toFixed(0)} % of peak)`,
        memory: formatBytes(memoryBytes),
        left: formatSeconds(secondsLeft),
      }
      if (!isShown) view.start(steps, step - 1, values) // a resumed run's bar begins where it goes on
      isShown = true
      view.update(step, values)
    },
    notice,
    [Symbol.dispose]: stop,
  }
}

const bits = ({ bitsPerByte }: Evaluation) => (bitsPerByte === null ? '' : ` (${bitsPerByte.toFixed(3)} bits/byte)`)
