// What a merge reads of an index across builds: the segments as they were when the task began. Their files are held open, so
// that neither a compaction nor another build that publishes can take them away or change them under the merge.

import { closeSync, fstatSync, openSync } from 'node:fs'
import { systemCode } from '../core/errors.ts'
import { diskError } from '../io/disk-errors.ts'
import type { Source } from '../io/merge-runs.ts'
import { type Run, readRecords, readRuns } from '../io/sorted-runs.ts'
import { buildAt, checkIndex, countSection, damaged, type IndexDefinition, readSegments, type Segment } from './build-index.ts'

/** Between listing and opening, a writer may have replaced a segment; it is then listed anew. */
const attempts = 20

export interface OpenSegment extends Segment {
  readonly file: number
}

/**
 * The segments that count, with their files open: to be closed by the caller.
 *
 * @throws SluiceError `SLUICE_INDEX_DAMAGED` where a file is missing or has another length than its header says
 */
export async function openSegments(folder: string): Promise<OpenSegment[]> {
  for (let attempt = 1; ; attempt++) {
    const open: OpenSegment[] = []
    let missing: string | undefined
    for (const segment of await readSegments(folder)) {
      try {
        open.push({ ...segment, file: openSync(segment.path, 'r') })
      } catch (error) {
        if (systemCode(error) !== 'ENOENT') {
          closeSegments(open)
          throw diskError(error, segment.path)
        }
        missing = segment.path
        break
      }
    }
    if (missing === undefined) {
      const cut = open.find(({ file, bytes }) => fstatSync(file).size !== bytes)
      if (!cut) return open
      missing = cut.path
    }
    closeSegments(open)
    if (attempt === attempts) throw damaged(missing)
  }
}

export function closeSegments(segments: readonly OpenSegment[]): void {
  for (const { file } of segments) closeSync(file)
}

/** The runs of a section, each as a source with the place of its segment. */
export function sourcesOf(segments: readonly OpenSegment[], section: number): Source[] {
  return segments.flatMap(({ path, file }, ordinal) => readRuns(path, section, file).map((run) => ({ run, ordinal })))
}

/** Records of earlier builds as sources of a merge, before those of tonight. */
export class EarlierBuilds {
  readonly #segments: readonly OpenSegment[]
  readonly #build: string
  readonly #definition: IndexDefinition
  /** By segment. */
  readonly #keys: (Run | undefined)[]

  private constructor(segments: readonly OpenSegment[], build: string, definition: IndexDefinition) {
    this.#segments = segments
    this.#build = build
    this.#definition = definition
    this.#keys = segments.map(({ path, file }) => readRuns(path, definition.sections, file)[0])
  }

  /** @param index undefined where the stage has none */
  static async open(index: string | undefined, wanted: IndexDefinition, build: string): Promise<EarlierBuilds> {
    if (index === undefined) return new EarlierBuilds([], build, wanted)
    await checkIndex(index, wanted)
    return new EarlierBuilds(await openSegments(index), build, wanted)
  }

  /** Sources below this ordinal are of the index. */
  get count(): number {
    return this.#segments.length
  }

  sources(section: number): Source[] {
    return sourcesOf(this.#segments, section)
  }

  /** How many duplicates other builds than tonight's have dropped for each document, by its key. */
  counts(range = 0): Source[] {
    return this.#segments.flatMap(({ path, file, builds }, ordinal) =>
      builds.flatMap(({ name, counts }, b) =>
        counts && name !== this.#build
          ? readRuns(path, countSection(this.#definition, b, range), file).map((run) => ({ run, ordinal }))
          : [],
      ),
    )
  }

  /** Whether a document of the index is of another build than tonight's. */
  isEarlier(source: number, ordinal: number): boolean {
    const { builds } = this.#segments[source]
    const { name, counts } = builds[buildAt(builds, ordinal)]
    return counts && name !== this.#build
  }

  /** Writes the two words of a document's key. */
  keyInto(source: number, ordinal: number, out: Uint32Array, at: number): void {
    const keys = this.#keys[source]
    if (!keys || ordinal >= keys.count) throw damaged(this.#segments[source].path)
    const record = readRecords(keys, ordinal, 1)
    out[at] = record[0]
    out[at + 1] = record[1]
  }

  [Symbol.dispose](): void {
    closeSegments(this.#segments)
  }
}
