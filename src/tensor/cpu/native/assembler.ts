// A small x86-64 assembler: just the instructions that a matrix product needs, over AVX2 (VEX) or AVX-512 (EVEX) registers.
// Encodings: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, sections 2.3 (VEX) and 2.7 (EVEX).

export type Vectors = 'avx2' | 'avx512'

/** General registers by number. rsp and r12 cannot stand as a base here: they would need another byte. */
export const rax = 0
export const rcx = 1
export const rdx = 2
export const rbx = 3
export const rsi = 6
export const rdi = 7
export const r8 = 8
export const r9 = 9
export const r10 = 10
export const r11 = 11

export const vectorBytes = (vectors: Vectors) => (vectors === 'avx512' ? 64 : 32)

interface Memory {
  readonly base: number
  readonly displacement: number
}

const isMemory = (operand: number | Memory): operand is Memory => typeof operand === 'object'

/** Opcode maps and mandatory prefixes of vector instructions, as VEX and EVEX number them. */
const MAP_0F = 1
const MAP_0F38 = 2
const NO_PREFIX = 0
const PREFIX_66 = 1
const PREFIX_F3 = 2
const PREFIX_F2 = 3
/** Beside a prefix: the W bit. */
const WIDE = 0x80

export class Assembler {
  readonly #vectors: Vectors
  readonly #bytes: number[] = []
  readonly #labels = new Map<string, number>()
  readonly #jumps: { readonly at: number; readonly to: string }[] = []

  constructor(vectors: Vectors) {
    this.#vectors = vectors
  }

