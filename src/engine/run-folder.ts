// The run folder: all state of a run, on disk, so that any process can take over after any other died. Data is written
// under names that carry the attempt; one marker, written by rename, makes an attempt count; one seal per phase names the
// attempts that readers follow.
//
//   run.json                         the frozen plan
//   quarantine.json                  documents that later attempts leave out
//   summary.json, manifest.json      when the run is done
//   phases/<NN>-<hash>/tasks/        markers: <partition>@<attempt>.json
//                      items/ collected/ statistics/ rejected/     data: <partition>@<attempt>.<extension>
//                      merged/<step>/                              what a barrier's merge made
//                      seal.json

import { existsSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Json } from '../core/document.ts'
import { SluiceError, systemCode } from '../core/errors.ts'
import type { Partition, Shard } from '../core/stage.ts'
import { makeFolder } from '../io/make-folder.ts'
import { writeWhole } from '../io/write-whole.ts'
import type { RunChoices } from './choices.ts'
import type { QuarantineNote, Summary } from './summary.ts'

/** Raised when a newer sluice can no longer read older run folders. */
export const RUN_FORMAT = 2

export interface FrozenStage {
  readonly name: string
  readonly kind: 'source' | 'map' | 'barrier' | 'sink' | 'apply'
  readonly version: number
  readonly options: Json
}

export interface FrozenPlan {
  readonly format: typeof RUN_FORMAT
  readonly pipeline: string
  /** Pipeline file, as given. */
  readonly file: string
  readonly arguments: Readonly<Record<string, Json>>
  readonly seed: number
  readonly choices: RunChoices
  readonly planHash: string
  readonly sluice: string
  readonly node: string
  /** By phase, in order. */
  readonly phases: readonly { readonly hash: string; readonly end: string; readonly stages: readonly FrozenStage[] }[]
}

/** Where a partition's attempt put its shards, for publishing. */
export interface SinkOutput {
  /** Folder of the attempt, inside the sink's path. */
  readonly folder: string
  /** The sink's path. */
  readonly path: string
  readonly shards: readonly (Shard & { readonly sha256: string })[]
}

/** Written once per finished task; its existence is what makes the task done. */
export interface Marker {
  readonly partition: string
  readonly attempt: string
  /** Which attempts of the phase before it was made from; absent in the first phase. */
  readonly basis?: string
  readonly input: Partition
  /** Documents in the items file. */
  readonly rows: number
  readonly outputs: readonly SinkOutput[]
  readonly summary: Summary
}

/** Written once per finished phase. */
export interface Seal {
  readonly hash: string
  /** Chosen attempts in partition order. */
  readonly tasks: readonly Marker[]
  readonly summary: Summary
}

async function readJson<T>(path: string): Promise<T | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new SluiceError('SLUICE_RUN_CORRUPT', 'a file of the run folder is not JSON', {
      where: { file: path },
      fix: 'remove the file: what it stood for is done again',
      cause,
    })
  }
}

export class PhaseFolder {
  readonly path: string
  constructor(path: string) {
    this.path = path
  }

  async create(): Promise<void> {
    for (const name of ['tasks', 'items', 'collected', 'statistics', 'rejected', 'merged']) await makeFolder(join(this.path, name))
  }

  data(kind: 'items' | 'collected' | 'statistics' | 'rejected', partition: string, attempt: string): string {
    const extension = { items: 'arrow', collected: 'bin', statistics: 'parquet', rejected: 'parquet' }[kind]
    return join(this.path, kind, `${partition}@${attempt}.${extension}`)
  }

  /** Folder of a finished merge step. */
  merged(step: string): string {
    return join(this.path, 'merged', step)
  }

  async writeMarker(marker: Marker): Promise<void> {
    await writeWhole(join(this.path, 'tasks', `${marker.partition}@${marker.attempt}.json`), JSON.stringify(marker))
  }

  marker(partition: string, attempt: string): Promise<Marker | undefined> {
    return readJson<Marker>(join(this.path, 'tasks', `${partition}@${attempt}.json`))
  }

