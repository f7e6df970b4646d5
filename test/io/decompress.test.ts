import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { decompress } from '../../src/io/decompress.ts'
import { memorySource } from './memory-source.ts'

test('a little of a bomb is decoded at a time, whatever it is compressed by', async () => {
  const zeros = Buffer.alloc(1 << 28)
  for (const bytes of [gzipSync(zeros), zstdCompressSync(zeros)]) {
    let total = 0
    let inMemory = 0
    let most = 0
    for await (const { chunk, consumed } of decompress(memorySource(bytes, 1 << 20), (damage) => assert.fail(damage.message))) {
      inMemory = consumed > 0 ? chunk.length : inMemory + chunk.length // what one piece gives comes out together
      most = Math.max(most, inMemory)
      total += chunk.length
    }
    assert.equal(total, zeros.length)
    assert.ok(most <= 32 << 20, `${most} bytes at once`)
  }
})