  /** The code, its jumps resolved. */
  finish(): Uint8Array {
    const code = Uint8Array.from(this.#bytes)
    const view = new DataView(code.buffer)
    for (const { at, to } of this.#jumps) {
      const target = this.#labels.get(to)
      if (target === undefined) throw new RangeError(`there is no label ${to}`)
      view.setInt32(at, target - (at + 4), true)
    }
    return code
  }

  // ---- general registers, 64 bits ----

  push(register: number): void {
    this.#emit(0x50 | register)
  }

  pop(register: number): void {
    this.#emit(0x58 | register)
  }

  return(): void {
    this.#emit(0xc3)
  }

  copy(to: number, from: number): void {
    this.#between(0x89, to, from)
  }

  add(to: number, from: number): void {
    this.#between(0x01, to, from)
  }

  addNumber(to: number, number: number): void {
    this.#emit(0x48 | (to >> 3), 0x81, 0xc0 | (to & 7))
    this.#emitInt32(number)
  }

  subtractNumber(from: number, number: number): void {
    this.#emit(0x48 | (from >> 3), 0x81, 0xe8 | (from & 7))
    this.#emitInt32(number)
  }

  load(to: number, base: number, displacement: number): void {
    this.#emit(0x48 | ((to >> 3) << 2) | (base >> 3), 0x8b, 0x80 | ((to & 7) << 3) | (base & 7))
    this.#emitInt32(displacement)
  }

  compareWithZero(base: number, displacement: number): void {
    this.#emit(0x48 | (base >> 3), 0x83, 0xb8 | (base & 7))
    this.#emitInt32(displacement)
    this.#emit(0)
  }

  // ---- jumps ----

  label(name: string): void {
    this.#labels.set(name, this.#bytes.length)
  }

  jump(to: string): void {
    this.#emit(0xe9)
    this.#emitTarget(to)
  }

  jumpIfZero(to: string): void {
    this.#emit(0x0f, 0x84)
    this.#emitTarget(to)
  }

  jumpIfNotZero(to: string): void {
    this.#emit(0x0f, 0x85)
    this.#emitTarget(to)
  }

  // ---- vector registers, f32 ----

  /** vmovups */
  loadVector(to: number, base: number, displacement: number): void {
    this.#vector(MAP_0F, NO_PREFIX, 0x10, to, 0, { base, displacement })
  }

  /** vmovups */
  storeVector(from: number, base: number, displacement: number): void {
    this.#vector(MAP_0F, NO_PREFIX, 0x11, from, 0, { base, displacement })
  }

  /** vbroadcastss */
  broadcast(to: number, base: number, displacement: number): void {
    this.#vector(MAP_0F38, PREFIX_66, 0x18, to, 0, { base, displacement })
  }

  /** vfmadd231ps: to += a · b */
  multiplyAdd(to: number, a: number, b: number): void {
    this.#vector(MAP_0F38, PREFIX_66, 0xb8, to, a, b)
  }

  /** vdpbf16ps: to += a · b, each lane over two bf16 */
  multiplyAddPairs(to: number, a: number, b: number): void {
    this.#vector(MAP_0F38, PREFIX_F3, 0x52, to, a, b)
  }

  /** vcvtne2ps2bf16: the lower half from `low`, the upper from `high`, to the nearest even */
  roundPairs(to: number, high: number, low: number): void {
    this.#vector(MAP_0F38, PREFIX_F2, 0x72, to, high, low)
  }

  /** vpermw: 16-bit lanes by their indexes */
  permuteWords(to: number, indexes: number, from: number): void {
    this.#vector(MAP_0F38, PREFIX_66 | WIDE, 0x8d, to, indexes, from)
  }

  /** vaddps: to += memory */
  addMemory(to: number, base: number, displacement: number): void {
    this.#vector(MAP_0F, NO_PREFIX, 0x58, to, to, { base, displacement })
  }

  /** vxorps, or vpxord where vxorps would ask for AVX-512DQ */
  zero(register: number): void {
    if (this.#vectors === 'avx2') this.#vector(MAP_0F, NO_PREFIX, 0x57, register, register, register)
    else this.#vector(MAP_0F, PREFIX_66, 0xef, register, register, register)
  }

  /** vzeroupper: without it, code with older instructions slows down behind this. */
  zeroUpper(): void {
    this.#emit(0xc5, 0xf8, 0x77)
  }

  // ---- encodings ----

  #vector(map: number, prefix: number, opcode: number, register: number, second: number, operand: number | Memory): void {
    const base = isMemory(operand) ? operand.base : operand
    if (this.#vectors === 'avx2') {
      // VEX: inverted R, X, B and the map; W, inverted second register, 256 bits, prefix
      this.#emit(0xc4, (inverted(register, 3) << 7) | 0x40 | (inverted(base, 3) << 5) | map, ((~second & 15) << 3) | 4 | prefix, opcode)
    } else {
      // EVEX: inverted R, X, B, R'; inverted second register; 512 bits, inverted V'. X is bit 4 of a register operand.
      const x = isMemory(operand) ? 1 : inverted(operand, 4)
      this.#emit(
        0x62,
        (inverted(register, 3) << 7) | (x << 6) | (inverted(base, 3) << 5) | (inverted(register, 4) << 4) | map,
        ((~second & 15) << 3) | 4 | prefix,
        0x40 | (inverted(second, 4) << 3),
        opcode,
      )
    }
    if (isMemory(operand)) {
      this.#emit(0x80 | ((register & 7) << 3) | (base & 7))
      this.#emitInt32(operand.displacement)
    } else this.#emit(0xc0 | ((register & 7) << 3) | (base & 7))
  }

  #between(opcode: number, to: number, from: number): void {
    this.#emit(0x48 | ((from >> 3) << 2) | (to >> 3), opcode, 0xc0 | ((from & 7) << 3) | (to & 7))
  }

  #emitTarget(to: string): void {
    this.#jumps.push({ at: this.#bytes.length, to })
    this.#emitInt32(0)
  }

  #emitInt32(number: number): void {
    this.#emit(number, number >> 8, number >> 16, number >> 24)
  }

  #emit(...bytes: number[]): void {
    for (const byte of bytes) this.#bytes.push(byte & 0xff)
  }
}

/** A bit of a register's number, inverted as the prefixes want it. */
function inverted(register: number, bit: number): number {
  return ((register >> bit) & 1) ^ 1
}
