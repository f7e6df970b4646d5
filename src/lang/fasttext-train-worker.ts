// A thread of fasttext-train.ts: fills its part of the input matrix, waits for the others, then reads the text round and
// round from its own place on and lets the kernel train on whole lines.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import { instantiateFastText } from './fasttext-memory.ts'

export interface ThreadSetup {
  readonly memory: WebAssembly.Memory
  readonly file: string
  /** Where in the file to begin, 0 to 1. */
  readonly share: number
  readonly scratch: number
  /** Room for text: the longest line, a block and a byte on each side. */
  readonly textAt: number
  readonly textBytes: number
  readonly block?: { readonly at: number; readonly floats: number; readonly limit: number; readonly seed: number }
  /** Counts the threads that are ready. */
  readonly barrier: Int32Array<SharedArrayBuffer>
  readonly threads: number
}

const NEWLINE = 10

const setup: ThreadSetup = workerData
const kernel = instantiateFastText(setup.memory)
if (setup.block) kernel.fillUniform(setup.block.at, setup.block.floats, setup.block.limit, setup.block.seed)
waitForOthers(setup)
const file = openSync(setup.file, 'r')
trainOn(file, setup)
closeSync(file)

function waitForOthers({ barrier, threads }: ThreadSetup): void {
  Atomics.add(barrier, 0, 1)
  Atomics.notify(barrier, 0)
  for (let ready = Atomics.load(barrier, 0); ready < threads; ready = Atomics.load(barrier, 0)) Atomics.wait(barrier, 0, ready)
}

function trainOn(file: number, { memory, share, scratch, textAt, textBytes }: ThreadSetup): void {
  const text = new Uint8Array(memory.buffer, textAt + 1, textBytes - 2)
  const { size } = fstatSync(file)
  let position = Math.floor(share * size)
  let kept = 0
  for (;;) {
    const read = readSync(file, text, kept, text.length - kept, position)
    const end = kept + read
    position += read
    const isEnd = position >= size
    const whole = isEnd ? end : text.lastIndexOf(NEWLINE, end - 1) + 1
    if (!kernel.trainLines(scratch, textAt + 1, textAt + 1 + whole)) return
    text.copyWithin(0, whole, end)
    kept = end - whole
    if (isEnd) position = 0
    else if (read === 0) return // the file was cut while it was read
  }
}
