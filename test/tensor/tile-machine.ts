// Runs machine code of AMX products on any machine: a decoder of just the bytes that tile-code.ts emits, over a memory in which
// addresses are offsets. Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2.

const [STACK_LIMIT, TILES, TILE_ROWS, ROW_BYTES] = [64, 8, 16, 64]

/** @param words address of the parameters, in rdi */
export function runTileCode(code: Uint8Array, memory: ArrayBufferLike, words: number): void {
  const bytes = new DataView(code.buffer, code.byteOffset, code.length)
  const data = new DataView(memory)
  const registers = new Float64Array(16)
  registers[7] = words
  const stack: number[] = []
  const tiles = Array.from({ length: TILES }, () => new DataView(new ArrayBuffer(TILE_ROWS * ROW_BYTES)))
  let [at, isZero, isConfigured] = [0, false, false]

  const int32 = () => {
    at += 4
    return bytes.getInt32(at - 4, true)
  }
  const next = () => bytes.getUint8(at++)
  const tile = (name: number) => {
    if (!isConfigured) throw new RangeError(`tile ${name} is used before tiles are configured`)
    return tiles[name]
  }

  for (;;) {
    const first = next()
    if (first === 0xc3) break
    else if (first === 0xc4) runTile()
    else if (first === 0x0f) jump(next() === 0x84 ? isZero : !isZero)
    else if (first === 0xe9) jump(true)
    else runGeneral(first)
  }
  if (stack.length > 0 || isConfigured) throw new RangeError('registers were not restored')

  function jump(isTaken: boolean): void {
    const distance = int32()
    if (isTaken) at += distance
  }

  /** Instructions that begin with a REX byte, or mov of a number without one. */
  function runGeneral(first: number): void {
    const rex = first >> 4 === 4 ? first : 0x40
    const opcode = rex === first ? next() : first
    const [reg, rm] = [(rex & 4) << 1, (rex & 1) << 3]
    if (opcode >> 3 === 0xb8 >> 3) {
      registers[(opcode & 7) | rm] = int32() >>> 0
      return
    }
    if (opcode >> 4 === 5) {
      if (opcode & 8) registers[(opcode & 7) | rm] = stack.pop() ?? Number.NaN
      else stack.push(registers[(opcode & 7) | rm])
      if (stack.length > STACK_LIMIT) throw new RangeError('the stack grows')
      return
    }
    const modrm = next()
    const [r, m] = [((modrm >> 3) & 7) | reg, (modrm & 7) | rm]
    if (opcode === 0x8b) registers[r] = Number(data.getBigInt64(registers[m] + int32(), true))
    else if (opcode === 0x89) registers[m] = registers[r]
    else if (opcode === 0x01) registers[m] += registers[r]
    else if (opcode === 0x81) {
      registers[m] += (modrm & 0x38) === 0 ? int32() : -int32()
      isZero = registers[m] === 0
    } else if (opcode === 0x83) {
      isZero = data.getBigInt64(registers[m] + int32(), true) === BigInt(next())
    } else throw new RangeError(`no instruction ${opcode.toString(16)}`)
  }

  function runTile(): void {
    const [second, third, opcode] = [next(), next(), next()]
    const prefix = third & 3
    if (opcode === 0x5c) multiply(next(), (~third >> 3) & 15)
    else if (opcode === 0x4b) move(second, prefix === 3)
    else {
      const modrm = next()
      if (prefix === 3) new Uint8Array(tile((modrm >> 3) & 7).buffer).fill(0)
      else if (modrm === 0xc0) isConfigured = false
      else configure(registers[modrm & 7] + int32())
    }
  }

  function configure(address: number): void {
    const isWhole = Array.from({ length: TILES }, (_, i) => i).every(
      (i) => data.getUint16(address + 16 + 2 * i, true) === ROW_BYTES && data.getUint8(address + 48 + i) === TILE_ROWS,
    )
    if (data.getUint8(address) !== 1 || !isWhole) throw new RangeError('tiles of other sizes')
    isConfigured = true
  }

  function move(second: number, isLoad: boolean): void {
    const [modrm, sib] = [next(), next()]
    const rows = tile((modrm >> 3) & 7)
    const base = registers[(sib & 7) | (second & 0x20 ? 0 : 8)] + int32()
    const stride = registers[((sib >> 3) & 7) | (second & 0x40 ? 0 : 8)]
    for (let row = 0; row < TILE_ROWS; row++)
      for (let byte = 0; byte < ROW_BYTES; byte += 4) {
        if (isLoad) rows.setUint32(row * ROW_BYTES + byte, data.getUint32(base + row * stride + byte, true), true)
        else data.setUint32(base + row * stride + byte, rows.getUint32(row * ROW_BYTES + byte, true), true)
      }
  }

  function multiply(modrm: number, pairs: number): void {
    const [sums, a, b] = [tile((modrm >> 3) & 7), tile(modrm & 7), tile(pairs)]
    for (let row = 0; row < TILE_ROWS; row++)
      for (let column = 0; column < TILE_ROWS; column++) {
        const place = row * ROW_BYTES + 4 * column
        let sum = sums.getFloat32(place, true)
        for (let pair = 0; pair < TILE_ROWS; pair++)
          for (let half = 0; half < 4; half += 2)
            sum = Math.fround(sum + bf16(a, row * ROW_BYTES + 4 * pair + half) * bf16(b, pair * ROW_BYTES + 4 * column + half))
        sums.setFloat32(place, sum, true)
      }
  }
}

const word = new DataView(new ArrayBuffer(4))

function bf16(from: DataView, at: number): number {
  word.setUint16(0, from.getUint16(at, true))
  return word.getFloat32(0)
}
