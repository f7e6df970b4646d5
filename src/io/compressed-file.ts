// A new file, written through zstd or gzip or as it is, with back-pressure and the disk's errors in the caller's hands.

import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { PassThrough, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createGzip, createZstdCompress } from 'node:zlib'
import { diskError } from './disk-errors.ts'

export type Compression = 'zst' | 'gz' | 'none'

/** Not whole before `close` has resolved. Every method throws `SLUICE_DISK_FULL`, `SLUICE_PERMISSION`, `SLUICE_FILE_MISSING`. */
export class CompressedFile {
  readonly #path: string
  readonly #input: Transform
  readonly #file: WriteStream
  readonly #done: Promise<void>

  private constructor(path: string, input: Transform, file: WriteStream) {
    this.#path = path
    this.#input = input
    this.#file = file
    this.#done = pipeline(input, file)
    this.#done.catch(() => undefined) // the next call tells it
  }

  /** @param level zstd's or gzip's own */
  static async create(path: string, compression: Compression, level = compression === 'gz' ? 6 : 3): Promise<CompressedFile> {
    try {
      const file = createWriteStream(path) // no FileHandle: one that a cancelled task leaves open ends the process when it is collected
      await once(file, 'open')
      return new CompressedFile(path, compressor(compression, level), file)
    } catch (error) {
      throw diskError(error, path)
    }
  }

  /** Takes the bytes over: they must not change any more. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#input.destroyed) await this.#settled(this.#done)
    else if (!this.#input.write(bytes)) await this.#settled(Promise.race([once(this.#input, 'drain'), this.#done]))
  }

  /** @returns bytes of the file */
  async close(): Promise<number> {
    this.#input.end()
    await this.#settled(this.#done)
    return this.#file.bytesWritten
  }

  async #settled(promise: Promise<unknown>): Promise<void> {
    try {
      await promise
    } catch (error) {
      throw diskError(error, this.#path)
    }
  }
}

function compressor(compression: Compression, level: number): Transform {
  if (compression === 'none') return new PassThrough()
  if (compression === 'gz') return createGzip({ level, chunkSize: 2 ** 18 })
  // The checksum finds what a disk changed.
  return createZstdCompress({
    chunkSize: 2 ** 18,
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
  })
}
