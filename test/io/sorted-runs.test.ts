import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { mergeRuns, type Source } from '../../src/io/merge-runs.ts'
import { RecordWriter, RunFile, readBlocks, readRun, readRuns, sortRecords } from '../../src/io/sorted-runs.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-records-'))
after(() => rmSync(folder, { recursive: true }))
const { signal } = new AbortController()
const u32 = fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.integer({ min: 0, max: 3 }))
const records = (words: number) => fc.array(fc.array(u32, { minLength: words, maxLength: words }), { maxLength: 60 })

const compare = (a: number[], b: number[]) => a.map((value, i) => value - b[i]).find((difference) => difference !== 0) ?? 0
const chunked = (flat: Iterable<number>, words: number) => {
  const all = [...flat]
  return Array.from({ length: all.length / words }, (_, i) => all.slice(i * words, (i + 1) * words))
}

test('records sort by their words from left to right, unsigned', () => {
  fc.assert(
    fc.property(records(3), (list) => {
      assert.deepEqual(chunked(sortRecords(Uint32Array.from(list.flat()), 3), 3), [...list].sort(compare))
    }),
  )
})

test('what is written in any order comes back sorted, section by section, however often it was flushed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), records(2)), { maxLength: 6 }), async (parts) => {
      const path = join(folder, 'written')
      const writer = new RecordWriter(path, 2, 3, 0)
      for (const [section, list] of parts) {
        for (const record of list) writer.add(section, record)
        writer.flush()
      }
      writer.close()
      for (const section of [0, 1, 2]) {
        const merged: number[][] = []
        const sources = readRuns(path, section).map((run, ordinal) => ({ run, ordinal }))
        await mergeRuns(sources, { words: 2, orderWords: 2, memoryBytes: 1 << 20, signal }, (block, at) => {
          merged.push([block[at], block[at + 1]])
        })
        const expected = parts.filter(([of]) => of === section).flatMap(([, list]) => list)
        assert.deepEqual(merged, expected.sort(compare))
      }
    }),
    { numRuns: 30 },
  )
})

test('a merge in buffers of a few records gives what one in large buffers gives; ties go to the lower source', async () => {
  const sources: Source[] = []
  for (let ordinal = 0; ordinal < 5; ordinal++) {
    const path = join(folder, `source-${ordinal}`)
    const writer = new RecordWriter(path, 3, 1, 0)
    for (let i = 0; i < 3000; i++) writer.add(0, [i % 100, 7, i * 5 + ordinal])
    writer.close()
    for (const run of readRuns(path)) sources.push({ run, ordinal })
  }
  const merge = async (memoryBytes: number) => {
    const seen: number[][] = []
    await mergeRuns(sources, { words: 3, orderWords: 2, memoryBytes, signal }, (block, at, source) => {
      seen.push([block[at], block[at + 1], source, block[at + 2]])
    })
    return seen
  }
  const small = await merge(5 * 4096)
  assert.equal(small.length, 15_000)
  assert.deepEqual(small, [...small].sort(compare))
  assert.deepEqual(small, await merge(64 << 20))
})

test('a merge that has too little memory for its runs is refused', async () => {
  const path = join(folder, 'one')
  const writer = new RecordWriter(path, 2, 1, 0)
  writer.add(0, [1, 2])
  writer.close()
  const [run] = readRuns(path)
  const merging = mergeRuns([{ run, ordinal: 0 }], { words: 2, orderWords: 2, memoryBytes: 100, signal }, () => undefined)
  await assert.rejects(merging, { code: 'SLUICE_RECORDS_MEMORY' })
})

test('a file of runs keeps sections apart and counts what it holds', async () => {
  const path = join(folder, 'sections')
  const file = new RunFile(path, 2)
  for (const [section, count] of [
    [0, 5000],
    [3, 1],
    [9, 4097],
  ])
    for (let i = 0; i < count; i++) file.append(section, [section, i])
  file.close()
  assert.deepEqual(
    readRuns(path).map(({ section, count }) => [section, count]),
    [
      [0, 5000],
      [3, 1],
      [9, 4097],
    ],
  )
  const [last] = readRuns(path, 9)
  assert.deepEqual([...readRun(last)].slice(-2), [9, 4096])
  let sum = 0
  for (const block of readBlocks(last)) sum += block.length
  assert.equal(sum, 2 * 4097)
})

test('a file without its end is refused', async () => {
  const path = join(folder, 'cut')
  const file = new RunFile(path, 2)
  file.append(0, [1, 2])
  file.close()
  truncateSync(path, 20)
  assert.throws(() => readRuns(path), { code: 'SLUICE_RECORDS_DAMAGED' })
  truncateSync(path, 0)
  assert.throws(() => readRuns(path), { code: 'SLUICE_RECORDS_DAMAGED' })
})
