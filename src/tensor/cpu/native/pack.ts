// Operands of a product packed into panels, see pack-code.ts: whole blocks by machine code where there is AVX-512, what is left
// at the edges, and all of it elsewhere, by WASM.

import { loadKoffi } from '../../../core/native.ts'
import type { Vectors } from './assembler.ts'
import { makeExecutable, type NativeFunction, unmoved } from './executable.ts'
import {
  type Format,
  type Order,
  packCode,
  packedLanes,
  packedSteps,
  packParameterCount,
  packParameters,
  pairIndexes,
  stepsPerWord,
} from './pack-code.ts'

/** The address is in words of 4 bytes, strides in floats: from lane to lane and from one k to the next. */
export interface Operand {
  readonly address: number
  readonly laneStride: number
  readonly stepStride: number
}

/** Packs that many lanes and steps of k to an address; what is missing of whole panels and of `packedDepth` steps is 0. */
export type Pack = (operand: Operand, lanes: number, steps: number, out: number) => void

export interface PanelFormat {
  readonly format: Format
  /** Lanes of a panel. */
  readonly width: number
  /** Steps are filled up to a multiple of this. */
  readonly depthMultiple: number
}

/** A panel by WASM, kernels/wasm/tensor/panels.ts. */
type PackPanel = (
  x: number,
  laneStride: number,
  stepStride: number,
  lanes: number,
  steps: number,
  end: number,
  width: number,
  out: number,
) => void
export type PackKernels = Readonly<Record<'packPanel' | 'packPairs' | 'packRows', PackPanel>>

export const packedDepth = (steps: number, multiple: number) => Math.ceil(steps / multiple) * multiple

const panelKernels = { floats: 'packPanel', pairs: 'packPairs', rows: 'packRows' } as const

/** @param base where the WASM memory lies */
export function packerOf(vectors: Vectors, panels: PanelFormat, kernels: PackKernels, base: bigint): Pack {
  const { format, width, depthMultiple } = panels
  const packPanel = kernels[panelKernels[format]]
  const native = vectors === 'avx512' ? nativeBlocks(panels, base) : undefined

  return ({ address, laneStride, stepStride }, lanes, steps, out) => {
    const end = packedDepth(steps, depthMultiple)
    const panelWords = (width * end) / stepsPerWord(format)
    const order = laneStride === 1 ? 'lanes' : stepStride === 1 ? 'steps' : undefined
    let [wholeLanes, wholeSteps] = [0, 0]
    if (native && order) {
      wholeLanes = lanes - (lanes % packedLanes(width))
      wholeSteps = steps - (steps % packedSteps(order, format))
      if (wholeLanes > 0 && wholeSteps > 0)
        native(order, address, order === 'lanes' ? stepStride : laneStride, wholeLanes, wholeSteps, out, panelWords)
    }
    for (let lane = 0; lane < lanes; lane += width) {
      const from = lane < wholeLanes ? wholeSteps : 0
      if (from === end) continue
      const at = address + lane * laneStride + from * stepStride
      const to = out + (lane / width) * panelWords + (width * from) / stepsPerWord(format)
      packPanel(at, laneStride, stepStride, Math.min(width, lanes - lane), steps - from, end - from, width, to)
    }
  }
}

type PackBlocks = (order: Order, address: number, stride: number, lanes: number, steps: number, out: number, panelWords: number) => void

function nativeBlocks({ format, width }: PanelFormat, base: bigint): PackBlocks | undefined {
  const koffi = loadKoffi()
  const [alongLanes, alongSteps] = (['lanes', 'steps'] as const).map((order) => makeExecutable(packCode(width, order, format)))
  if (!koffi || !alongLanes || !alongSteps) return undefined
  const code: Readonly<Record<Order, NativeFunction>> = { lanes: alongLanes, steps: alongSteps }
  const indexes = unmoved(new Uint8Array(pairIndexes.buffer))
  const parameters = new BigInt64Array(packParameterCount)
  return (order, address, stride, lanes, steps, out, panelWords) => {
    parameters[packParameters.from] = base + BigInt(4 * address)
    parameters[packParameters.stride] = BigInt(4 * stride)
    parameters[packParameters.groups] = BigInt(lanes / packedLanes(width))
    parameters[packParameters.blocks] = BigInt(steps / packedSteps(order, format))
    parameters[packParameters.out] = base + BigInt(4 * out)
    parameters[packParameters.panelBytes] = BigInt(4 * panelWords)
    parameters[packParameters.indexes] = koffi.address(indexes)
    code[order](parameters)
  }
}
