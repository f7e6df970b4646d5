import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { sha1Head, xxh32, xxh64 } from '../../src/dedup/hash.ts'
import { createTextHasher, instantiateMinhash } from '../../src/dedup/kernel.ts'

const vectors = new URL('../../../shared/conformance/hash_vectors.jsonl', import.meta.url)
const kernel = instantiateMinhash()

function kernelHashes(bytes: Uint8Array): bigint[] {
  kernel.textSpace(bytes.length).set(bytes)
  const wide = [kernel.hash('xxh64', bytes.length), kernel.hash('sha1', bytes.length)].map((hash) => BigInt.asUintN(64, hash))
  return [...wide, BigInt(kernel.hash32(bytes.length) >>> 0)]
}

test('the plain hashes give the reference’s values', { skip: existsSync(vectors) ? false : 'no ../shared/conformance here' }, () => {
  for (const line of readFileSync(vectors, 'utf8').trim().split('\n')) {
    const { text, xxhash64, sha164, xxhash32 } = JSON.parse(line)
    const bytes = Buffer.from(text)
    assert.deepEqual([xxh64(bytes), sha1Head(bytes), xxh32(bytes)].map(String), [xxhash64, sha164, xxhash32], text)
  }
})

test('the empty text and a published vector', () => {
  assert.equal(xxh64(Buffer.from('')), 0xef46db3751d8e999n)
  assert.equal(xxh32(Buffer.from('')), 0x02cc5d05)
  assert.equal(sha1Head(Buffer.from('abc')), 0x6a810647363e99a9n)
})

test('the kernel hashes any bytes as the plain functions do', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.deepEqual(kernelHashes(bytes), [xxh64(bytes), sha1Head(bytes), BigInt(xxh32(bytes))])
    }),
  )
})

test('lengths around the block borders of SHA-1', () => {
  for (let length = 50; length <= 140; length++) {
    const bytes = new Uint8Array(length).fill(length)
    assert.equal(kernelHashes(bytes)[1], sha1Head(bytes), `${length} bytes`)
  }
})

test('the text hasher gives high and low words of xxh64 over UTF-8', () => {
  const hash = createTextHasher()
  for (const text of ['', 'naïve 東京 😀', 'x'.repeat(300_000)]) {
    const [high, low] = hash(text)
    assert.equal((BigInt(high) << 32n) | BigInt(low), xxh64(Buffer.from(text)))
  }
})
