// Runs records as the CUDA device would, with kernels in the emulator and matrix products as plain loops.

import assert from 'node:assert/strict'
import koffi from 'koffi'
import type { Argument, KernelLaunch, Launch, Matrix, Operand, ProductLaunch } from '../../../src/tensor/cuda/launch.ts'
import { createLowering, type Lowering } from '../../../src/tensor/cuda/launches.ts'
import { elementBytes } from '../../../src/tensor/cuda/operands.ts'
import type { Graph, OpRecord } from '../../../src/tensor/graph.ts'
import type { Precision } from '../../../src/tensor/precision.ts'
import { elements } from '../../../src/tensor/shape.ts'
import { storageOf, type Tensor } from '../../../src/tensor/tensor.ts'
import { type Inputs, noise, type Run } from '../harness.ts'
import { emulatorOf } from './emulator.ts'

const bits = new DataView(new ArrayBuffer(8))

/** How the halves of a precision are kept, as 16 bits. */
interface Half {
  to(value: number): number
  from(half: number): number
}

const halves: Readonly<Record<'bf16' | 'f16', Half>> = {
  bf16: {
    to(value) {
      bits.setFloat32(0, value)
      const word = bits.getUint32(0)
      return Number.isNaN(value) ? 0x7fff : ((word + 0x7fff + ((word >>> 16) & 1)) >>> 16) & 0xffff
    },
    from(half) {
      bits.setUint32(0, (half << 16) >>> 0)
      return bits.getFloat32(0)
    },
  },
  f16: {
    to(value) {
      bits.setFloat16(0, value)
      return bits.getUint16(0)
    },
    from(half) {
      bits.setUint16(0, half)
      return bits.getFloat16(0)
    },
  },
}

export function fromHalves(type: 'bf16' | 'f16', stored: Uint16Array): Float32Array {
  return Float32Array.from(stored, halves[type].from)
}

/** To what the precision can hold. */
export function rounded(values: Float32Array, precision: Precision): Float32Array {
  if (precision === 'f32') return values
  const { to, from } = halves[precision]
  return values.map((value) => from(to(value)))
}

/** No kernel may write here: between any two tensors, and filled with a pattern. */
const GUARD_BYTES = 256
const GUARD = 0x7b

/** One arena in the memory of this process. Everything begins as NaN. */
class Memory {
  readonly bytes: Uint8Array
  readonly base: bigint
  readonly #guards: number[] = []
  readonly #places = new Map<string, number>()

  constructor(graph: Graph, lowering: Lowering) {
    let end = GUARD_BYTES
    const place = (key: string, size: number) => {
      this.#places.set(key, end)
      end += Math.ceil(size / 64) * 64
      this.#guards.push(end)
      end = Math.ceil((end + GUARD_BYTES) / 256) * 256
    }
    for (const tensor of graph.tensors) {
      const type = tensor.dtype === 'i32' ? 'f32' : lowering.typeOf(tensor)
      if (!tensor.storage) place(`tensor ${tensor.id}`, elements(tensor.shape) * elementBytes(type))
    }
    for (const tensor of lowering.copies) place(`copy ${tensor.id}`, elements(tensor.shape) * 2)
    place('workspace', lowering.workspaceBytes)
    const pointer = koffi.alloc('uint8_t', end + 256)
    const start = koffi.address(pointer)
    const skipped = Number((256n - (start % 256n)) % 256n)
    this.base = start + BigInt(skipped)
    this.bytes = new Uint8Array(koffi.view(pointer, end + 256), skipped, end)
    this.bytes.fill(0xff)
    for (const from of this.#guards) this.bytes.fill(GUARD, from, from + GUARD_BYTES)
  }

  offsetOf(operand: Operand): number {
    const key = operand.kind === 'workspace' ? 'workspace' : `${operand.kind} ${storageOf(operand.tensor).id}`
    const place = this.#places.get(key)
    if (place === undefined) throw new RangeError(`nothing is placed at ${key}`)
    return place + operand.offsetBytes
  }

  halves(offset: number, count: number): Uint16Array {
    return new Uint16Array(this.bytes.buffer, this.bytes.byteOffset + offset, count)
  }

  floats(offset: number, count: number): Float32Array {
    return new Float32Array(this.bytes.buffer, this.bytes.byteOffset + offset, count)
  }

  integers(offset: number, count: number): Int32Array {
    return new Int32Array(this.bytes.buffer, this.bytes.byteOffset + offset, count)
  }

  checkGuards(what: string): void {
    for (const from of this.#guards)
      assert.ok(
        this.bytes.subarray(from, from + GUARD_BYTES).every((byte) => byte === GUARD),
        `${what} wrote past the end of a tensor`,
      )
  }
}

const slot = new DataView(new ArrayBuffer(8))

function slotOf(argument: Argument, memory: Memory): bigint {
  slot.setBigUint64(0, 0n, true)
  if (argument.kind === 'i32') slot.setInt32(0, argument.value, true)
  else if (argument.kind === 'f32') slot.setFloat32(0, argument.value, true)
  else if (argument.kind !== 'null') slot.setBigUint64(0, memory.base + BigInt(memory.offsetOf(argument)), true)
  return slot.getBigUint64(0, true)
}

function runKernel(launch: KernelLaunch, memory: Memory, precision: Precision): void {
  emulatorOf(launch.module, precision)(
    launch,
    BigUint64Array.from(launch.arguments, (argument) => slotOf(argument, memory)),
  )
  memory.checkGuards(launch.name)
}

/** The matrix as rows of numbers. */
function readMatrix({ operand, type, stride, isTransposed }: Matrix, rows: number, columns: number, memory: Memory): Float64Array {
  const count = isTransposed ? (columns - 1) * stride + rows : (rows - 1) * stride + columns
  const offset = memory.offsetOf(operand)
  const stored = type === 'f32' ? memory.floats(offset, count) : fromHalves(type, memory.halves(offset, count))
  const values = new Float64Array(rows * columns)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) values[i * columns + j] = stored[isTransposed ? j * stride + i : i * stride + j]
  return values
}

/** GELU in the tanh form, and its slope. */
function geluOf(x: number): { value: number; slope: number } {
  const t = Math.tanh(0.7978845608028654 * (x + 0.044715 * x ** 3))
  return { value: 0.5 * x * (1 + t), slope: 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.7978845608028654 * (1 + 0.134145 * x * x) }
}

function writeMatrix({ operand, type, stride }: Matrix, values: Float64Array, [rows, columns]: [number, number], memory: Memory): void {
  const offset = memory.offsetOf(operand)
  const to = type === 'f32' ? memory.floats(offset, rows * stride) : memory.halves(offset, rows * stride)
  const stored = type === 'f32' ? (value: number) => value : halves[type].to
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) to[i * stride + j] = stored(values[i * columns + j])
}

