// Machine code (AVX-512) that packs an operand of a product into panels, in one of three formats:
// - floats, out[panel][k][lane];
// - pairs of bf16, out[panel][k / 2][lane][2], as vdpbf16ps multiplies them;
// - rows of bf16, out[panel][k / 32][lane][32], as AMX wants A.
// It rounds to the nearest even. It packs whole panels and whole blocks of k; what is left at the edges is packed by WASM
// (panels.ts). What is read next is fetched while this is packed.

import { Assembler, LANES, r8, r9, r10, r11, rax, rbp, rbx, rcx, rdi, rdx, rsi, VECTOR_BYTES } from './assembler.ts'
import { transpose16 } from './transpose-code.ts'

/** What lies side by side in memory: the lanes of a panel, or the steps of k. */
export type Order = 'lanes' | 'steps'

/** Words of 64 bits that the code is given the address of. */
export const packParameters = {
  from: 0,
  /** Bytes from lane to lane, or from step to step: of what does not lie side by side. */
  stride: 1,
  /** Of `packedLanes` each. */
  groups: 2,
  /** Of `packedSteps` each. */
  blocks: 3,
  out: 4,
  /** Bytes from panel to panel. */
  panelBytes: 5,
  /** Where `pairIndexes` lie. */
  indexes: 6,
} as const
export const packParameterCount = 7

/** Steps that are read side by side where lanes lie so. */
const ROWS = 4

export type Format = 'floats' | 'pairs' | 'rows'

/** Steps of k that lie in one word. */
export const stepsPerWord = (format: Format) => (format === 'floats' ? 1 : 2)

/** Lanes that are packed at once: a panel, or two of eight lanes. */
export const packedLanes = (width: number) => Math.max(width, LANES)

/** Steps of k that are packed at once. */
export function packedSteps(order: Order, format: Format): number {
  if (order === 'lanes' && format !== 'rows') return ROWS
  return LANES * stepsPerWord(format)
}

/** Takes the words of two halves of a vector in turns. */
export const pairIndexes = Uint16Array.from({ length: 2 * LANES }, (_, word) => (word & 1) * LANES + (word >> 1))

const parameter = (name: keyof typeof packParameters) => 8 * packParameters[name]

/** @param width lanes of a panel: 8, or a multiple of 16 */
export function packCode(width: number, order: Order, format: Format): Uint8Array {
  if (format === 'rows') return packRows(width, order)
  return order === 'lanes' ? packLanes(width, format) : packSteps(width, format)
}

/** For each four steps, for each group of lanes: rows are read from end to end, to all panels. */
function packLanes(width: number, format: Format): Uint8Array {
  const code = new Assembler('avx512')
  const rows = [rsi, rbx, rbp, r9]
  const [blocks, groups, stride, out, outOfBlock, panelBytes, fourSteps] = [rcx, rax, r8, rdx, r11, r10, r8]
  const vectors = packedLanes(width) / LANES
  const outRows = ROWS / stepsPerWord(format)
  const indexes = 31

  code.push(rbx)
  code.push(rbp)
  code.load(rows[0], rdi, parameter('from'))
  code.load(stride, rdi, parameter('stride'))
  code.load(blocks, rdi, parameter('blocks'))
  code.load(outOfBlock, rdi, parameter('out'))
  code.load(panelBytes, rdi, parameter('panelBytes'))
  code.load(rax, rdi, parameter('indexes'))
  code.loadVector(indexes, rax, 0)
  for (let row = 1; row < ROWS; row++) {
    code.copy(rows[row], rows[row - 1])
    code.add(rows[row], stride)
  }
  code.add(stride, stride)
  code.add(fourSteps, stride)

  code.label('block')
  code.load(groups, rdi, parameter('groups'))
  code.copy(out, outOfBlock)
  for (const row of rows) code.push(row)
  code.label('group')
  for (let row = 0; row < ROWS; row++)
    for (let v = 0; v < vectors; v++) {
      code.loadVector(row * vectors + v, rows[row], v * VECTOR_BYTES)
      code.prefetch(rows[row], fourSteps, v * VECTOR_BYTES)
    }
  if (format === 'pairs')
    for (let row = 0; row < outRows; row++)
      for (let v = 0; v < vectors; v++) {
        const [even, odd] = [2 * row * vectors + v, (2 * row + 1) * vectors + v]
        code.roundPairs(row * vectors + v, odd, even)
        code.permuteWords(row * vectors + v, indexes, row * vectors + v)
      }
  for (let row = 0; row < outRows; row++)
    for (let v = 0; v < vectors; v++)
      if (width < LANES) code.storeHalf('lower', row, out, 4 * width * row)
      else code.storeVector(row * vectors + v, out, 4 * width * row + v * VECTOR_BYTES)
  code.add(out, panelBytes)
  if (width < LANES) {
    for (let row = 0; row < outRows; row++) code.storeHalf('upper', row, out, 4 * width * row)
    code.add(out, panelBytes)
  }
  for (const row of rows) code.addNumber(row, vectors * VECTOR_BYTES)
  code.subtractNumber(groups, 1)
  code.jumpIfNotZero('group')
  for (const row of rows.toReversed()) {
    code.pop(row)
    code.add(row, fourSteps)
  }
  code.addNumber(outOfBlock, 4 * width * outRows)
  code.subtractNumber(blocks, 1)
  code.jumpIfNotZero('block')
  code.zeroUpper()
  code.pop(rbp)
  code.pop(rbx)
  code.return()
  return code.finish()
}

