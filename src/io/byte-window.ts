// A sliding view over a stream of buffers, for parsers that need contiguous bytes. Absolute offsets, bounded memory.

const EMPTY = Buffer.alloc(0)

export class ByteWindow {
  /** What is there, from `offset` on. Replaced by `grow`, cut by `skip`; views into it stay valid. */
  buffer: Buffer = EMPTY
  /** Absolute offset of the buffer's first byte. */
  offset: number
  /** True once the stream has given everything. */
  isEnded = false
  readonly #chunks: AsyncIterator<Buffer>

  constructor(chunks: AsyncIterable<Buffer>, offset = 0) {
    this.#chunks = chunks[Symbol.asyncIterator]()
    this.offset = offset
  }

  /** Reads on until at least `bytes` are there or the stream ends. False where the stream ends before. */
  async fill(bytes: number): Promise<boolean> {
    if (this.buffer.length >= bytes) return true
    if (this.isEnded) return false
    const pieces = [this.buffer]
    let length = this.buffer.length
    while (length < bytes) {
      const next = await this.#chunks.next()
      if (next.done) {
        this.isEnded = true
        break
      }
      pieces.push(next.value)
      length += next.value.length
    }
    this.buffer = pieces.length === 2 && pieces[0].length === 0 ? pieces[1] : Buffer.concat(pieces, length)
    return length >= bytes
  }

  /** Reads on by at least one chunk. False where there is no more. */
  async grow(): Promise<boolean> {
    return await this.fill(this.buffer.length + 1)
  }

  /** Drops bytes that are there. */
  advance(bytes: number): void {
    this.offset += bytes
    this.buffer = this.buffer.subarray(bytes)
  }

  /** Drops bytes from the front; past the buffer's end it reads and drops. Stops at the end of the stream. */
  async skip(bytes: number): Promise<void> {
    let rest = bytes
    while (rest > this.buffer.length) {
      rest -= this.buffer.length
      this.advance(this.buffer.length)
      if (!(await this.grow())) return
    }
    this.advance(rest)
  }

  async close(): Promise<void> {
    await this.#chunks.return?.()
  }
}
