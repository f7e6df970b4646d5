// The memory of the CPU device: one WebAssembly memory, whose pages the system gives when they are first touched. Up to 4 GiB its
// addresses have 32 bits, beyond 64: there the engine checks each access, which makes products by WASM 1.2 times as slow, so
// the kernels come compiled for both.

import { SluiceError } from '../../core/errors.ts'
import { formatCount } from '../../core/format.ts'
import { loadKernel } from '../../core/kernels.ts'
import { machineMemoryBytes } from '../../core/machine-memory.ts'
import type { OpRecord } from '../graph.ts'
import { elements } from '../shape.ts'

const PAGE_BYTES = 65536
const NARROW_PAGES = 65536
/** V8 gives a memory no more, and launches tell addresses in words of 4 bytes with 32 bits. */
const WIDE_PAGES = 262144

export const MOST_MEMORY_BYTES = WIDE_PAGES * PAGE_BYTES
/** Elements of a tensor: kernels count them in 32 bits, and go on to the end of a block. */
const MOST_ELEMENTS = 2 ** 31 - 2 ** 16

const fix = 'take a smaller model, fewer rows at once, or shorter ones'
const gibibytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`

/** @throws SluiceError SLUICE_TENSOR_MEMORY where that much cannot be addressed, is not in the machine, or is refused by the system */
export function createMemory(
  bytes: number,
  machineBytes = machineMemoryBytes(),
): { readonly memory: WebAssembly.Memory; readonly module: WebAssembly.Module } {
  const pages = Math.ceil(bytes / PAGE_BYTES)
  const needed = `the model and its activations need ${gibibytes(bytes)}`
  if (pages > WIDE_PAGES)
    throw new SluiceError('SLUICE_TENSOR_MEMORY', `${needed}, the CPU device has at most ${gibibytes(MOST_MEMORY_BYTES)}`, { fix })
  if (bytes > machineBytes) throw new SluiceError('SLUICE_TENSOR_MEMORY', `${needed}, this machine has ${gibibytes(machineBytes)}`, { fix })
  try {
    if (pages <= NARROW_PAGES)
      return { memory: new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }), module: loadKernel('tensor') }
    const wide = { address: 'i64', initial: BigInt(pages), maximum: BigInt(pages), shared: true }
    const memory: WebAssembly.Memory = Reflect.construct(WebAssembly.Memory, [wide]) // TypeScript knows it with numbers only
    return { memory, module: loadKernel('tensor64') }
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    const words = `${needed}, which the system does not give`
    throw new SluiceError('SLUICE_TENSOR_MEMORY', words, { fix: `raise the limit of addresses (ulimit -v), or ${fix}`, cause })
  }
}

/** @throws SluiceError SLUICE_TENSOR_MEMORY where a tensor is larger than kernels can count */
export function requireCountable(records: readonly OpRecord[]): void {
  for (const { reads, writes, scratch } of records)
    for (const { name, shape } of [reads, writes, scratch].flatMap((operands) => Object.values(operands)))
      if (elements(shape) > MOST_ELEMENTS)
        throw new SluiceError('SLUICE_TENSOR_MEMORY', `${name} would have ${formatCount(elements(shape))} elements, kernels count to 2³¹`, {
          fix,
        })
}
