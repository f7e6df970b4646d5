// Output folders. Shards appear by rename when all of a phase is sealed, with a manifest beside them; a folder belongs to
// the pipeline that wrote it, and another pipeline's, or a folder of the user's own files, is refused before work begins.

import { existsSync } from 'node:fs'
import { readdir, readFile, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { SluiceError } from '../core/errors.ts'
import { hash128 } from '../core/identity.ts'
import { lockFolder } from '../io/folder-lock.ts'
import { makeFolder } from '../io/make-folder.ts'
import { writeWhole } from '../io/write-whole.ts'
import { freezePlan, type Phase, type Plan } from './plan.ts'
import type { Seal } from './run-folder.ts'

const MANIFEST = 'manifest.json'
const ATTEMPTS = '.attempts'
/** `<partition>-<part>.<extension>`: only such files are ever removed. */
const SHARD_NAME = /^[0-9a-f]{16}-\d+\./
/** Who writes into the folder, as long as it does, and files on their way to being that. Readers of Parquet pass over hidden files. */
const LOCK = '.lock'
/** A manifest whose writer was killed. */
const HALF_WRITTEN = /^manifest\.json\.[0-9a-f]{8}\.tmp$/

const shard = z.object({ name: z.string(), rows: z.number(), bytes: z.number(), tokens: z.number().optional(), sha256: z.string() })
const manifest = z.looseObject({ pipeline: z.string(), shards: z.array(shard) })

export interface Output {
  readonly path: string
  readonly shards: readonly z.infer<typeof shard>[]
}

/** Names what a pipeline publishes: every run into the same last output is the same build. */
export function buildOf({ pipeline }: Plan): string {
  return `${pipeline.name}-${hash128(resolve(pipeline.sink.path)).slice(0, 12)}`
}

/** Output folders of a phase. */
export function sinkPaths({ steps, end }: Phase): string[] {
  return [...steps, end].filter((step) => step.kind === 'sink').map(({ path }) => resolve(path))
}

/**
 * Makes the output folders and checks whose they are.
 *
 * @throws SluiceError `SLUICE_OUTPUT_TAKEN` where a folder has other files, `SLUICE_OUTPUT_OTHER` where another pipeline wrote it
 */
export async function claimOutputs(plan: Plan): Promise<void> {
  for (const folder of plan.phases.flatMap(sinkPaths)) {
    await makeFolder(folder)
    const names = (await readdir(folder)).filter((name) => name !== ATTEMPTS && !(name === LOCK || name.startsWith(`${LOCK}.`)))
    if (names.length === 0) continue
    const owner = await readManifest(folder)
    if (!owner && !existsSync(join(folder, ATTEMPTS))) {
      throw new SluiceError('SLUICE_OUTPUT_TAKEN', 'the output folder holds files that no pipeline wrote', {
        where: { folder, file: names[0] },
        fix: 'give the sink an empty folder or a new one',
      })
    }
    if (owner && owner.pipeline !== plan.pipeline.name) {
      throw new SluiceError(
        'SLUICE_OUTPUT_OTHER',
        `the output folder belongs to the pipeline "${owner.pipeline}", this is "${plan.pipeline.name}"`,
        {
          where: { folder },
          fix: 'give the sink another path, or remove the folder if its shards are no longer wanted',
        },
      )
    }
  }
}

/**
 * Keeps other runs out of the output folders, whatever their run folders.
 *
 * @throws SluiceError `SLUICE_RUN_LOCKED` where a living process has one of them
 */
export async function lockOutputs(plan: Plan): Promise<AsyncDisposable> {
  await using locks = new AsyncDisposableStack()
  for (const folder of new Set(plan.phases.flatMap(sinkPaths))) locks.use(await lockFolder(folder, LOCK))
  return locks.move()
}

/** Moves the sealed attempts' shards to their names and removes what an earlier plan left. May be repeated. */
export async function publish(plan: Plan, seals: readonly Seal[]): Promise<Output[]> {
  const outputs: Output[] = []
  for (const folder of plan.phases.flatMap(sinkPaths)) {
    const parts = seals.flatMap(({ tasks }) => tasks.flatMap((task) => task.outputs)).filter((output) => output.path === folder)
    const shards = new Map(parts.flatMap((part) => part.shards.map((made) => [made.name, made])))
    const listed = [...shards.values()]
    await forgetReplaced(folder, shards)
    for (const part of parts) {
      for (const { name } of part.shards) {
        const made = join(part.folder, name)
        if (existsSync(made)) await rename(made, join(folder, name))
      }
    }
    await writeWhole(join(folder, MANIFEST), JSON.stringify(describe(plan, seals, listed), undefined, 2))
    for (const name of await readdir(folder))
      if ((SHARD_NAME.test(name) && !shards.has(name)) || HALF_WRITTEN.test(name)) await rm(join(folder, name), { force: true })
    await rm(join(folder, ATTEMPTS), { recursive: true, force: true })
    outputs.push({ path: folder, shards: listed })
  }
  return outputs
}

/** Takes shards that are about to be replaced out of the manifest: killed between two renames, it would promise what is gone. */
async function forgetReplaced(folder: string, shards: ReadonlyMap<string, { readonly sha256: string }>): Promise<void> {
  const old = await readManifest(folder)
  if (!old) return
  const staying = old.shards.filter(({ name, sha256 }) => shards.get(name)?.sha256 === sha256)
  if (staying.length < old.shards.length) await writeWhole(join(folder, MANIFEST), JSON.stringify({ ...old, shards: staying }))
}

/** Digests of what is published, by path; the same name may hold the shard of another plan. */
export async function publishedDigests(plan: Plan): Promise<Map<string, string>> {
  const digests = new Map<string, string>()
  for (const folder of plan.phases.flatMap(sinkPaths)) {
    for (const { name, sha256 } of (await readManifest(folder))?.shards ?? [])
      if (existsSync(join(folder, name))) digests.set(join(folder, name), sha256)
  }
  return digests
}

/** Enough to make the shards again and to check them; nothing in it depends on when or where they were made. */
function describe(plan: Plan, seals: readonly Seal[], shards: Output['shards']) {
  const { pipeline, arguments: values, seed, planHash, choices, sluice, phases } = freezePlan(plan)
  const inputs = seals[0].tasks.map(({ partition, input }) => ({ partition, ...input }))
  return { pipeline, arguments: values, seed, planHash, choices, sluice, phases, inputs, shards }
}

async function readManifest(folder: string): Promise<z.infer<typeof manifest> | undefined> {
  const file = join(folder, MANIFEST)
  if (!existsSync(file)) return undefined
  try {
    return manifest.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch (cause) {
    throw new SluiceError('SLUICE_OUTPUT_TAKEN', 'the output folder has a manifest.json that sluice did not write', {
      where: { file },
      fix: 'give the sink another path',
      cause,
    })
  }
}
