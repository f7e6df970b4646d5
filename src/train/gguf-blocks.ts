// Numbers as GGUF files hold them (github.com/ggml-org/ggml, docs/gguf.md): plain floats, and blocks of small integers with a
// scale and sometimes an offset. Every product and sum is rounded to f32, so that values have the bits of the reference.

/** Writes the values of one block; of plain floats, of as many as there are. */
type Unpack = (block: DataView, out: Float32Array) => void

export interface BlockFormat {
  readonly name: string
  /** Values of a block. */
  readonly values: number
  readonly bytes: number
  readonly unpack: Unpack
}

const { fround } = Math

/** By the number that a file gives them. */
export const blockFormats: ReadonlyMap<number, BlockFormat> = new Map([
  [0, { name: 'F32', values: 1, bytes: 4, unpack: unpackF32 }],
  [1, { name: 'F16', values: 1, bytes: 2, unpack: unpackF16 }],
  [2, { name: 'Q4_0', values: 32, bytes: 18, unpack: unpackQ4 }],
  [3, { name: 'Q4_1', values: 32, bytes: 20, unpack: unpackQ4 }],
  [8, { name: 'Q8_0', values: 32, bytes: 34, unpack: unpackQ8 }],
  [12, { name: 'Q4_K', values: 256, bytes: 144, unpack: unpackQ4K }],
  [14, { name: 'Q6_K', values: 256, bytes: 210, unpack: unpackQ6K }],
  [30, { name: 'BF16', values: 1, bytes: 2, unpack: unpackBf16 }],
])

function unpackF32(block: DataView, out: Float32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = block.getFloat32(4 * i, true)
}

function unpackF16(block: DataView, out: Float32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = block.getFloat16(2 * i, true)
}

function unpackBf16(block: DataView, out: Float32Array): void {
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length)
  for (let i = 0; i < out.length; i++) bits[i] = block.getUint16(2 * i, true) << 16
}

/** Scale, in Q4_1 the value of 0 too, in Q4_0 8 is 0; then 16 bytes: value i in the low half of byte i, 16 + i in the high one. */
function unpackQ4(block: DataView, out: Float32Array): void {
  const hasOffset = block.byteLength === 20
  const scale = block.getFloat16(0, true)
  const offset = hasOffset ? block.getFloat16(2, true) : -0 // the sum with −0 keeps the sign of a zero
  const zero = hasOffset ? 0 : 8
  const at = hasOffset ? 4 : 2
  for (let i = 0; i < 16; i++) {
    const pair = block.getUint8(at + i)
    out[i] = fround(scale * ((pair & 15) - zero)) + offset
    out[16 + i] = fround(scale * ((pair >> 4) - zero)) + offset
  }
}

function unpackQ8(block: DataView, out: Float32Array): void {
  const scale = block.getFloat16(0, true)
  for (let i = 0; i < 32; i++) out[i] = scale * block.getInt8(2 + i)
}

/** Eight parts of 32 values. Scales and offsets of parts have six bits, of which those of the last four are in two places. */
function unpackQ4K(block: DataView, out: Float32Array): void {
  const scaleOfScales = block.getFloat16(0, true)
  const scaleOfOffsets = block.getFloat16(2, true)
  for (let part = 0; part < 8; part++) {
    const low = (at: number) => block.getUint8(4 + at)
    const isFirst = part < 4
    const scale = isFirst ? low(part) & 63 : (low(part + 4) & 15) | ((low(part - 4) >> 2) & 48)
    const offset = isFirst ? low(part + 4) & 63 : (low(part + 4) >> 4) | ((low(part) >> 2) & 48)
    const d = fround(scaleOfScales * scale)
    const m = fround(scaleOfOffsets * offset)
    const shift = part % 2 ? 4 : 0
    const at = 16 + 32 * (part >> 1)
    for (let i = 0; i < 32; i++) out[32 * part + i] = fround(d * ((block.getUint8(at + i) >> shift) & 15)) - m
  }
}

/** Two halves of 128 values, four bits of each in one place and two in another; a scale for every 16. */
function unpackQ6K(block: DataView, out: Float32Array): void {
  const scaleOfScales = block.getFloat16(208, true)
  for (let i = 0; i < 256; i++) {
    const half = i >> 7
    const within = i & 127
    const low = (block.getUint8(64 * half + (within & 63)) >> (within < 64 ? 0 : 4)) & 15
    const high = (block.getUint8(128 + 32 * half + (within & 31)) >> (2 * (within >> 5))) & 3
    out[i] = fround(scaleOfScales * block.getInt8(192 + (i >> 4))) * ((low | (high << 4)) - 32)
  }
}
