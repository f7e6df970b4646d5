// Runs a pipeline in this very process: for tests of the gate that need no supervisor.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defaultChoices } from '../../src/engine/choices.ts'
import type { Pipeline } from '../../src/engine/pipeline.ts'
import { makePlan } from '../../src/engine/plan.ts'
import { RunFolder } from '../../src/engine/run-folder.ts'
import { type Executor, type Reporter, type RunResult, runPlan } from '../../src/engine/runner.ts'
import { inlineExecutor } from '../../src/executors/inline.ts'

/** A folder that goes away with the test, with `in/<n>.jsonl` of the texts in it. */
export function inputFolder(t: { after: (clean: () => void) => void }, ...files: readonly (readonly string[])[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, 'in'))
  for (const [index, texts] of files.entries())
    writeFileSync(join(folder, 'in', `${index}.jsonl`), texts.map((text) => `${JSON.stringify({ text })}\n`).join(''))
  return folder
}

const silent: Reporter = { phaseStarted: () => {}, taskDone: () => {}, mergeStarted: () => {}, phaseDone: () => {} }

export interface Here {
  /** Run folder. */
  readonly run: string
  readonly maxErrorRate?: number
  readonly reporter?: Partial<Reporter>
  readonly executor?: (inner: Executor) => Executor
}

export async function runHere(pipeline: Pipeline, { run, maxErrorRate = 0.05, reporter, executor }: Here): Promise<RunResult> {
  mkdirSync(run, { recursive: true })
  const plan = await makePlan(pipeline, 'pipeline.ts', {}, defaultChoices)
  const folder = new RunFolder(run)
  const { signal } = new AbortController()
  using inline = inlineExecutor(plan, folder, signal)
  const options = { signal, partitionBytes: 1e9, memoryBytes: 64e6, maxErrorRate }
  return await runPlan(plan, folder, executor ? executor(inline) : inline, { ...silent, ...reporter }, options)
}

/** Texts of all shards, by shard. */
export function shardTexts(folder: string): string[][] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.jsonl'))
  return names.sort().map((name) =>
    readFileSync(join(folder, name), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).text),
  )
}
