import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { SluiceError } from '../../src/core/errors.ts'
import { SafetensorsFile, writeSafetensors } from '../../src/train/safetensors.ts'
import { temporaryFolder } from './corpora.ts'

/** A file made by hand: header as given, then the data. */
function assemble(header: unknown, data: Uint8Array): Buffer {
  const json = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))
  return Buffer.concat([length, json, data])
}

test('the bytes are those of the format, to the last one', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'a.safetensors')
  const hash = await writeSafetensors(path, [
    { name: 'a', shape: [2, 1], values: () => Float32Array.of(1, -2) },
    { name: 'b', shape: [], values: () => Float32Array.of(0.5) },
  ])
  const bytes = await readFile(path)
  // Length, then JSON padded with spaces to a multiple of 8, then 1, −2 and 0.5 as IEEE singles.
  const json =
    '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[],"data_offsets":[8,12]}}'
  const padded = json.padEnd(Math.ceil(json.length / 8) * 8)
  assert.equal(Number(bytes.readBigUInt64LE()), padded.length)
  assert.equal(bytes.subarray(8, 8 + padded.length).toString(), padded)
  assert.equal(bytes.subarray(8 + padded.length).toString('hex'), '0000803f' + '000000c0' + '0000003f')
  assert.equal(hash, createHash('sha256').update(bytes).digest('hex'))
})

test('values come back bit for bit, NaN and −0 included', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'a.safetensors')
  const bits = Uint32Array.of(0x80000000, 0x7fc00001, 0x00000001, 0x7f800000)
  await writeSafetensors(path, [{ name: 'x', shape: [4], values: () => new Float32Array(bits.buffer) }], { step: '3' })
  await using file = await SafetensorsFile.open(path)
  assert.deepEqual(new Uint32Array((await file.read('x')).buffer), bits)
  assert.equal(file.metadata.step, '3')
  await assert.rejects(file.read('y'), { code: 'SLUICE_SAFETENSORS_MISSING' })
})

test('half and double precision are read as f32', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'a.safetensors')
  // 1.5 and −2 as bf16 (3fc0, c000) and as f16 (3e00, c000), 0.25 as f64. Data need not be aligned.
  const data = Buffer.concat([Buffer.from('c03f00c0003e00c0', 'hex'), Buffer.from(Float64Array.of(0.25).buffer)])
  await writeFile(
    path,
    assemble(
      {
        bf16: { dtype: 'BF16', shape: [2], data_offsets: [0, 4] },
        f16: { dtype: 'F16', shape: [2], data_offsets: [4, 8] },
        f64: { dtype: 'F64', shape: [1], data_offsets: [8, 16] },
      },
      data,
    ),
  )
  await using file = await SafetensorsFile.open(path)
  assert.deepEqual([...(await file.read('bf16'))], [1.5, -2])
  assert.deepEqual([...(await file.read('f16'))], [1.5, -2])
  assert.deepEqual([...(await file.read('f64'))], [0.25])
})

test('a file that its header does not describe exactly is refused', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'a.safetensors')
  const entry = (start: number, end: number, shape = [(end - start) / 4]) => ({ dtype: 'F32', shape, data_offsets: [start, end] })
  const broken: Record<string, Uint8Array> = {
    empty: Buffer.alloc(0),
    'shorter than a length': Buffer.alloc(5),
    'a header longer than the file': Buffer.concat([Buffer.from('ff00000000000000', 'hex'), Buffer.from('{}')]),
    'a header of exabytes': Buffer.concat([Buffer.alloc(8, 255), Buffer.from('{}')]),
    'no JSON': assemble('x', Buffer.alloc(0)),
    'data cut off': assemble({ a: entry(0, 8) }, Buffer.alloc(7)),
    'data left over': assemble({ a: entry(0, 8) }, Buffer.alloc(9)),
    'a hole': assemble({ a: entry(0, 4), b: entry(8, 12) }, Buffer.alloc(12)),
    'an overlap': assemble({ a: entry(0, 8), b: entry(4, 12) }, Buffer.alloc(12)),
    'a shape of another size': assemble({ a: entry(0, 8, [3]) }, Buffer.alloc(8)),
    'an unknown type': assemble({ a: { dtype: 'F8', shape: [1], data_offsets: [0, 1] } }, Buffer.alloc(1)),
    'metadata of numbers': assemble({ __metadata__: { a: 1 } }, Buffer.alloc(0)),
  }
  for (const [name, bytes] of Object.entries(broken)) {
    await writeFile(path, bytes)
    await assert.rejects(
      SafetensorsFile.open(path),
      (error) => error instanceof SluiceError && error.code === 'SLUICE_SAFETENSORS_DAMAGED',
      name,
    )
  }
})