function runProduct({ M, N, K, a, b, c, beta, bias, gelu }: ProductLaunch, memory: Memory): void {
  const left = readMatrix(a, M, K, memory)
  const right = readMatrix(b, K, N, memory)
  const sums = beta === 1 ? readMatrix(c, M, N, memory) : new Float64Array(M * N)
  const added = bias && readMatrix({ ...c, operand: bias }, 1, N, memory)
  for (let i = 0; i < M; i++) for (let k = 0; k < K; k++) for (let j = 0; j < N; j++) sums[i * N + j] += left[i * K + k] * right[k * N + j]
  if (added) for (let i = 0; i < M; i++) for (let j = 0; j < N; j++) sums[i * N + j] += added[j]
  if (gelu?.pass === 'forward') {
    if (gelu.pre) writeMatrix({ ...c, operand: gelu.pre }, sums, [M, N], memory)
    for (let i = 0; i < sums.length; i++) sums[i] = geluOf(sums[i]).value
  } else if (gelu) {
    const pre = readMatrix({ ...c, operand: gelu.pre }, M, N, memory)
    for (let i = 0; i < sums.length; i++) sums[i] *= geluOf(pre[i]).slope
  }
  writeMatrix(c, sums, [M, N], memory)
}

function runLaunch(launch: Launch, memory: Memory, precision: Precision): void {
  if (launch.kind === 'kernel') runKernel(launch, memory, precision)
  else if (launch.kind === 'product') runProduct(launch, memory)
  else {
    const from = memory.offsetOf(launch.operand)
    memory.bytes.fill(0, from, from + launch.bytes)
  }
}

/** What is missing from the inputs, as harness.ts's fill makes it, and all rounded as the precision asks. */
export function completed(graph: Graph, inputs: Inputs, precision: Precision): Inputs {
  const all = new Map<Tensor, Float32Array | Int32Array>()
  for (const tensor of graph.tensors) {
    if (tensor.role === 'activation' || tensor.storage) continue
    const count = elements(tensor.shape)
    const free = tensor.role === 'gradient' ? new Float32Array(count) : noise(count, tensor.id + 1)
    const values = inputs.get(tensor) ?? (tensor.dtype === 'i32' ? new Int32Array(count) : free)
    all.set(tensor, values instanceof Float32Array ? rounded(values, precision) : values)
  }
  return all
}

/** What the records leave in every tensor. */
export function runEmulated(graph: Graph, records: readonly OpRecord[], inputs: Inputs, precision: Precision): Run {
  const lowering = createLowering(records, precision)
  const memory = new Memory(graph, lowering)
  for (const [tensor, values] of inputs) {
    const offset = memory.offsetOf({ kind: 'tensor', tensor, offsetBytes: 0 })
    if (values instanceof Int32Array) memory.integers(offset, values.length).set(values)
    else memory.floats(offset, values.length).set(values)
    for (const launch of lowering.refresh(tensor)) runLaunch(launch, memory, precision)
  }
  for (const record of records) for (const launch of lowering.launchesOf(record)) runLaunch(launch, memory, precision)
  return {
    values(tensor) {
      const offset = memory.offsetOf({ kind: 'tensor', tensor, offsetBytes: 0 })
      const count = elements(tensor.shape)
      const type = lowering.typeOf(tensor)
      return type === 'f32' ? memory.floats(offset, count).slice() : fromHalves(type, memory.halves(offset, count))
    },
  }
}

/** |a − b| / |b|, infinite where one is not a number. */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [difference, size] = [0, 0]
  for (let i = 0; i < b.length; i++) {
    difference += (a[i] - b[i]) ** 2
    size += b[i] ** 2
  }
  if (Number.isNaN(difference)) return Infinity
  return difference === 0 ? 0 : Math.sqrt(difference / Math.max(size, 1e-30))
}

/** Relative L2. A chain of results is rounded several times, each by up to 2^-9 in bf16 and 2^-12 in f16. */
export const tolerance: Readonly<Record<Precision, number>> = { f32: 1e-5, bf16: 5e-3, f16: 1e-3 }
