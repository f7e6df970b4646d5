// Machine code made callable: written into a page of memory that is then made executable and no longer writable.

import { loadKoffi, loadLibc } from '../../../core/native.ts'

/** Calls the code with one pointer: the address of these words. */
export type NativeFunction = (words: BigInt64Array) => void

const READ = 1
const WRITE = 2
const EXECUTE = 4
const PRIVATE_ANONYMOUS = 0x22
const PAGE_BYTES = 4096

/** What was made, by the bytes of its code: its page stays until the process ends, and serves every device of this thread. */
const made = new Map<string, NativeFunction>()

/** Undefined where code cannot be made executable: another system than Linux on x86-64, a policy that forbids it, no koffi. */
export function makeExecutable(code: Uint8Array): NativeFunction | undefined {
  const bytes = Buffer.from(code).toString('latin1')
  const known = made.get(bytes)
  if (known) return known
  const callable = writePage(code)
  if (callable) made.set(bytes, callable)
  return callable
}

function writePage(code: Uint8Array): NativeFunction | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined
  const koffi = loadKoffi()
  const libc = loadLibc()
  if (!koffi || !libc) return undefined
  const mmap = libc.func('uint64_t mmap(uint64_t, size_t, int, int, int, int64_t)')
  const mprotect = libc.func('int mprotect(uint64_t, size_t, int)')
  const bytes = Math.ceil(code.length / PAGE_BYTES) * PAGE_BYTES
  const page: unknown = mmap(0, bytes, READ | WRITE, PRIVATE_ANONYMOUS, -1, 0)
  if ((typeof page !== 'number' && typeof page !== 'bigint') || BigInt.asIntN(64, BigInt(page)) === -1n) return undefined
  new Uint8Array(koffi.view(BigInt(page), bytes)).set(code)
  if (mprotect(page, bytes, READ | EXECUTE) !== 0) return undefined
  const type = koffi.proto('void (void *)')
  const address = BigInt(page)
  return (words) => koffi.call(address, type, words)
}

/** Larger than what the engine keeps on its heap, where it would move. */
const UNMOVED_BYTES = 4096

/** A copy whose address stays, for code that is given it. */
export function unmoved(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(Math.max(UNMOVED_BYTES, bytes.length))
  copy.set(bytes)
  return copy
}
