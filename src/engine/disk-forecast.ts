// Whether a phase will fit on its disks, judged by what its first tasks wrote: a run that cannot end well ends early, not in
// the morning. Later phases are not foreseen, nor what merges need, so what is enough here may still not be enough.

import { stat, statfs } from 'node:fs/promises'
import { SluiceError, systemCode } from '../core/errors.ts'
import type { Marker, PhaseFolder } from './run-folder.ts'

/** Input of this phase, in whatever unit is known of all tasks alike. */
export interface PhaseWork {
  /** Of the tasks that are still to do. */
  readonly left: number
  readonly of: (marker: Marker) => number
  /** Tasks at work at once: each has written a part of its files already. */
  readonly concurrency: number
}

/** The forecast may be a little off. */
const MARGIN = 1.1

export class DiskForecast {
  readonly #folder: PhaseFolder
  readonly #work: PhaseWork
  /** Bytes that finished tasks wrote, by the folder they wrote into. */
  readonly #written = new Map<string, number>()
  #done = 0
  #tasks = 0

  constructor(folder: PhaseFolder, work: PhaseWork) {
    this.#folder = folder
    this.#work = work
  }

  /**
   * Counts a finished task, and looks at the disks after the first, the second, the fourth and so on.
   *
   * @throws SluiceError `SLUICE_DISK_FORECAST`
   */
  async finished(marker: Marker): Promise<void> {
    this.#done += this.#work.of(marker)
    this.#tasks++
    this.#add(this.#folder.path, await bytesInRunFolder(this.#folder, marker))
    for (const { path, shards } of marker.outputs)
      this.#add(
        path,
        shards.reduce((sum, { bytes }) => sum + bytes, 0),
      )
    if ((this.#tasks & (this.#tasks - 1)) === 0) await this.#check()
  }

  #add(folder: string, bytes: number): void {
    this.#written.set(folder, (this.#written.get(folder) ?? 0) + bytes)
  }

  async #check(): Promise<void> {
    const { left, concurrency } = this.#work
    const ahead = left - this.#done - (concurrency - 1) * (this.#done / this.#tasks)
    if (this.#done <= 0 || ahead <= 0) return
    const disks = new Map<number, { folder: string; bytes: number }>()
    for (const [folder, bytes] of this.#written) {
      const { dev } = await stat(folder)
      const disk = disks.get(dev) ?? { folder, bytes: 0 }
      disks.set(dev, { ...disk, bytes: disk.bytes + (bytes / this.#done) * ahead })
    }
    for (const { folder, bytes } of disks.values()) {
      const { bavail, bsize } = await statfs(folder)
      if (bytes <= bavail * bsize * MARGIN) continue
      throw new SluiceError(
        'SLUICE_DISK_FORECAST',
        `the disk will not hold this run: by what the first tasks wrote, this phase needs ${megabytes(bytes)} MB more, and ${megabytes(bavail * bsize)} MB are free`,
        {
          where: { folder, tasksDone: this.#tasks },
          fix: 'free some space, or give --run or the sink a folder on another disk, then run the same command: what is finished stays',
        },
      )
    }
  }
}

const megabytes = (bytes: number) => Math.ceil(bytes / 1e6)

async function bytesInRunFolder(folder: PhaseFolder, { partition, attempt }: Marker): Promise<number> {
  const files = (['items', 'collected', 'rejected'] as const).map((kind) => folder.data(kind, partition, attempt))
  let bytes = 0
  for (const file of files) bytes += (await sizeOf(file)) ?? 0
  for (let part = 0; ; part++) {
    const size = await sizeOf(folder.data('statistics', partition, `${attempt}-${part}`))
    if (size === undefined) return bytes
    bytes += size
  }
}

/** undefined where it is not there. */
async function sizeOf(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).size
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}
