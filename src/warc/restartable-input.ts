// The bytes of a range of an archive, read from front to back, and again from behind a member that failed.

import type { ByteSource } from '../io/byte-source.ts'
import { ByteWindow } from '../io/byte-window.ts'

/** What is read behind a range's end along with it: the rest of its last record, mostly. */
const OVERLAP_BYTES = 1 << 20
/** Content of failed members that is decoded again for those that begin within them: so much, and so many times what was read. */
const WASTE_BYTES = 256 << 20
const WASTE_FACTOR = 100

/** A range's bytes, and what its last record has behind it. */
export class RestartableInput {
  window: ByteWindow
  readonly #source: ByteSource
  readonly #start: number
  readonly #end: number
  #wastedBytes = 0

  constructor(source: ByteSource, start: number, end: number) {
    this.#source = source
    this.#start = start
    this.#end = end
    this.window = new ByteWindow(rangeThenMore(source, start, end), start)
  }

  /**
   * Goes back behind the first byte of a member that failed: its decoder may have eaten into the records behind. Where that
   * has cost too much already, it stays where it is: members that are nested in one another would be decoded for ever.
   *
   * @param contentBytes what came out of the member
   */
  async retry(failed: number, contentBytes: number): Promise<void> {
    this.#wastedBytes += contentBytes
    const affordedBytes = WASTE_BYTES + WASTE_FACTOR * (failed - this.#start)
    await this.#restart(this.#wastedBytes <= affordedBytes ? failed + 1 : Math.max(failed + 1, this.window.offset))
  }

  async #restart(offset: number): Promise<void> {
    await this.window.close()
    this.window = new ByteWindow(rangeThenMore(this.#source, offset, Math.max(offset, this.#end)), offset)
  }
}

/** In pieces, so that a server is not asked for a whole file of which a range is wanted. */
async function* rangeThenMore(source: ByteSource, start: number, end: number): AsyncGenerator<Buffer> {
  let position = Math.min(end + OVERLAP_BYTES, source.size)
  yield* source.read(start, position)
  for (; position < source.size; position += 4 * OVERLAP_BYTES) yield* source.read(position, position + 4 * OVERLAP_BYTES)
}
