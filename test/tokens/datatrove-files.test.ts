import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { writeDatatroveFiles } from '../../src/tokens/datatrove-files.ts'
import { numpyPermutation } from '../../src/tokens/numpy-random.ts'

test("permutations are numpy's, number for number", () => {
  assert.deepEqual(numpyPermutation(20, 7), [3, 8, 12, 13, 14, 16, 10, 15, 1, 6, 0, 7, 4, 18, 5, 19, 17, 2, 9, 11])
  assert.deepEqual(numpyPermutation(7, 7), [0, 5, 6, 2, 4, 1, 3])
  assert.deepEqual([numpyPermutation(0, 1), numpyPermutation(1, 1)], [[], [0]])
})

async function filesOf(
  documents: number[][],
  options: Omit<Parameters<typeof writeDatatroveFiles>[1], 'folder'>,
): Promise<[string, Buffer][]> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-token-files-'))
  try {
    const paths = await writeDatatroveFiles(documents, { ...options, folder })
    return paths.map((path) => [basename(path), readFileSync(path)])
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('token files hold ids, ends and counts; wide vocabularies take four bytes an id', async () => {
  const files = await filesOf([[1, 2, 0], [], [70_000, 0]], { vocabularySize: 100_000, tokenizerName: 'bytes', rank: 3 })
  assert.deepEqual(
    files.map(([name]) => name),
    ['00003_unshuffled.ds', '00003_unshuffled.ds.index', '00003_unshuffled.ds.metadata'],
  )
  const [tokens, index, metadata] = files.map(([, content]) => content)
  assert.deepEqual([tokens.length, tokens.readUInt32LE(12)], [20, 70_000])
  assert.deepEqual(
    [0, 8, 16].map((at) => Number(index.readBigUInt64LE(at))),
    [3, 3, 5],
  )
  assert.equal(metadata.toString(), 'bytes|4\n5\n5.00 T')
})

test('a shuffled file is closed after the document that takes it over the limit', async () => {
  const documents = Array.from({ length: 10 }, (_, i) => [i, i, i])
  const files = await filesOf(documents, { vocabularySize: 257, tokenizerName: 'bytes', rank: 0, shuffleSeed: 7, maxTokensPerFile: 8 })
  const sizes = files.filter(([name]) => name.endsWith('.ds')).map(([, content]) => content.length / 2)
  assert.deepEqual(sizes, [9, 9, 9, 3])
})
