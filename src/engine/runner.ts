// The gate: walks the phases in order, has the executor do the tasks that have no marker yet, checks that the counts
// close, merges barriers, seals, publishes. Everything it knows is on disk, so it may die anywhere and be started again.

import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SluiceError } from '../core/errors.ts'
import { makeFolder } from '../io/make-folder.ts'
import { writeWhole } from '../io/write-whole.ts'
import { DiskForecast } from './disk-forecast.ts'
import { ErrorRate } from './error-rate.ts'
import type { MergeRequest } from './merge-task.ts'
import { buildOf, claimOutputs, publish, publishedDigests, sinkPaths } from './output.ts'
import type { ErasedBarrier } from './pipeline.ts'
import { freezePlan, type Phase, type Plan, type PlannedPartition, partitionBytes, phaseHash, planPartitions } from './plan.ts'
import { basisOf, makeRequests, mergedFolder, type RequestOptions } from './requests.ts'
import type { Marker, PhaseFolder, RunFolder, Seal } from './run-folder.ts'
import { assertCloses, chainSummaries, mergeSummaries, type QuarantineNote, type Summary } from './summary.ts'
import type { TaskRequest } from './task-scope.ts'

/** Runs tasks somewhere. A task is done when its marker is there; a rejected promise fails the run. */
export interface Executor {
  readonly concurrency: number
  readonly runTask: (request: TaskRequest) => Promise<void>
  readonly runMerge: (request: MergeRequest) => Promise<void>
  /** Since the executor was made: for the progress line. */
  readonly progress: () => { readonly documents: number; readonly inputBytes: number }
}

export interface PhaseStart {
  readonly phase: Phase
  readonly phases: number
  readonly tasks: number
  readonly done: number
  /** What the tasks that are still to do will read: bytes in the first phase, documents in the later ones. 0 where unknown. */
  readonly bytesLeft: number
  readonly documentsLeft: number
}

/** Hears how the run goes. */
export interface Reporter {
  phaseStarted(info: PhaseStart): void
  taskDone(marker: Marker): void
  mergeStarted(barrier: string, step: string): void
  phaseDone(phase: Phase, summary: Summary, isNew: boolean): void
  /** All is published. */
  finished?(): void
}

export interface RunOptions extends RequestOptions {
  /** Share of records that may be damaged or quarantined. */
  readonly maxErrorRate: number
}

export interface RunResult {
  readonly summary: Summary
  readonly outputs: readonly string[]
  readonly shards: number
}

export async function runPlan(
  plan: Plan,
  folder: RunFolder,
  executor: Executor,
  reporter: Reporter,
  options: RunOptions,
): Promise<RunResult> {
  const runner = new Runner(plan, folder, executor, reporter, options)
  return await runner.run()
}

class Runner {
  readonly #plan: Plan
  readonly #folder: RunFolder
  readonly #executor: Executor
  readonly #reporter: Reporter
  readonly #options: RunOptions
  readonly #artifacts: Record<string, string> = {}
  #quarantined: readonly QuarantineNote[] = []
  #published: ReadonlyMap<string, string> = new Map()

  constructor(plan: Plan, folder: RunFolder, executor: Executor, reporter: Reporter, options: RunOptions) {
    this.#plan = plan
    this.#folder = folder
    this.#executor = executor
    this.#reporter = reporter
    this.#options = options
  }

