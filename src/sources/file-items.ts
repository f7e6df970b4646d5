// Sources in which each file is one item: how they choose files, plan and read. A partition is a run of neighbouring files.

import { stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { Item, Metadata } from '../core/document.ts'
import { documentId } from '../core/identity.ts'
import type { Partition, PlanContext, Source, SourceContext } from '../core/stage.ts'
import { type ByteSource, readBytes } from '../io/byte-source.ts'
import { expandInputs, type Input } from '../io/inputs.ts'
import { openBytes } from '../io/open-bytes.ts'
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
    partitions.push({ source: inputs[first].url, bytes, version, range: [first, end], rangeBytes: bytes })
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
  for (let start = 0; start < inputs.length; start += FILES_AT_ONCE) {
    const group = inputs.slice(start, start + FILES_AT_ONCE)
    sources.push(...(await Promise.all(group.map(({ url }) => openBytes(url, { signal })))))
  }
  return sources
}

/** Opening small files takes longer than reading them. */
const FILES_AT_ONCE = 64
const BYTES_AT_ONCE = 16 << 20

async function* readFiles<T extends Item>(
  inputs: readonly Input[],
  sources: readonly ByteSource[],
  maxFileBytes: number,
  context: SourceContext,
  make: (content: FileContent) => Made<T> | Promise<Made<T>>,
): AsyncGenerator<T[]> {
  const batches = new Batches<T>(context.batchBytes)
  for (const [first, end] of groups(sources)) {
    const contents = await Promise.all(sources.slice(first, end).map((source) => contentOf(source, maxFileBytes)))
    for (const [index, content] of contents.entries()) {
      const input = inputs[first + index]
      const { size } = sources[first + index]
      const key = fileKey(input)
      context.consumed(size)
      if (!context.begin(key, 0)) continue
      if (!content) {
        const message = `${input.name} is larger than ${maxFileBytes} bytes`
        context.damaged({ offset: 0, length: size, code: 'SLUICE_FILE_TOO_LARGE', message })
        continue
      }
      const item = { id: documentId(key, 0), source: input.url, offset: 0, length: size, metadata: { file: input.name } }
      const made = size === 0 ? { ignored: 'empty_file' } : await make({ item, path: input.path, ...content })
      if ('ignored' in made) context.ignored(made.ignored)
      else batches.add(made)
      if (batches.isFull) yield batches.take()
    }
  }
  if (!batches.isEmpty) yield batches.take()
}

function* groups(sources: readonly ByteSource[]): Generator<[start: number, end: number]> {
  let start = 0
  let bytes = 0
  for (const [index, { size }] of sources.entries()) {
    bytes += size
    if (index + 1 < sources.length && index + 1 - start < FILES_AT_ONCE && bytes < BYTES_AT_ONCE) continue
    yield [start, index + 1]
    start = index + 1
    bytes = 0
  }
}

/** @returns undefined where it is too large to be read */
async function contentOf(source: ByteSource, maxFileBytes: number): Promise<Pick<FileContent, 'bytes' | 'facts'> | undefined> {
  if (source.size > maxFileBytes) return undefined
  return { bytes: await readBytes(source), facts: await factsOf(source) }
}

async function factsOf({ url, size }: ByteSource): Promise<Metadata> {
  if (!url.startsWith('file:')) return { bytes: size }
  const { mtime } = await stat(fileURLToPath(url))
  return { bytes: size, modified: mtime.toISOString() }
}
