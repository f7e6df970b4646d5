import assert from 'node:assert/strict'
import { readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { cached, decided } from '../../../src/tensor/cuda/kernel-cache.ts'
import { withCache } from './environment.ts'

test('kernels are compiled once for each source, option and version, and again where the file is damaged', () =>
  withCache(async (folder) => {
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
  withCache(async (folder) => {
    await writeFile(join(folder, 'sluice'), '')
    assert.deepEqual(
      cached(['source'], () => Uint8Array.of(7)),
      Uint8Array.of(7),
    )
  }))

test('what is decided first holds, whoever decides afterwards or at once', () =>
  withCache(async (folder) => {
    assert.equal(decided(['shape']), undefined)
    assert.deepEqual(
      decided(['shape'], () => Uint8Array.of(1)),
      Uint8Array.of(1),
    )
    assert.deepEqual(
      decided(['shape'], () => assert.fail('decided twice')),
      Uint8Array.of(1),
    )
    assert.deepEqual(decided(['shape']), Uint8Array.of(1))
    // another process is done first
    const second = decided(['another shape'], () => {
      decided(['another shape'], () => Uint8Array.of(2))
      return Uint8Array.of(3)
    })
    assert.deepEqual(second, Uint8Array.of(2))
    assert.equal((await readdir(join(folder, 'sluice', 'cuda-kernels'))).length, 2)
  }))

test('a decision whose file is damaged is made again; where it cannot be kept, none is made', () =>
  withCache(async (folder) => {
    decided(['shape'], () => Uint8Array.of(1))
    const kept = join(folder, 'sluice', 'cuda-kernels')
    for (const name of await readdir(kept)) await truncate(join(kept, name), 20)
    assert.deepEqual(
      decided(['shape'], () => Uint8Array.of(2)),
      Uint8Array.of(2),
    )
    assert.deepEqual(decided(['shape']), Uint8Array.of(2))
    await rm(join(folder, 'sluice'), { recursive: true })
    await writeFile(join(folder, 'sluice'), '')
    assert.equal(
      decided(['shape'], () => assert.fail('decided for nothing')),
      undefined,
    )
  }))
