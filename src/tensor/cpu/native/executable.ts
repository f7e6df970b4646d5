// Machine code made callable: written into a page of memory that is then made executable and no longer writable.

import { loadKoffi, loadLibrary } from '../../../core/native.ts'

/** Calls the code with one pointer: the address of these words. */
export type NativeFunction = (words: BigInt64Array) => void

const READ = 1
const WRITE = 2
const EXECUTE = 4
const PRIVATE_ANONYMOUS = 0x22
const PAGE_BYTES = 4096

/**
 * Undefined where code cannot be made executable: another system than Linux on x86-64, a policy that forbids it, no koffi.
 * The page stays until the process ends.
 */
export function makeExecutable(code: Uint8Array): NativeFunction | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined
  const koffi = loadKoffi()
  const libc = loadLibrary(['libc.so.6', 'libc.musl-x86_64.so.1'])
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
