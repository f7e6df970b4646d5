// Operands of a product packed into panels, see pack-code.ts: whole blocks by machine code where there is AVX-512, what is left
// at the edges, and all of it elsewhere, by WASM.

import { loadKoffi } from '../../../core/native.ts'
import type { Vectors } from './assembler.ts'
import { makeExecutable, type NativeFunction } from './executable.ts'
import type { Precision } from './gemm-code.ts'
import { type Order, packCode, packedLanes, packedSteps, packParameterCount, packParameters, pairIndexes } from './pack-code.ts'

/** Addresses are bytes of the WASM memory, strides floats: from lane to lane and from one k to the next. */
export interface Operand {
  readonly address: number
  readonly laneStride: number
  readonly stepStride: number
}

/** Packs that many lanes and steps of k to an address; steps are filled up to a multiple of 4 with zeros, lanes to a panel. */
export type Pack = (operand: Operand, lanes: number, steps: number, out: number) => void

/** A panel by WASM, kernels/wasm/tensor/panels.ts. */
export type PackPanel = (
  x: number,
  laneStride: number,
  stepStride: number,
  lanes: number,
  steps: number,
  width: number,
  out: number,
) => void

/** Steps of k that lie in one word. */
export const stepsPerWord = (precision: Precision) => (precision === 'f32' ? 1 : 2)

/** Larger than what the engine keeps on its heap, where it would move. */
const UNMOVED_BYTES = 4096

/**
 * @param width lanes of a panel
 * @param base where the WASM memory lies
 */
export function packerOf(vectors: Vectors, width: number, precision: Precision, packPanel: PackPanel, base: bigint): Pack {
  const native = vectors === 'avx512' ? nativeBlocks(width, precision, base) : undefined

  return ({ address, laneStride, stepStride }, lanes, steps, out) => {
    const panelBytes = (4 * width * ((steps + 3) & ~3)) / stepsPerWord(precision)
    const order = laneStride === 1 ? 'lanes' : stepStride === 1 ? 'steps' : undefined
    let [wholeLanes, wholeSteps] = [0, 0]
    if (native && order) {
      wholeLanes = lanes - (lanes % packedLanes(width))
      wholeSteps = steps - (steps % packedSteps(order, precision))
      if (wholeLanes > 0 && wholeSteps > 0)
        native(order, address, order === 'lanes' ? stepStride : laneStride, wholeLanes, wholeSteps, out, panelBytes)
    }
    for (let lane = 0; lane < lanes; lane += width) {
      const from = lane < wholeLanes ? wholeSteps : 0
      if (from === steps) continue
      const at = address + 4 * (lane * laneStride + from * stepStride)
      const to = out + (lane / width) * panelBytes + (4 * width * from) / stepsPerWord(precision)
      packPanel(at, laneStride, stepStride, Math.min(width, lanes - lane), steps - from, width, to)
    }
  }
}

type PackBlocks = (order: Order, address: number, stride: number, lanes: number, steps: number, out: number, panelBytes: number) => void

function nativeBlocks(width: number, precision: Precision, base: bigint): PackBlocks | undefined {
  const koffi = loadKoffi()
  const [alongLanes, alongSteps] = (['lanes', 'steps'] as const).map((order) => makeExecutable(packCode(width, order, precision)))
  if (!koffi || !alongLanes || !alongSteps) return undefined
  const code: Readonly<Record<Order, NativeFunction>> = { lanes: alongLanes, steps: alongSteps }
  const indexes = new Uint16Array(UNMOVED_BYTES / 2)
  indexes.set(pairIndexes)
  const parameters = new BigInt64Array(packParameterCount)
  return (order, address, stride, lanes, steps, out, panelBytes) => {
    parameters[packParameters.from] = base + BigInt(address)
    parameters[packParameters.stride] = BigInt(4 * stride)
    parameters[packParameters.groups] = BigInt(lanes / packedLanes(width))
    parameters[packParameters.blocks] = BigInt(steps / packedSteps(order, precision))
    parameters[packParameters.out] = base + BigInt(out)
    parameters[packParameters.panelBytes] = BigInt(panelBytes)
    parameters[packParameters.indexes] = koffi.address(indexes)
    code[order](parameters)
  }
}
