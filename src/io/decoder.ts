// A zlib stream fed piece by piece. Async iteration over such a stream drops what is buffered when it fails; here every
// byte that came out before the failure is handed over first, and the bytes it took in are counted.

import type { BrotliDecompress, Gunzip, InflateRaw, ZstdDecompress } from 'node:zlib'

export type DecoderStream = Gunzip | InflateRaw | BrotliDecompress | ZstdDecompress

export class Decoder {
  /** Why it stopped, where the data are bad. */
  error: Error | undefined
  readonly #stream: DecoderStream
  #fed = 0
  #hasEnded = false
  #out: Buffer[] = []

  constructor(stream: DecoderStream) {
    this.#stream = stream
    stream.on('data', (chunk: Buffer) => this.#out.push(chunk))
    stream.on('error', (error) => {
      this.error = error
    })
    stream.on('end', () => {
      this.#hasEnded = true
    })
  }

  /** True when the compressed data have come to their end; bytes behind it are not taken. */
  get isDone(): boolean {
    return this.error === undefined && (this.#hasEnded || this.taken < this.#fed)
  }

  /** Compressed bytes that it has taken so far. */
  get taken(): number {
    return this.#stream.bytesWritten
  }

  /** Decodes a piece. What it gives may be nothing. */
  async push(piece: Buffer): Promise<Buffer[]> {
    if (this.error !== undefined || this.isDone) return []
    this.#fed += piece.length
    await this.#settled((done) => this.#stream.write(piece, done))
    return this.#takeOut()
  }

  /** Says that no more comes: what was cut short becomes an error. */
  async finish(): Promise<Buffer[]> {
    if (this.error === undefined && !this.#hasEnded)
      await this.#settled((done) => {
        this.#stream.once('end', done)
        this.#stream.end()
      })
    return this.#takeOut()
  }

  close(): void {
    this.#stream.destroy()
  }

  /** Waits for a step or its failure, on which zlib calls nobody back. */
  #settled(step: (done: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#stream.off('error', done)
        resolve()
      }
      this.#stream.once('error', done)
      step(done)
    })
  }

  #takeOut(): Buffer[] {
    const out = this.#out
    this.#out = []
    return out
  }
}
