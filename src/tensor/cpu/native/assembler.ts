// A small x86-64 assembler: just the instructions that a matrix product needs, over AVX2 (VEX) or AVX-512 (EVEX) registers.
// Encodings: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, sections 2.3 (VEX) and 2.7 (EVEX).

export type Vectors = 'avx2' | 'avx512'

/** General registers by number. rsp and r12 cannot stand as a base here: they would need another byte. */
export const rax = 0
export const rcx = 1
export const rdx = 2
export const rbx = 3
export const rbp = 5
export const rsi = 6
export const rdi = 7
export const r8 = 8
export const r9 = 9
export const r10 = 10
export const r11 = 11
export const r12 = 12

/** Of an AVX-512 register: floats in it, and its size. */
export const LANES = 16
export const VECTOR_BYTES = 64

export const vectorBytes = (vectors: Vectors) => (vectors === 'avx512' ? VECTOR_BYTES : 32)

interface Memory {
  readonly base: number
  readonly displacement: number
}

const isMemory = (operand: number | Memory): operand is Memory => typeof operand === 'object'

/** Opcode maps and mandatory prefixes of vector instructions, as VEX and EVEX number them. */
const MAP_0F = 1
const MAP_0F38 = 2
const MAP_0F3A = 3
const NO_PREFIX = 0
const PREFIX_66 = 1
const PREFIX_F3 = 2
const PREFIX_F2 = 3
/** Beside a prefix: the W bit. */
const WIDE = 0x80
/** Beside a mask: the z bit. */
const ZEROED = 0x80

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
    this.#emit(0x40 | (register >> 3), 0x50 | (register & 7))
  }

  pop(register: number): void {
    this.#emit(0x40 | (register >> 3), 0x58 | (register & 7))
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

  subtract(from: number, what: number): void {
    this.#between(0x29, from, what)
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

  store(from: number, base: number, displacement: number): void {
    this.#emit(0x48 | ((from >> 3) << 2) | (base >> 3), 0x89, 0x80 | ((from & 7) << 3) | (base & 7))
    this.#emitInt32(displacement)
  }

  addLoaded(to: number, base: number, displacement: number): void {
    this.#emit(0x48 | ((to >> 3) << 2) | (base >> 3), 0x03, 0x80 | ((to & 7) << 3) | (base & 7))
    this.#emitInt32(displacement)
  }

  multiplyNumber(to: number, number: number): void {
    this.#emit(0x48 | ((to >> 3) << 2) | (to >> 3), 0x69, 0xc0 | ((to & 7) << 3) | (to & 7))
    this.#emitInt32(number)
  }

  /** 32 bits, the upper half of the register becomes 0. */
  number(to: number, number: number): void {
    if (to > 7) this.#emit(0x41)
    this.#emit(0xb8 | (to & 7))
    this.#emitInt32(number)
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

  /** prefetcht0 of base + index + displacement: fetches a line that will be read. */
  prefetch(base: number, index: number, displacement: number): void {
    this.#emit(0x40 | ((index >> 3) << 1) | (base >> 3), 0x0f, 0x18, 0x8c, ((index & 7) << 3) | (base & 7))
    this.#emitInt32(displacement)
  }

  /** prefetcht1 of base + displacement: fetches a line that will be read, but not soon, into the second cache. */
  prefetchLater(base: number, displacement: number): void {
    this.#emit(0x40 | (base >> 3), 0x0f, 0x18, 0x90 | (base & 7))
    this.#emitInt32(displacement)
  }

  /** prefetchw of base + displacement: fetches a line that will be written; no operation on a processor without it. */
  prefetchToWrite(base: number, displacement: number): void {
    this.#emit(0x40 | (base >> 3), 0x0f, 0x0d, 0x88 | (base & 7))
    this.#emitInt32(displacement)
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

  /** vfmadd231ps: to += a · memory */
  multiplyAddMemory(to: number, a: number, base: number, displacement: number): void {
    this.#vector(MAP_0F38, PREFIX_66, 0xb8, to, a, { base, displacement })
  }

  /** vdpbf16ps: to += a · b, each lane over two bf16 */
  multiplyAddPairs(to: number, a: number, b: number): void {
    this.#vector(MAP_0F38, PREFIX_F3, 0x52, to, a, b)
  }

  /** vcvtne2ps2bf16: the lower half from `low`, the upper from `high`, to the nearest even */
  roundPairs(to: number, high: number, low: number): void {
    this.#vector(MAP_0F38, PREFIX_F2, 0x72, to, high, low)
  }

  /** The same, the lower half from memory. */
  roundPairsMemory(to: number, high: number, base: number, displacement: number): void {
    this.#vector(MAP_0F38, PREFIX_F2, 0x72, to, high, { base, displacement })
  }

  /** vpermw: 16-bit lanes by their indexes */
  permuteWords(to: number, indexes: number, from: number): void {
    this.#vector(MAP_0F38, PREFIX_66 | WIDE, 0x8d, to, indexes, from)
  }

  /** vaddps: to += memory */
  addMemory(to: number, base: number, displacement: number): void {
    this.#vector(MAP_0F, NO_PREFIX, 0x58, to, to, { base, displacement })
  }

  /** vaddps: to = a + b */
  addVectors(to: number, a: number, b: number): void {
    this.#vector(MAP_0F, NO_PREFIX, 0x58, to, a, b)
  }

  /** vxorps, or vpxord where vxorps would ask for AVX-512DQ */
  zero(register: number): void {
    if (this.#vectors === 'avx2') this.#vector(MAP_0F, NO_PREFIX, 0x57, register, register, register)
    else this.#vector(MAP_0F, PREFIX_66, 0xef, register, register, register)
  }

  /** vsubps: to = a − b */
  subtractVectors(to: number, a: number, b: number): void {
    this.#vector(MAP_0F, NO_PREFIX, 0x5c, to, a, b)
  }

  /** vmulps */
  multiplyVectors(to: number, a: number, b: number): void {
    this.#vector(MAP_0F, NO_PREFIX, 0x59, to, a, b)
  }

  /** vmulps: to = a · memory */
  multiplyMemory(to: number, a: number, base: number, displacement: number): void {
    this.#vector(MAP_0F, NO_PREFIX, 0x59, to, a, { base, displacement })
  }

  /** vdivps: to = a / b */
  divideVectors(to: number, a: number, b: number): void {
    this.#vector(MAP_0F, NO_PREFIX, 0x5e, to, a, b)
  }

  /** vminps */
  minimum(to: number, a: number, b: number): void {
    this.#vector(MAP_0F, NO_PREFIX, 0x5d, to, a, b)
  }

  /** vmaxps */
  maximum(to: number, a: number, b: number): void {
    this.#vector(MAP_0F, NO_PREFIX, 0x5f, to, a, b)
  }

  /** vfmadd213ps: to = to · a + b */
  multiplyThenAdd(to: number, a: number, b: number): void {
    this.#vector(MAP_0F38, PREFIX_66, 0xa8, to, a, b)
  }

  // ---- whole vectors, AVX-512; where there is a mask, lanes that it leaves out become 0 ----

  /** kmovw */
  maskFrom(mask: number, register: number): void {
    this.#emit(0xc4, (inverted(register, 3) << 5) | 0xc1, 0x78, 0x92, 0xc0 | (mask << 3) | (register & 7))
  }

  /** vmovups */
  loadMasked(to: number, mask: number, base: number, displacement: number): void {
    this.#vector(MAP_0F, NO_PREFIX, 0x10, to, 0, { base, displacement }, mask | ZEROED)
  }

  /** vmovups: only lanes of the mask are written. */
  storeMasked(from: number, mask: number, base: number, displacement: number): void {
    this.#vector(MAP_0F, NO_PREFIX, 0x11, from, 0, { base, displacement }, mask)
  }

  /** vpbroadcastd: 32 bits of a general register in each lane */
  spread(to: number, register: number): void {
    this.#vector(MAP_0F38, PREFIX_66, 0x7c, to, 0, register)
  }

  /** vpaddd */
  addIntegers(to: number, a: number, b: number): void {
    this.#vector(MAP_0F, PREFIX_66, 0xfe, to, a, b)
  }

  /** vpsubd: to = a − b */
  subtractIntegers(to: number, a: number, b: number): void {
    this.#vector(MAP_0F, PREFIX_66, 0xfa, to, a, b)
  }

  /** vpcmpud: lanes where a < b, as unsigned integers */
  maskBelow(mask: number, a: number, b: number): void {
    this.#vector(MAP_0F3A, PREFIX_66, 0x1e, mask, a, b)
    this.#emit(1)
  }

  /** vblendmps: lanes of the mask from a, the others from b */
  choose(to: number, mask: number, a: number, b: number): void {
    this.#vector(MAP_0F38, PREFIX_66, 0x65, to, b, a, mask)
  }

  /** vdivps: to = a / b */
  divideMasked(to: number, mask: number, a: number, b: number): void {
    this.#vector(MAP_0F, NO_PREFIX, 0x5e, to, a, b, mask | ZEROED)
  }

  /** vrndscaleps: to the nearest integer, of two the even one */
  round(to: number, from: number): void {
    this.#vector(MAP_0F3A, PREFIX_66, 0x08, to, 0, from)
    this.#emit(8)
  }

  /** vscalefps: to = a · 2^b for whole b */
  scalePower(to: number, a: number, b: number): void {
    this.#vector(MAP_0F38, PREFIX_66, 0x2c, to, a, b)
  }

  /** The same. */
  scalePowerMasked(to: number, mask: number, a: number, b: number): void {
    this.#vector(MAP_0F38, PREFIX_66, 0x2c, to, a, b, mask | ZEROED)
  }

  /** vgetexpps: the largest whole n with 2^n ≤ from */
  exponent(to: number, from: number): void {
    this.#vector(MAP_0F38, PREFIX_66, 0x42, to, 0, from)
  }

  /** vgetmantps: from / 2^n in [¾, 1½) */
  mantissa(to: number, from: number): void {
    this.#vector(MAP_0F3A, PREFIX_66, 0x26, to, 0, from)
    this.#emit(3)
  }

  // ---- vector registers in parts, AVX-512 ----

  /** vunpcklps or vunpckhps: in each quarter the lower or upper two floats of a and b, in turns */
  interleave(part: 'lower' | 'upper', to: number, a: number, b: number): void {
    this.#vector(MAP_0F, NO_PREFIX, part === 'lower' ? 0x14 : 0x15, to, a, b)
  }

  /** vunpcklpd or vunpckhpd: the same with pairs of floats */
  interleavePairs(part: 'lower' | 'upper', to: number, a: number, b: number): void {
    this.#vector(MAP_0F, PREFIX_66 | WIDE, part === 'lower' ? 0x14 : 0x15, to, a, b)
  }

  /** vshuff32x4: two quarters of a, then two of b: the even or the odd ones */
  quarters(which: 'even' | 'odd', to: number, a: number, b: number): void {
    this.#vector(MAP_0F3A, PREFIX_66, 0x23, to, a, b)
    this.#emit(which === 'even' ? 0b10_00_10_00 : 0b11_01_11_01)
  }

  /** vextractf64x4 to memory */
  storeHalf(part: 'lower' | 'upper', from: number, base: number, displacement: number): void {
    this.#vector(MAP_0F3A, PREFIX_66 | WIDE, 0x1b, from, 0, { base, displacement })
    this.#emit(part === 'lower' ? 0 : 1)
  }

  // ---- tiles of 16 rows of 64 bytes, AMX ----

  /** ldtilecfg */
  configureTiles(base: number): void {
    this.#emit(0xc4, 0xc0 | (inverted(base, 3) << 5) | MAP_0F38, 0x78, 0x49, 0x80 | (base & 7))
    this.#emitInt32(0)
  }

  /** tilerelease */
  releaseTiles(): void {
    this.#emit(0xc4, 0xe2, 0x78, 0x49, 0xc0)
  }

  /** tilezero */
  zeroTile(tile: number): void {
    this.#emit(0xc4, 0xe2, 0x7b, 0x49, 0xc0 | (tile << 3))
  }

  /** tileloadd: rows from base + displacement on, each `stride` (a register) bytes after the one before */
  loadTile(tile: number, base: number, stride: number, displacement: number): void {
    this.#tileMemory(PREFIX_F2, tile, base, stride, displacement)
  }

  /** tilestored */
  storeTile(tile: number, base: number, stride: number, displacement: number): void {
    this.#tileMemory(PREFIX_F3, tile, base, stride, displacement)
  }

  /** tdpbf16ps: to += a · b, over 16 pairs of bf16: rows of a, rows of pairs of b */
  multiplyAddTiles(to: number, a: number, b: number): void {
    this.#emit(0xc4, 0xe2, ((~b & 15) << 3) | PREFIX_F3, 0x5c, 0xc0 | (to << 3) | a)
  }

  /** vzeroupper: without it, code with older instructions slows down behind this. */
  zeroUpper(): void {
    this.#emit(0xc5, 0xf8, 0x77)
  }

  // ---- encodings ----

  /** @param mask of AVX-512: a mask's number, 0 for none, and `ZEROED` where lanes that it leaves out become 0 */
  #vector(map: number, prefix: number, opcode: number, register: number, second: number, operand: number | Memory, mask = 0): void {
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
        0x40 | (inverted(second, 4) << 3) | mask,
        opcode,
      )
    }
    if (isMemory(operand)) {
      this.#emit(0x80 | ((register & 7) << 3) | (base & 7))
      this.#emitInt32(operand.displacement)
    } else this.#emit(0xc0 | ((register & 7) << 3) | (base & 7))
  }

  #tileMemory(prefix: number, tile: number, base: number, stride: number, displacement: number): void {
    this.#emit(0xc4, 0x80 | (inverted(stride, 3) << 6) | (inverted(base, 3) << 5) | MAP_0F38, 0x78 | prefix, 0x4b)
    this.#emit(0x84 | (tile << 3), ((stride & 7) << 3) | (base & 7))
    this.#emitInt32(displacement)
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
