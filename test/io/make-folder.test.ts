import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { SluiceError } from '../../src/core/errors.ts'
import { makeFolder } from '../../src/io/make-folder.ts'
import { temporaryFolder } from '../train/corpora.ts'

test('a folder is made with those above it, and those that were made are told', async () => {
  await using folder = await temporaryFolder()
  const deep = join(folder.path, 'a/b/c')
  await mkdir(join(folder.path, 'a'))
  assert.deepEqual(await makeFolder(deep), [deep, join(folder.path, 'a/b')])
  assert.ok(existsSync(deep))
  assert.deepEqual(await makeFolder(deep), [])
})

test('a folder that many want at once is made once', async () => {
  await using folder = await temporaryFolder()
  const made = await Promise.all(Array.from({ length: 8 }, () => makeFolder(join(folder.path, 'a/b'))))
  assert.equal(made.flat().length, 2)
})

test('where a file stands in its place, or above it, a folder is refused', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'file')
  await writeFile(file, '')
  for (const path of [file, join(file, 'below')])
    await assert.rejects(makeFolder(path), (error) => error instanceof SluiceError && error.code === 'SLUICE_FOLDER_REFUSED')
})

test('where the file system takes no folders, one is refused at once', {
  skip: existsSync('/proc/self') ? false : 'no /proc here',
}, async () => {
  await assert.rejects(makeFolder('/proc/none/deeper'), (error) => error instanceof SluiceError && error.code === 'SLUICE_FOLDER_REFUSED')
})