  /** Finished tasks by partition; of two attempts at one partition that count, the first by name. */
  async markers(counts: (marker: Marker) => boolean = () => true): Promise<Map<string, Marker>> {
    const folder = join(this.path, 'tasks')
    const names = existsSync(folder) ? (await readdir(folder)).filter((name) => name.endsWith('.json')).sort() : []
    const markers = new Map<string, Marker>()
    for (const name of names) {
      const marker = await readJson<Marker>(join(folder, name))
      if (marker && !markers.has(marker.partition) && counts(marker)) markers.set(marker.partition, marker)
    }
    return markers
  }

  seal(): Promise<Seal | undefined> {
    return readJson<Seal>(join(this.path, 'seal.json'))
  }

  async writeSeal(seal: Seal): Promise<void> {
    await writeWhole(join(this.path, 'seal.json'), JSON.stringify(seal))
  }
}

/** What a run that was killed early leaves. */
const BEFORE_PLAN = /^(lock|in-flight|run\.json)\b/

const plan = z.looseObject({ format: z.number(), pipeline: z.string(), planHash: z.string() })

export class RunFolder {
  readonly path: string
  constructor(path: string) {
    this.path = path
  }

  phase(index: number, hash: string): PhaseFolder {
    return new PhaseFolder(join(this.path, 'phases', `${String(index).padStart(2, '0')}-${hash.slice(0, 12)}`))
  }

  get noteFile(): string {
    return join(this.path, 'in-flight')
  }

  /**
   * The frozen plan, undefined where the folder is new.
   *
   * @throws SluiceError `SLUICE_RUN_FORMAT`, `SLUICE_RUN_CORRUPT`
   */
  async plan(): Promise<FrozenPlan | undefined> {
    const file = join(this.path, 'run.json')
    const read = await readJson<FrozenPlan>(file)
    if (!read) return undefined
    const parsed = plan.safeParse(read)
    if (!parsed.success)
      throw new SluiceError('SLUICE_RUN_CORRUPT', 'run.json is not a plan of sluice', { where: { file }, fix: 'give another run folder' })
    if (parsed.data.format !== RUN_FORMAT) {
      throw new SluiceError('SLUICE_RUN_FORMAT', `the run folder has format ${parsed.data.format}, this sluice reads ${RUN_FORMAT}`, {
        where: { file },
        fix: 'give another run folder, or use the sluice that made this one',
      })
    }
    return read
  }

  /**
   * Checks that the folder may become, or already is, that pipeline's run folder; makes nothing.
   *
   * @throws SluiceError `SLUICE_RUN_TAKEN` where it holds something else, `SLUICE_RUN_OTHER` where another pipeline runs in it
   */
  async check(pipeline: string): Promise<void> {
    if (!existsSync(this.path)) return
    if (!(await stat(this.path)).isDirectory())
      throw new SluiceError('SLUICE_RUN_TAKEN', 'the run folder is a file', { where: { file: this.path }, fix: 'give --run a folder' })
    const frozen = await this.plan()
    const foreign = (await readdir(this.path)).find((name) => !BEFORE_PLAN.test(name))
    if (!frozen && foreign !== undefined)
      throw new SluiceError('SLUICE_RUN_TAKEN', 'the folder holds files that no run wrote', {
        where: { folder: this.path, file: foreign },
        fix: 'give --run an empty folder or a new one',
      })
    if (frozen && frozen.pipeline !== pipeline)
      throw new SluiceError('SLUICE_RUN_OTHER', `the run folder belongs to the pipeline "${frozen.pipeline}", this is "${pipeline}"`, {
        where: { folder: this.path },
        fix: 'give --run another folder',
      })
  }

  async writePlan(frozen: FrozenPlan): Promise<void> {
    await makeFolder(this.path)
    await writeWhole(join(this.path, 'run.json'), JSON.stringify(frozen, undefined, 2))
  }

  async quarantine(): Promise<QuarantineNote[]> {
    return (await readJson<QuarantineNote[]>(join(this.path, 'quarantine.json'))) ?? []
  }

  /** @returns false where the document is there already */
  async addQuarantine(note: QuarantineNote): Promise<boolean> {
    const notes = await this.quarantine()
    if (notes.some(({ id }) => id === note.id)) return false
    await writeWhole(join(this.path, 'quarantine.json'), JSON.stringify([...notes, note], undefined, 2))
    return true
  }

  summary(): Promise<Summary | undefined> {
    return readJson<Summary>(join(this.path, 'summary.json'))
  }
}
