import assert from 'node:assert/strict'
import { readdir, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { cached } from '../../../src/tensor/cuda/kernel-cache.ts'
import { temporaryFolder } from '../../train/corpora.ts'

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  await using folder = await temporaryFolder()
  const { XDG_CACHE_HOME } = process.env
  process.env.XDG_CACHE_HOME = folder.path
  try {
    await body(folder.path)
  } finally {
    if (XDG_CACHE_HOME === undefined) delete process.env.XDG_CACHE_HOME
    else process.env.XDG_CACHE_HOME = XDG_CACHE_HOME
  }
}

test('kernels are compiled once for each source, option and version, and again where the file is damaged', () =>
  inFolder(async (folder) => {
    let compiled = 0
    const ask = (...parts: string[]) =>
      cached(parts, () => {
        compiled++
        return Uint8Array.of(1, 2, 3)
      })
    for (const _ of [1, 2]) assert.deepEqual(ask('source', '-DA=1', '13.5'), Uint8Array.of(1, 2, 3))
    assert.equal(compiled, 1)
    ask('source', '-DA=2', '13.5')
    ask('source', '-DA=1', '13.6')
    assert.equal(compiled, 3)
    const kept = join(folder, 'sluice', 'cuda-kernels')
    for (const name of await readdir(kept)) await truncate(join(kept, name), 34)
    assert.deepEqual(ask('source', '-DA=1', '13.5'), Uint8Array.of(1, 2, 3))
    assert.equal(compiled, 4)
  }))

test('where nothing can be written, kernels are compiled all the same', () =>
  inFolder(async (folder) => {
    await writeFile(join(folder, 'sluice'), '')
    assert.deepEqual(
      cached(['source'], () => Uint8Array.of(7)),
      Uint8Array.of(7),
    )
  }))
