// A run folder as the audit sees it: the frozen plan, what its seals and markers say, and where the receipts of the sealed
// attempts lie. An unfinished run is read as far as it has come.

import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { SluiceError } from '../core/errors.ts'
import { phaseHash } from '../engine/plan.ts'
import { mergedFolder } from '../engine/requests.ts'
import { type FrozenPlan, type FrozenStage, type Marker, type PhaseFolder, RunFolder, type Seal } from '../engine/run-folder.ts'
import { chainSummaries, mergeSummaries, type QuarantineNote, type Summary } from '../engine/summary.ts'

export interface AuditedPhase {
  readonly index: number
  /** What its end is, for a person: `minhashDedup`, `checkpoint`, the sink. */
  readonly end: string
  /** Map stages and, first, the barrier that it applies: those that the summary counts, in its order. */
  readonly stages: readonly FrozenStage[]
  readonly state: 'sealed' | 'begun' | 'missing'
  /** Tasks whose marker is there. */
  readonly tasks: number
  /** Of the finished tasks. */
  readonly summary: Summary
  /** Parquet files of the chosen attempts. */
  readonly statistics: readonly string[]
  readonly rejected: readonly string[]
  /** Documents as they stood at the phase's end, a file a partition; none before the phase is sealed, or behind its sink. */
  readonly items: readonly string[]
  /** Folder that a merge step of the barrier at the phase's end wrote into; undefined before the phase is sealed. */
  readonly merged: (step: string) => string | undefined
}

const shard = z.object({ name: z.string(), rows: z.number(), bytes: z.number(), tokens: z.number().optional() })
const outputs = z.array(z.object({ path: z.string(), shards: z.array(shard) }))
const manifest = z.looseObject({ planHash: z.string(), outputs })

export interface AuditedRun {
  readonly path: string
  readonly plan: FrozenPlan
  readonly phases: readonly AuditedPhase[]
  readonly isFinished: boolean
  /** Of the whole run, or of what there is of it. */
  readonly summary: Summary
  /** All that were ever quarantined: the summary keeps the first ones only. */
  readonly quarantine: readonly QuarantineNote[]
  /** Empty before the run is finished. */
  readonly outputs: z.infer<typeof outputs>
}

/** @throws SluiceError `SLUICE_RUN_MISSING` where the folder is not a run, and what reading a run folder throws */
export async function readRun(path: string): Promise<AuditedRun> {
  const folder = new RunFolder(path)
  const plan = await folder.plan()
  if (!plan) {
    throw new SluiceError(
      'SLUICE_RUN_MISSING',
      existsSync(path) ? 'the folder holds no run: it has no run.json' : 'there is no such folder',
      {
        where: { folder: path },
        fix: 'give the run folder that sluice run named, such as runs/quickstart',
      },
    )
  }
  const phases = await readPhases(folder, plan)
  const published = await readManifest(path)
  const isFinished = phases.every(({ state }) => state === 'sealed') && published?.planHash === plan.planHash
  const counted = phases.filter(({ state }) => state !== 'missing').map(({ summary }) => summary)
  return {
    path,
    plan,
    phases,
    isFinished,
    summary: chainSummaries(counted),
    quarantine: await folder.quarantine(),
    outputs: isFinished ? published.outputs : [],
  }
}

async function readPhases(folder: RunFolder, plan: FrozenPlan): Promise<AuditedPhase[]> {
  const phases: AuditedPhase[] = []
  let before: Seal | undefined
  for (const [index, { hash, end, stages }] of plan.phases.entries()) {
    const counted = stages.filter(({ kind }) => kind === 'map' || kind === 'apply')
    const isReachable = index === 0 || before !== undefined
    const apply = counted.find(({ kind }) => kind === 'apply')
    const phaseFolder: PhaseFolder = folder.phase(index, phaseHash({ definition: hash, apply }, before))
    const found: Seal | undefined = isReachable ? await phaseFolder.seal() : undefined
    const seal: Seal | undefined = found && isOfSameInputs(found, before) ? found : undefined
    const tasks: readonly Marker[] = seal ? seal.tasks : isReachable ? await finishedTasks(phaseFolder, before) : []
    const names = counted.map(({ name }) => name)
    phases.push({
      index,
      end: end === 'checkpoint' ? end : (stages.at(-1)?.name ?? end),
      stages: counted,
      state: seal ? 'sealed' : tasks.length > 0 ? 'begun' : 'missing',
      tasks: tasks.length,
      summary:
        seal?.summary ??
        mergeSummaries(
          tasks.map(({ summary }) => summary),
          names,
        ),
      statistics: await dataFiles(phaseFolder, 'statistics', tasks),
      rejected: await dataFiles(phaseFolder, 'rejected', tasks),
      items: seal ? seal.tasks.map(({ partition, attempt }) => phaseFolder.data('items', partition, attempt)) : [],
      merged: (step) => (seal ? mergedFolder(phaseFolder, step, seal.tasks) : undefined),
    })
    before = seal
  }
  return phases
}

/** A seal may be of an earlier night, with other inputs, whose phase is not sealed anew yet. */
function isOfSameInputs(seal: Seal, before: Seal | undefined): boolean {
  return !before || seal.tasks.map(({ partition }) => partition).join() === before.tasks.map(({ partition }) => partition).join()
}

async function finishedTasks(folder: PhaseFolder, before: Seal | undefined): Promise<Marker[]> {
  const markers = [...(await folder.markers()).values()]
  const known = before && new Set(before.tasks.map(({ partition }) => partition))
  return known ? markers.filter(({ partition }) => known.has(partition)) : markers
}

/** `<partition>@<attempt>.parquet` and `<partition>@<attempt>-<n>.parquet` of these tasks, in their order. */
async function dataFiles(folder: PhaseFolder, kind: 'statistics' | 'rejected', tasks: readonly Marker[]): Promise<string[]> {
  const path = join(folder.path, kind)
  if (tasks.length === 0 || !existsSync(path)) return []
  const names = new Map<string, string[]>()
  for (const name of (await readdir(path)).sort()) {
    const attempt = /^(.*@[^-.]+)(?:-\d+)?\.parquet$/.exec(name)?.[1]
    if (attempt !== undefined) names.set(attempt, [...(names.get(attempt) ?? []), join(path, name)])
  }
  return tasks.flatMap(({ partition, attempt }) => names.get(`${partition}@${attempt}`) ?? [])
}

async function readManifest(path: string): Promise<z.infer<typeof manifest> | undefined> {
  const file = join(path, 'manifest.json')
  if (!existsSync(file)) return undefined
  try {
    return manifest.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch (cause) {
    throw new SluiceError('SLUICE_RUN_CORRUPT', 'manifest.json is not what a run writes', {
      where: { file },
      fix: 'remove the file and run again: only the publishing of the shards is done anew',
      cause,
    })
  }
}
