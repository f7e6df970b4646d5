// Machine code of a matrix product over packed panels: Goto & van de Geijn 2008, with a tile of C in registers. It is called
// once for a strip of A and a block of B, some 100 µs of work, so that the call costs nothing.

import type { CpuPrecision } from '../../precision.ts'
import { Assembler, r8, r9, r10, r11, rax, rbp, rbx, rcx, rdi, rdx, rsi, type Vectors, vectorBytes } from './assembler.ts'

export interface Tile {
  /** Rows of C: lanes of a panel of A. */
  readonly rows: number
  /** Columns of C: lanes of a panel of B. */
  readonly columns: number
}

/** Rows · vectors a row are accumulators; the vectors of a row of B, and one or two of A, must find room beside them. */
const layouts: Readonly<Record<Vectors, { readonly rows: number; readonly rowVectors: number; readonly broadcasts: number }>> = {
  avx2: { rows: 4, rowVectors: 3, broadcasts: 1 },
  avx512: { rows: 8, rowVectors: 2, broadcasts: 2 },
}

export function tileOf(vectors: Vectors): Tile {
  const { rows, rowVectors } = layouts[vectors]
  return { rows, columns: (rowVectors * vectorBytes(vectors)) / 4 }
}

/** Words of 64 bits that the code is given the address of, in rdi (System V). */
export const gemmParameters = {
  /** Multiple of `depthMultiple`. */
  depth: 0,
  panelsOfA: 1,
  panelsOfB: 2,
  c: 3,
  /** Bytes from row to row of C. */
  rowBytes: 4,
  aPanels: 5,
  bPanels: 6,
  /** 0: C is overwritten. */
  adds: 7,
  /** Of the columns, added to what is stored; 0: none. */
  bias: 8,
  /** Where the configuration of tiles lies, for AMX. */
  tiles: 9,
} as const
export const gemmParameterCount = 10

/** Values of k without a jump between them. */
export const depthMultiple = 4

/** C (+)= A·B (+ bias) for whole tiles: for each panel of B, for each panel of A, for each k or, of bf16, each pair of them. */
export function gemmCode(vectors: Vectors, precision: CpuPrecision = 'f32'): Uint8Array {
  const { rows, rowVectors, broadcasts } = layouts[vectors]
  const bytes = vectorBytes(vectors)
  const code = new Assembler(vectors)
  const parameter = (name: keyof typeof gemmParameters) => 8 * gemmParameters[name]
  const [depth, column, row, a, b, panelOfB, bias] = [rax, rbx, rcx, rsi, rdx, r11, rbp]
  const [rowBytes, aPanels, bPanels] = [r8, r9, r10]
  const accumulator = (r: number, v: number) => r * rowVectors + v
  const ofB = (v: number) => rows * rowVectors + v
  const ofA = (r: number) => rows * rowVectors + rowVectors + (r % broadcasts)

  code.push(rbx)
  code.push(rbp)
  code.load(bias, rdi, parameter('bias'))
  code.load(rowBytes, rdi, parameter('rowBytes'))
  code.load(bPanels, rdi, parameter('bPanels'))
  code.load(panelOfB, rdi, parameter('panelsOfB'))
  code.load(column, rdi, parameter('c'))

  code.label('panel of B')
  code.load(a, rdi, parameter('panelsOfA'))
  code.load(aPanels, rdi, parameter('aPanels'))
  code.copy(row, column)

  code.label('panel of A')
  // the tile of C may be far away: it comes while the sums are made
  for (let r = 0; r < rows; r++) {
    for (let byte = 0; byte < rowVectors * bytes; byte += 64) code.prefetchToWrite(row, byte)
    code.add(row, rowBytes)
  }
  for (let r = 0; r < rows; r++) code.subtract(row, rowBytes)
  for (let r = 0; r < rows; r++) for (let v = 0; v < rowVectors; v++) code.zero(accumulator(r, v))
  code.load(depth, rdi, parameter('depth'))
  code.copy(b, panelOfB)

  code.label('k')
  const steps = precision === 'f32' ? depthMultiple : depthMultiple / 2
  for (let k = 0; k < steps; k++) {
    for (let v = 0; v < rowVectors; v++) code.loadVector(ofB(v), b, (k * rowVectors + v) * bytes)
    for (let r = 0; r < rows; r++) {
      code.broadcast(ofA(r), a, 4 * (k * rows + r))
      for (let v = 0; v < rowVectors; v++)
        if (precision === 'f32') code.multiplyAdd(accumulator(r, v), ofA(r), ofB(v))
        else code.multiplyAddPairs(accumulator(r, v), ofA(r), ofB(v))
    }
  }
  code.addNumber(a, 4 * rows * steps)
  code.addNumber(b, rowVectors * bytes * steps)
  code.subtractNumber(depth, depthMultiple)
  code.jumpIfNotZero('k')

  code.compareWithZero(rdi, parameter('adds'))
  code.jumpIfZero('sums')
  for (let r = 0; r < rows; r++) {
    for (let v = 0; v < rowVectors; v++) code.addMemory(accumulator(r, v), row, v * bytes)
    code.add(row, rowBytes)
  }
  for (let r = 0; r < rows; r++) code.subtract(row, rowBytes)
  code.label('sums')
  code.compareWithZero(rdi, parameter('bias'))
  code.jumpIfZero('store')
  for (let v = 0; v < rowVectors; v++) {
    code.loadVector(ofB(v), bias, v * bytes)
    for (let r = 0; r < rows; r++) code.addVectors(accumulator(r, v), accumulator(r, v), ofB(v))
  }
  code.label('store')
  for (let r = 0; r < rows; r++) {
    for (let v = 0; v < rowVectors; v++) code.storeVector(accumulator(r, v), row, v * bytes)
    code.add(row, rowBytes)
  }

  code.subtractNumber(aPanels, 1)
  code.jumpIfNotZero('panel of A')
  code.copy(panelOfB, b)
  code.addNumber(column, rowVectors * bytes)
  code.addNumber(bias, rowVectors * bytes)
  code.subtractNumber(bPanels, 1)
  code.jumpIfNotZero('panel of B')

  code.zeroUpper()
  code.pop(rbp)
  code.pop(rbx)
  code.return()
  return code.finish()
}