  async run(): Promise<RunResult> {
    await claimOutputs(this.#plan)
    await this.#folder.writePlan(freezePlan(this.#plan))
    this.#quarantined = await this.#folder.quarantine()
    this.#published = await publishedDigests(this.#plan)
    const partitions = await planPartitions(this.#plan, this.#options)
    if (partitions.length === 0)
      throw new SluiceError('SLUICE_NO_INPUT', 'the sources have no input at all', {
        fix: 'check the paths of the sources: sluice plan shows what they found',
      })

    const seals = (await this.#finishedBefore(partitions)) ?? (await this.#runPhases(partitions))
    const summary = chainSummaries(seals.map((seal) => seal.summary))
    assertCloses(summary, 'the run')
    const outputs = await publish(this.#plan, seals)
    await this.#publishBarriers(seals)
    await writeWhole(join(this.#folder.path, 'summary.json'), JSON.stringify(summary))
    await writeWhole(join(this.#folder.path, 'manifest.json'), JSON.stringify({ ...freezePlan(this.#plan), outputs }, undefined, 2))
    this.#reporter.finished?.()
    return { summary, outputs: outputs.map(({ path }) => path), shards: outputs.reduce((sum, { shards }) => sum + shards.length, 0) }
  }

  async #runPhases(partitions: readonly PlannedPartition[]): Promise<Seal[]> {
    const seals: Seal[] = []
    for (const phase of this.#plan.phases) seals.push(await this.#runPhase(phase, partitions, seals.at(-1)))
    return seals
  }

  /** All seals, where this very run over these very inputs is done and its shards are there: then its working files may be gone. */
  async #finishedBefore(partitions: readonly PlannedPartition[]): Promise<Seal[] | undefined> {
    const seals: Seal[] = []
    for (const phase of this.#plan.phases) {
      const before = seals.at(-1)
      const seal = await this.#folder.phase(phase.index, phaseHash(phase, before)).seal()
      if (!seal || !sameTasks(seal, partitions)) return undefined
      const isGood = (task: Marker, index: number) =>
        this.#isWhole(phase, task) && (!before || task.basis === basisOf(phase, before, index))
      if (!seal.tasks.every(isGood)) return undefined
      seals.push(seal)
    }
    for (const [index, phase] of this.#plan.phases.entries()) this.#reporter.phaseDone(phase, seals[index].summary, false)
    return seals
  }

  async #runPhase(phase: Phase, partitions: readonly PlannedPartition[], before: Seal | undefined): Promise<Seal> {
    const hash = phaseHash(phase, before)
    const folder = this.#folder.phase(phase.index, hash)
    await folder.create()
    const requests = makeRequests({
      plan: this.#plan,
      folder: this.#folder,
      phase,
      hash,
      partitions,
      before,
      artifacts: this.#artifacts,
      quarantined: this.#quarantined,
      memoryBytes: this.#options.memoryBytes,
    })
    const asked = new Map(requests.map((request) => [request.partition.id, request]))
    const markers = await folder.markers((marker) => {
      const request = asked.get(marker.partition)
      return request !== undefined && marker.basis === request.basis && this.#isWhole(phase, marker)
    })
    const missing = requests.filter(({ partition }) => !markers.has(partition.id))
    const found = requests.flatMap(({ partition }) => markers.get(partition.id) ?? [])
    const isSealed = missing.length === 0 && (await folder.seal())?.tasks.map(nameOf).join() === found.map(nameOf).join()
    const left = whatIsLeft(missing, before)
    this.#reporter.phaseStarted({ phase, phases: this.#plan.phases.length, tasks: requests.length, done: found.length, ...left })
    const { concurrency } = this.#executor
    const work = before
      ? { left: left.documentsLeft, of: ({ summary }: Marker) => summary.documents, concurrency }
      : { left: left.bytesLeft, of: ({ input }: Marker) => partitionBytes(input), concurrency }
    if (!isSealed) await this.#runTasks(phase, missing, markers, folder, new DiskForecast(folder, work))

    const tasks = requests.map(({ partition }) => must(markers.get(partition.id), partition.id))
    const summary = mergeSummaries(
      tasks.map((task) => task.summary),
      phase.stageNames,
    )
    this.#check(phase, summary, before)
    if (phase.end.kind === 'barrier') this.#artifacts[phase.end.name] = await this.#merge(phase, phase.end, hash, folder, tasks)
    const seal: Seal = { hash, tasks, summary }
    if (!isSealed) {
      await folder.writeSeal(seal)
      await removeOtherAttempts(folder, tasks)
    }
    this.#reporter.phaseDone(phase, summary, !isSealed)
    return seal
  }

  /** What a cleaned run has published stays as it is. */
  async #publishBarriers(seals: readonly Seal[]): Promise<void> {
    for (const { end, index } of this.#plan.phases) {
      if (end.kind !== 'barrier' || !end.publish) continue
      const folder = this.#folder.phase(index, seals[index].hash)
      const merged = mergedFolder(folder, end.merges[end.merges.length - 1].name, seals[index].tasks)
      if (existsSync(merged)) await end.publish({ merged, build: buildOf(this.#plan) })
    }
  }

  /**
   * A marker counts only while what it promises is still there: in the attempt's folder or published, and where the sinks
   * write now.
   */
  #isWhole(phase: Phase, marker: Marker): boolean {
    const paths = sinkPaths(phase)
    return marker.outputs.every(
      ({ folder, path, shards }) =>
        paths.includes(path) &&
        shards.every(({ name, sha256 }) => existsSync(join(folder, name)) || this.#published.get(join(path, name)) === sha256),
    )
  }

  /** Runs what is missing, a few at a time; the first failure ends the run. */
  async #runTasks(
    phase: Phase,
    missing: readonly TaskRequest[],
    markers: Map<string, Marker>,
    folder: PhaseFolder,
    disks: DiskForecast,
  ): Promise<void> {
    const errors = new ErrorRate(this.#options.maxErrorRate)
    for (const { summary } of markers.values()) errors.add(summary)
    errors.check()
    await this.#sideBySide(missing, async (request) => {
      await this.#executor.runTask(request)
      const marker = must(await folder.marker(request.partition.id, request.attempt), request.partition.id)
      markers.set(request.partition.id, marker)
      this.#reporter.taskDone(marker)
      errors.add(marker.summary)
      errors.check()
      await disks.finished(marker)
    })
    if (phase.index === 0) errors.checkSomethingRead()
  }

  /** Works through the list in order, as many at a time as the executor takes. The first failure ends it. */
  async #sideBySide<T>(list: readonly T[], work: (element: T) => Promise<void>): Promise<void> {
    const queue = list.values()
    const worker = async () => {
      for (const element of queue) {
        this.#options.signal.throwIfAborted()
        await work(element)
      }
    }
    await Promise.all(Array.from({ length: Math.min(this.#executor.concurrency, list.length) }, worker))
  }

  #check(phase: Phase, summary: Summary, before: Seal | undefined): void {
    const closing = before ? { ...summary, records: summary.documents } : summary
    assertCloses(closing, `phase ${phase.index}`)
    if (before && before.summary.kept !== summary.documents) {
      throw new SluiceError(
        'SLUICE_ACCOUNT',
        `phase ${phase.index} read ${summary.documents} documents, the phase before kept ${before.summary.kept}`,
        {
          fix: 'this is a fault in sluice: please report it',
        },
      )
    }
  }

  /** Runs a barrier's merge steps that are not there yet. */
  async #merge(phase: Phase, barrier: ErasedBarrier, hash: string, folder: PhaseFolder, markers: readonly Marker[]): Promise<string> {
    const collected = markers.map(({ partition, attempt, rows }) => ({ path: folder.data('collected', partition, attempt), rows }))
    let previous: string | undefined
    for (const [index, step] of barrier.merges.entries()) {
      const final = mergedFolder(folder, step.name, markers)
      if (!existsSync(final)) {
        this.#reporter.mergeStarted(barrier.name, step.name)
        const working = `${final}.${randomBytes(4).toString('hex')}`
        await makeFolder(working)
        const { memoryBytes } = this.#options
        const build = buildOf(this.#plan)
        const common = { phase: phase.index, phaseHash: hash, step: index, collected, folder: working, previous, memoryBytes, build }
        const tasks = Array.from({ length: step.tasks }, (_, task) => task)
        await this.#sideBySide(tasks, (task) => this.#executor.runMerge({ ...common, task }))
        await rename(working, final)
      }
      previous = final
    }
    return must(previous, barrier.name)
  }
}

function nameOf({ partition, attempt }: Marker): string {
  return `${partition}@${attempt}`
}

/** For progress: bytes where sources are read, documents where a phase before has counted them. */
function whatIsLeft(missing: readonly TaskRequest[], before: Seal | undefined): Pick<PhaseStart, 'bytesLeft' | 'documentsLeft'> {
  if (!before) return { bytesLeft: missing.reduce((sum, { partition }) => sum + partitionBytes(partition.input), 0), documentsLeft: 0 }
  return { bytesLeft: 0, documentsLeft: missing.reduce((sum, { partition }) => sum + before.tasks[partition.index].rows, 0) }
}

function sameTasks(seal: Seal, partitions: readonly { readonly id: string }[]): boolean {
  return seal.tasks.length === partitions.length && seal.tasks.every(({ partition }, index) => partition === partitions[index].id)
}

/** What died attempts left behind; only the sealed ones are read from now on. */
async function removeOtherAttempts(folder: PhaseFolder, tasks: readonly Marker[]): Promise<void> {
  const chosen = new Set(tasks.map(nameOf))
  for (const kind of ['tasks', 'items', 'collected', 'statistics', 'rejected']) {
    for (const name of await readdir(join(folder.path, kind))) {
      const attempt = /^[^@]+@[0-9a-f]+/.exec(name)?.[0]
      if (attempt !== undefined && !chosen.has(attempt)) await rm(join(folder.path, kind, name), { force: true, recursive: true })
    }
  }
}

function must<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new SluiceError('SLUICE_INTERNAL', `the marker of ${what} is missing though its task ended`)
  return value
}