/** For each 16 lanes, for each 16 words of steps: a square of words is turned. */
function packSteps(width: number, format: Format): Uint8Array {
  const code = new Assembler('avx512')
  const [from, out, upperOut, blocks, groups, stride, group, panel] = [rsi, rdx, r10, rcx, rax, r8, rbx, r11]
  const [panelBytes, lanes16] = [r9, r9]
  const vectors = packedLanes(width) / LANES
  const rowBytes = 4 * width
  const readBytes = 4 * packedSteps('steps', format)

  code.push(rbx)
  code.load(stride, rdi, parameter('stride'))
  code.load(groups, rdi, parameter('groups'))
  code.load(group, rdi, parameter('from'))
  code.load(panel, rdi, parameter('out'))
  code.label('group')
  for (let v = 0; v < vectors; v++) {
    code.copy(from, group)
    code.copy(out, panel)
    code.addNumber(out, v * VECTOR_BYTES)
    code.load(panelBytes, rdi, parameter('panelBytes'))
    code.copy(upperOut, panel)
    code.add(upperOut, panelBytes)
    code.copy(lanes16, stride)
    for (let doubling = 0; doubling < 4; doubling++) code.add(lanes16, lanes16)
    code.load(blocks, rdi, parameter('blocks'))
    code.label(`block ${v}`)
    for (let lane = 0; lane < LANES; lane++) {
      if (format === 'floats') code.loadVector(lane, from, 0)
      else {
        code.loadVector(LANES, from, VECTOR_BYTES)
        code.roundPairsMemory(lane, LANES, from, 0)
      }
      for (let byte = 0; byte < readBytes; byte += VECTOR_BYTES) code.prefetch(from, lanes16, byte)
      code.add(from, stride)
    }
    transpose16(code)
    for (let row = 0; row < LANES; row++)
      if (width < LANES) {
        code.storeHalf('lower', row, out, row * rowBytes)
        code.storeHalf('upper', row, upperOut, row * rowBytes)
      } else code.storeVector(row, out, row * rowBytes)
    code.subtract(from, lanes16)
    code.addNumber(from, readBytes)
    code.addNumber(out, LANES * rowBytes)
    code.addNumber(upperOut, LANES * rowBytes)
    code.subtractNumber(blocks, 1)
    code.jumpIfNotZero(`block ${v}`)
    code.add(group, lanes16)
  }
  code.load(panelBytes, rdi, parameter('panelBytes'))
  code.add(panel, panelBytes)
  if (width < LANES) code.add(panel, panelBytes)
  code.subtractNumber(groups, 1)
  code.jumpIfNotZero('group')
  code.zeroUpper()
  code.pop(rbx)
  code.return()
  return code.finish()
}

/** For each 16 lanes, for each 32 steps: rows that lie so are rounded, others paired and turned. */
function packRows(width: number, order: Order): Uint8Array {
  const code = new Assembler('avx512')
  const [from, out, blocks, groups, stride, group, panel, ahead] = [rsi, rdx, rcx, rax, r8, rbx, r11, r10]
  const [panelBytes, indexes] = [r9, rbp]
  const halves = width / LANES
  const blockBytes = width * VECTOR_BYTES

  code.push(rbx)
  code.push(rbp)
  code.load(stride, rdi, parameter('stride'))
  code.load(groups, rdi, parameter('groups'))
  code.load(group, rdi, parameter('from'))
  code.load(panel, rdi, parameter('out'))
  code.load(panelBytes, rdi, parameter('panelBytes'))
  code.load(indexes, rdi, parameter('indexes'))
  code.copy(ahead, stride)
  for (let doubling = 0; doubling < (order === 'steps' ? 4 : 5); doubling++) code.add(ahead, ahead)
  code.label('group')
  for (let half = 0; half < halves; half++) {
    code.copy(from, group)
    code.copy(out, panel)
    code.addNumber(out, half * LANES * VECTOR_BYTES)
    code.load(blocks, rdi, parameter('blocks'))
    code.label(`block ${half}`)
    if (order === 'steps') roundRows()
    else turnPairs()
    code.addNumber(out, blockBytes)
    code.subtractNumber(blocks, 1)
    code.jumpIfNotZero(`block ${half}`)
    if (order === 'steps') code.add(group, ahead)
    else code.addNumber(group, VECTOR_BYTES)
  }
  code.add(panel, panelBytes)
  code.subtractNumber(groups, 1)
  code.jumpIfNotZero('group')
  code.zeroUpper()
  code.pop(rbp)
  code.pop(rbx)
  code.return()
  return code.finish()

  /** 16 lanes of 32 steps side by side. */
  function roundRows(): void {
    for (let lane = 0; lane < LANES; lane++) {
      code.loadVector(0, from, VECTOR_BYTES)
      code.roundPairsMemory(0, 0, from, 0)
      code.storeVector(0, out, lane * VECTOR_BYTES)
      code.prefetch(from, ahead, 0)
      code.prefetch(from, ahead, VECTOR_BYTES)
      code.add(from, stride)
    }
    code.subtract(from, ahead)
    code.addNumber(from, 2 * VECTOR_BYTES)
  }

  /** 32 steps of 16 lanes side by side. */
  function turnPairs(): void {
    code.loadVector(2 * LANES - 1, indexes, 0)
    for (let pair = 0; pair < LANES; pair++) {
      for (const register of [pair, LANES]) {
        code.loadVector(register, from, 0)
        code.prefetch(from, ahead, 0)
        code.add(from, stride)
      }
      code.roundPairs(pair, LANES, pair)
      code.permuteWords(pair, 2 * LANES - 1, pair)
    }
    transpose16(code)
    for (let lane = 0; lane < LANES; lane++) code.storeVector(lane, out, lane * VECTOR_BYTES)
  }
}
