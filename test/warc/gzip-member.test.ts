// libdeflate, where this machine has it, against zlib: the same members, the same content, the same verdicts.

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { libdeflate, openLibdeflate } from '../../src/io/libdeflate.ts'
import { gzipMembers } from '../../src/warc/gzip-member.ts'
import type { MemberResult } from '../../src/warc/member.ts'

const fast = libdeflate()
const skip = fast ? false : 'no libdeflate on this machine'
const MAX_BYTES = 16 << 20
const byZlib = gzipMembers()
const byLibdeflate = gzipMembers(fast)

function assertSame(bytes: Buffer, maxBytes = MAX_BYTES): MemberResult {
  const want = byZlib.decode(bytes, maxBytes)
  const found = byLibdeflate.decode(bytes, maxBytes)
  if (typeof want === 'string' || typeof found === 'string') assert.equal(found, want)
  else assert.ok(found.storedBytes === want.storedBytes && found.content.equals(want.content))
  return found
}

const folders = [
  '../../fixtures/warc/',
  '../../../shared/data/warc/normal/',
  '../../../shared/data/warc/real/',
  '../../../shared/data/warc/edge/',
]
  .map((path) => fileURLToPath(new URL(path, import.meta.url)))
  .filter((folder) => existsSync(folder))
const files = folders.flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.gz'))
    .map((name) => folder + name),
)

test('members of real and damaged files decode alike by libdeflate and zlib', { skip }, () => {
  let members = 0
  for (const file of files) {
    const bytes = readFileSync(file)
    for (let at = 0; at < bytes.length; members++) {
      const member = assertSame(bytes.subarray(at))
      if (typeof member === 'string') break
      at += member.storedBytes
    }
  }
  assert.ok(members > 100, `${members} members`)
})

test('any content, cut, changed or limited anywhere, decodes alike', { skip }, () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 400 }),
        fc.string({ maxLength: 4000 }).map((text) => Buffer.from(text.repeat(20))),
      ),
      fc.constantFrom(0, 1, 9),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.nat({ max: 255 }),
      (content, level, place, mask) => {
        const member = gzipSync(content, { level })
        const at = Math.floor(place * (member.length - 1))
        assertSame(Buffer.concat([member, member]))
        assertSame(member.subarray(0, at))
        assertSame(member, 1 + Math.floor(place * content.length * 1.2))
        const changed = Buffer.from(member)
        changed[at] ^= mask
        assertSame(changed)
      },
    ),
    { numRuns: 400 },
  )
})

test('contents stay as they are while others are decoded', { skip }, () => {
  const contents = Array.from({ length: 300 }, (_, index) => Buffer.alloc(index * 997, index))
  const decoded = contents.map((content) => byLibdeflate.decode(gzipSync(content), MAX_BYTES))
  for (const [index, member] of decoded.entries()) assert.ok(typeof member !== 'string' && member.content.equals(contents[index]))
})

test('each thread has its own decoder', { skip }, async () => {
  const source = `
    import { libdeflate } from ${JSON.stringify(new URL('../../src/io/libdeflate.ts', import.meta.url).href)}
    import { parentPort, workerData } from 'node:worker_threads'
    let bytes = 0
    for (let round = 0; round < 200; round++) bytes += libdeflate()(workerData, 1000, 1e7).content.length
    parentPort.postMessage(bytes)`
  const member = gzipSync(Buffer.alloc(100_000, 'page '))
  const answers = await Promise.all(
    Array.from({ length: 4 }, () => {
      const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), { workerData: member })
      return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    }),
  )
  assert.deepEqual(answers, Array(4).fill(20_000_000))
})

test('SLUICE_NATIVE=off leaves the system’s libraries alone', () => {
  process.env.SLUICE_NATIVE = 'off'
  try {
    assert.equal(openLibdeflate(), undefined)
  } finally {
    delete process.env.SLUICE_NATIVE
  }
})
