// Sources in which each file is one item: how they choose files, plan and read. A partition is a run of neighbouring files.

import { stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { Item, Metadata } from '../src/core/document.ts'
import { documentId } from '../src/core/identity.ts'
import type { Partition, PlanContext, Source, SourceContext } from '../src/core/stage.ts'
import { type ByteSource, readBytes } from '../src/io/byte-source.ts'
import { expandInputs, type Input } from '../src/io/inputs.ts'
import { openBytes } from '../src/io/open-bytes.ts'
import { assertUnchanged, Batches, inputPaths, listOf, versionOf } from './batches.ts'

/** So that a folder of many small files does not become one task. */
const FILES_PER_PARTITION = 4096

/** Folders of tools, not of content. */
const NO_CONTENT = ['.git/', '.hg/', '.svn/', 'node_modules/', '__pycache__/', '.venv/', '.DS_Store']

export const extensionList = z.array(z.string().startsWith('.')).min(1).describe('which files of a folder are read')

/** Options of every source of files, besides `extensions`. */
export const fileOptions = {
  path: inputPaths,
  include: z
    .array(z.string().min(1))
    .default([])
    .describe('of these only files that match one of the patterns, written as in .gitignore: docs/**, *.md'),
  exclude: z
    .array(z.string().min(1))
    .default(NO_CONTENT)
    .describe('patterns of files and folders (with a slash at the end) that are left out, written as in .gitignore; replaces the default'),
  gitignore: z.boolean().default(false).describe('leaves out what .gitignore files in a folder and below it name'),
  maxFileBytes: z
    .int()
    .min(1)
    .max(512 << 20)
    .default(128 << 20)
    .describe('larger files count as damage'),
}
const schema = z.strictObject({ ...fileOptions, extensions: extensionList })
export type FileSettings = z.output<typeof schema>

export interface FileContent {
  readonly item: Item
  /** Path below the folder that the user named. */
  readonly path: string
  /** Size, and when it was changed where it lies on a disk: what may go into the metadata. */
  readonly facts: Metadata
  readonly bytes: Buffer
}

/** What becomes of a file: an item, or why it is none. */
export type Made<T> = T | { readonly ignored: string }

export interface FileSource<T extends Item> {
  readonly name: string
  readonly version: number
  readonly settings: FileSettings
  /** More for the plan hash. */
  readonly options?: Source<T>['options']
  readonly make: (content: FileContent, inputs: readonly Input[]) => Made<T> | Promise<Made<T>>
}

/** A file by its path and the folder that the user named: base names alone are often equal. */
export function fileKey({ name }: Input): string {
  return `files:///${name}`
}

export function fileSource<T extends Item>({ name, version, settings, options = {}, make }: FileSource<T>): Source<T> {
  const { path, ...choice } = settings
  const expand = () => expandInputs(listOf(path), settings.extensions, settings)
  let known: Promise<Input[]> | undefined // a folder of a million files is walked once a worker, not once a partition
  return {
    kind: 'source',
    name,
    version,
    options: { ...choice, more: options },
    partitions: async (context) => await filePartitions(await expand(), context),
    read: async function* (partition, context) {
      known ??= expand()
      const inputs = await known
      const files = inputs.slice(...(partition.range ?? []))
      const sources = await openAll(files, context.signal)
      if (planVersion(files, sources) !== partition.version) known = undefined
      assertUnchanged(partition, [planVersion(files, sources)])
      yield* readFiles(files, sources, settings.maxFileBytes, context, (content) => make(content, inputs))
    },
  }
}

/** The partition's range counts files among all of the source; its version covers their names, sizes and times. */
async function filePartitions(inputs: readonly Input[], { signal, partitionBytes }: PlanContext): Promise<Partition[]> {
  const sources = await openAll(inputs, signal)
  const partitions: Partition[] = []
  let first = 0
  let bytes = 0
  for (const [index, { size }] of sources.entries()) {
    bytes += size
    const end = index + 1
    if (end < inputs.length && bytes < partitionBytes && end - first < FILES_PER_PARTITION) continue
    const version = planVersion(inputs.slice(first, end), sources.slice(first, end))
    partitions.push({ source: inputs[first].url, bytes, version, range: [first, end] })
    first = end
    bytes = 0
  }
  return partitions
}

function planVersion(inputs: readonly Input[], sources: readonly ByteSource[]): string {
  return versionOf(['files', ...inputs.map(({ name }, index) => `${name} ${sources[index].version}`)])
}

async function openAll(inputs: readonly Input[], signal: AbortSignal): Promise<ByteSource[]> {
  const sources: ByteSource[] = []
  for (const { url } of inputs) sources.push(await openBytes(url, { signal }))
  return sources
}

async function* readFiles<T extends Item>(
  inputs: readonly Input[],
  sources: readonly ByteSource[],
  maxFileBytes: number,
  context: SourceContext,
  make: (content: FileContent) => Made<T> | Promise<Made<T>>,
): AsyncGenerator<T[]> {
  const batches = new Batches<T>(context.batchBytes)
  for (const [index, input] of inputs.entries()) {
    const source = sources[index]
    const key = fileKey(input)
    if (!context.begin(key, 0)) continue
    context.consumed(source.size)
    if (source.size > maxFileBytes) {
      const message = `${input.name} is larger than ${maxFileBytes} bytes`
      context.damaged({ offset: 0, length: source.size, code: 'SLUICE_FILE_TOO_LARGE', message })
      continue
    }
    const item = { id: documentId(key, 0), source: input.url, offset: 0, length: source.size, metadata: { file: input.name } }
    const bytes = await readBytes(source)
    const made =
      bytes.length === 0 ? { ignored: 'empty_file' } : await make({ item, path: input.path, facts: await factsOf(source), bytes })
    if ('ignored' in made) context.ignored(made.ignored)
    else batches.add(made)
    if (batches.isFull) yield batches.take()
  }
  if (!batches.isEmpty) yield batches.take()
}

async function factsOf({ url, size }: ByteSource): Promise<Metadata> {
  if (!url.startsWith('file:')) return { bytes: size }
  const { mtime } = await stat(fileURLToPath(url))
  return { bytes: size, modified: mtime.toISOString() }
}
