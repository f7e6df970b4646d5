// Activations and gates by machine code: kernels of a thread, called like those of kernels/wasm/tensor/elements.ts. Curves that
// the code does not have, and gates whose width is no multiple of 16, stay with WASM.

import { loadKoffi } from '../../../core/native.ts'
import { ELEMENTS_PER_BLOCK } from '../../shape.ts'
import type { WasmKernel } from '../launch.ts'
import { LANES } from './assembler.ts'
import { type CurveKind, curveCode, curveConstants, curveParameterCount, curveParameters, geluCurve, siluCurve } from './curves-code.ts'
import { makeExecutable, unmoved } from './executable.ts'

type Kernel = (words: number, block: number, scratch: number) => void
export type CurveKernels = Readonly<Record<'activation' | 'activationBackward' | 'gated' | 'gatedBackward', Kernel>>

export function nativeCurves(memory: WebAssembly.Memory, wasm: CurveKernels): Partial<Record<WasmKernel, Kernel>> {
  const koffi = loadKoffi()
  const [activation, backward, backwardAdds] = codesOf(false)
  const [gate, gateBackward, gateBackwardAdds] = codesOf(true)
  if (!koffi || !activation || !backward || !backwardAdds || !gate || !gateBackward || !gateBackwardAdds) return {}
  const base = koffi.address(new Uint8Array(memory.buffer))
  const words = new Int32Array(memory.buffer)
  const parameters = new BigInt64Array(curveParameterCount)
  // by the index of ACTIVATIONS
  const constants = [geluCurve, siluCurve].map((curve) => unmoved(new Uint8Array(curveConstants(curve).buffer)))

  function shape(kind: number, rows: number, width: number, skip: number): void {
    parameters[curveParameters.constants] = koffi?.address(constants[kind]) ?? 0n
    parameters[curveParameters.rows] = BigInt(rows)
    parameters[curveParameters.vectors] = BigInt(Math.ceil(width / LANES))
    parameters[curveParameters.skip] = BigInt(skip)
  }

  /** A tensor from one of its floats on. */
  function place(name: 'x' | 'up' | 'y' | 'dx' | 'dUp', address: number, floats: number): void {
    parameters[curveParameters[name]] = base + BigInt(4 * ((address >>> 0) + floats))
  }

  return {
    activation(at, block, scratch) {
      const [x, y, n, kind] = words.subarray(at, at + 4)
      if (kind >= constants.length) return wasm.activation(at, block, scratch)
      const from = block * ELEMENTS_PER_BLOCK
      shape(kind, 1, Math.min(n - from, ELEMENTS_PER_BLOCK), 0)
      place('x', x, from)
      place('y', y, from)
      activation(parameters)
    },
    activationBackward(at, block, scratch) {
      const [x, dy, dx, adds, n, kind] = words.subarray(at, at + 6)
      if (kind >= constants.length) return wasm.activationBackward(at, block, scratch)
      const from = block * ELEMENTS_PER_BLOCK
      shape(kind, 1, Math.min(n - from, ELEMENTS_PER_BLOCK), 0)
      place('x', x, from)
      place('y', dy, from)
      place('dx', dx, from)
      const run = adds ? backwardAdds : backward
      run(parameters)
    },
    gated(at, block, scratch) {
      const [x, y, rows, width, kind, size] = words.subarray(at, at + 6)
      if (kind >= constants.length || width % LANES > 0) return wasm.gated(at, block, scratch)
      const from = block * size * width
      shape(kind, Math.min(rows - block * size, size), width, 4 * width)
      place('x', x, 2 * from)
      place('up', x, 2 * from + width)
      place('y', y, from)
      gate(parameters)
    },
    gatedBackward(at, block, scratch) {
      const [x, dy, dx, adds, rows, width, kind, size] = words.subarray(at, at + 8)
      if (kind >= constants.length || width % LANES > 0) return wasm.gatedBackward(at, block, scratch)
      const from = block * size * width
      shape(kind, Math.min(rows - block * size, size), width, 4 * width)
      place('x', x, 2 * from)
      place('up', x, 2 * from + width)
      place('y', dy, from)
      place('dx', dx, 2 * from)
      place('dUp', dx, 2 * from + width)
      const run = adds ? gateBackwardAdds : gateBackward
      run(parameters)
    },
  }
}

/** Forward, backward, and backward where gradients are added. */
function codesOf(isGated: boolean) {
  const kinds: readonly CurveKind[] = [
    { isGated, isBackward: false, adds: false },
    { isGated, isBackward: true, adds: false },
    { isGated, isBackward: true, adds: true },
  ]
  return kinds.map((kind) => makeExecutable(curveCode(kind)))
}
