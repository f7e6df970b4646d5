// Sources in which each file is one item: how they plan and read. A partition is a run of neighbouring files.

import type { Item } from '../src/core/document.ts'
import { documentId, hash128 } from '../src/core/identity.ts'
import type { Partition, PlanContext, SourceContext } from '../src/core/stage.ts'
import { readBytes } from '../src/io/byte-source.ts'
import { expandInputs, type Input } from '../src/io/inputs.ts'
import { openBytes } from '../src/io/open-bytes.ts'
import { Batches } from './batches.ts'

/** So that a folder of many small files does not become one task. */
const FILES_PER_PARTITION = 4096

/** The partition's range counts files among all of the source; its version covers their names, sizes and times. */
export async function filePartitions(paths: readonly string[], extensions: readonly string[], context: PlanContext): Promise<Partition[]> {
  const inputs = await expandInputs(paths, extensions)
  const partitions: Partition[] = []
  let first = 0,
    bytes = 0
  let versions: string[] = []
  for (const [index, input] of inputs.entries()) {
    const source = await openBytes(input.url, { signal: context.signal })
    bytes += source.size
    versions.push(`${input.name} ${source.version}`)
    const isLast = index === inputs.length - 1
    if (!isLast && bytes < context.partitionBytes && versions.length < FILES_PER_PARTITION) continue
    partitions.push({ source: inputs[first].url, bytes, version: hash128(versions.join('\n')), range: [first, index + 1] })
    first = index + 1
    bytes = 0
    versions = []
  }
  return partitions
}

/** An id by the file's path and the folder that the user named: base names alone are often equal. */
export function fileKey({ name }: Input): string {
  return `files:///${name}`
}

export interface FileContent {
  readonly item: Item
  /** Path below the folder that the user named. */
  readonly path: string
  readonly bytes: Buffer
}

/** @param make undefined leaves the file out as empty */
export async function* readFiles<T extends Item>(
  paths: readonly string[],
  extensions: readonly string[],
  maxFileBytes: number,
  partition: Partition,
  context: SourceContext,
  make: (content: FileContent) => T | undefined,
): AsyncGenerator<T[]> {
  const inputs = (await expandInputs(paths, extensions)).slice(...(partition.range ?? []))
  const batches = new Batches<T>(context.batchBytes)
  for (const input of inputs) {
    const key = fileKey(input)
    if (!context.begin(key, 0)) continue
    const source = await openBytes(input.url, { signal: context.signal })
    context.consumed(source.size)
    if (source.size > maxFileBytes) {
      context.damaged({
        offset: 0,
        length: source.size,
        code: 'SLUICE_FILE_TOO_LARGE',
        message: `${input.name} is larger than ${maxFileBytes} bytes`,
      })
      continue
    }
    const item = { id: documentId(key, 0), source: input.url, offset: 0, length: source.size, metadata: { file: input.name } }
    const made = make({ item, path: input.path, bytes: await readBytes(source) })
    if (made) batches.add(made)
    else context.ignored('empty_file')
    if (batches.isFull) yield batches.take()
  }
  if (!batches.isEmpty) yield batches.take()
}
