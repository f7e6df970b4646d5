// A worker thread of the local executor: rebuilds the plan once, then runs the tasks it is handed.

import { threadId } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { packError } from '../core/errors.ts'
import { runMergeTask } from '../engine/merge-task.ts'
import { NoteSlot } from '../engine/notes.ts'
import type { Plan } from '../engine/plan.ts'
import { RunFolder } from '../engine/run-folder.ts'
import { runTask } from '../engine/task.ts'
import type { TaskRequest } from '../engine/task-scope.ts'
import { redactText } from '../pii/redact.ts'
import { type Answer, assertSamePlan, COUNTER_SLOTS, planOf, type Work, type WorkerSetup } from './setup.ts'

const setup: WorkerSetup = Piscina.workerData
const folder = new RunFolder(setup.run)
const notes = new NoteSlot(folder.noteFile, threadId)
const counters = new Float64Array(setup.counters, (threadId % COUNTER_SLOTS) * 16, 2)
const { signal } = new AbortController() // an abort ends the whole thread
let plan: Plan | undefined

export default async function work(message: Work): Promise<Answer> {
  try {
    plan ??= await rebuild()
    if ('task' in message) await task(plan, message.task)
    else await runMergeTask(plan, message.merge, signal)
    return {}
  } catch (error) {
    return { error: packError(error) }
  }
}

async function rebuild(): Promise<Plan> {
  const rebuilt = await planOf(setup)
  assertSamePlan(rebuilt, setup.planHash)
  return rebuilt
}

async function task(plan: Plan, request: TaskRequest): Promise<void> {
  const phase = folder.phase(request.phase, request.phaseHash)
  const progress = (documents: number, inputBytes: number) => {
    counters[0] += documents
    counters[1] += inputBytes
  }
  const marker = await runTask(plan, phase, request, { signal, notes, progress, redact: redactText })
  if (!request.suspect) await phase.writeMarker(marker)
}
