// Runs tasks in this very thread, one after another: for `sluice task`, pilots and tests.

import { runMergeTask } from '../engine/merge-task.ts'
import { clearNotes, NoteSlot } from '../engine/notes.ts'
import type { Plan } from '../engine/plan.ts'
import type { RunFolder } from '../engine/run-folder.ts'
import type { Executor } from '../engine/runner.ts'
import { runTask } from '../engine/task.ts'
import { redactText } from '../pii/redact.ts'

export function inlineExecutor(plan: Plan, folder: RunFolder, signal: AbortSignal): Executor & Disposable {
  clearNotes(folder.noteFile)
  const notes = new NoteSlot(folder.noteFile, 0)
  const counts = { documents: 0, inputBytes: 0 }
  const progress = (documents: number, inputBytes: number) => {
    counts.documents += documents
    counts.inputBytes += inputBytes
  }
  return {
    concurrency: 1,
    runTask: async (request) => {
      const phase = folder.phase(request.phase, request.phaseHash)
      const marker = await runTask(plan, phase, request, { signal, notes, progress, redact: redactText })
      await phase.writeMarker(marker)
    },
    runMerge: (request) => runMergeTask(plan, request, signal),
    progress: () => counts,
    [Symbol.dispose]: () => notes.close(),
  }
}
