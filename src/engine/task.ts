// One task: all of one partition through one phase, inside one worker. Input (a source or the phase before) → fused
// stages → what ends the phase, composed by Node streams, so that back-pressure, errors and aborts are Node's own. The
// stages are one Transform: twelve streams in a row would hold hundreds of batches alive, one holds a few.

import { Readable, Transform, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Item } from '../core/document.ts'
import type { Plan } from './plan.ts'
import { Receipts } from './receipts.ts'
import type { Marker, PhaseFolder } from './run-folder.ts'
import { openChain } from './stage-chain.ts'
import { openEnd } from './task-end.ts'
import { type Batch, readInput } from './task-input.ts'
import type { TaskHost, TaskRequest, TaskScope } from './task-scope.ts'

/** @returns the marker that makes the task done once it is written */
export async function runTask(plan: Plan, folder: PhaseFolder, request: TaskRequest, host: TaskHost): Promise<Marker> {
  const start = performance.now()
  const phase = plan.phases[request.phase]
  const receipts = new Receipts(phase.stageNames, plan.choices, host.redact)
  const scope: TaskScope = { plan, phase, folder, request, host, receipts }
  host.notes.enter(phase.index, request.partition.index)
  await using chain = await openChain(scope)
  const end = await openEnd(scope)
  const stream = { objectMode: true, highWaterMark: 1 }
  await pipeline(
    Readable.from(readInput(scope), stream),
    new Transform({
      ...stream,
      transform: (batch: Batch, _encoding, done) => void chain.process(batch).then((items) => done(null, items), done),
    }),
    new Writable({ ...stream, write: (items: Item[], _encoding, done) => void end.write(items).then(() => done(), done) }),
    { signal: host.signal },
  )
  const teed = await chain.close()
  const { rows, output } = await end.close()
  host.notes.idle() // only now: where it failed, the note says on which document
  receipts.summary.seconds = (performance.now() - start) / 1000
  const { id, input } = request.partition
  const { attempt, basis } = request
  return { partition: id, attempt, basis, input, rows, outputs: output ? [...teed, output] : teed, summary: receipts.summary }
}
