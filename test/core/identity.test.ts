import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { documentId, hash128, sampleFraction, sourceName } from '../../src/core/identity.ts'
import { moduleHash } from '../../src/engine/module-hash.ts'
import { clearNotes, NoteSlot, readNotes } from '../../src/engine/notes.ts'

test('hash128 is xxh3-128 as published', () => {
  assert.equal(hash128(''), '99aa06d3014798d86001c324468d497f')
})

test('a record has the same id over https, from s3 and from a mirror, and another at another offset', () => {
  const path = '/crawl-data/CC-MAIN-2026-43/warc/00000.warc.gz'
  const id = documentId(`https://data.commoncrawl.org${path}`, 100)
  assert.equal(documentId(`s3://commoncrawl${path}`, 100), id)
  assert.notEqual(documentId(`s3://commoncrawl${path}`, 101), id)
  assert.notEqual(documentId(`s3://commoncrawl${path}`, 100, 1), id)
})

test('two local files of one name in two folders share no id, and a file here counts by its path from here', () => {
  assert.notEqual(documentId('file:///data/en/part-0.jsonl', 0), documentId('file:///data/de/part-0.jsonl', 0))
  assert.equal(sourceName(`${pathToFileURL(process.cwd())}/in/a.jsonl`), 'in/a.jsonl')
  assert.equal(sourceName('file:///elsewhere/a.jsonl'), '/elsewhere/a.jsonl')
})

test('sampling is even and depends on its purpose', () => {
  const ids = Array.from({ length: 4000 }, (_, i) => hash128(String(i)))
  const chosen = (purpose: string) => ids.filter((id) => sampleFraction(id, purpose) < 0.25)
  // Four standard errors of 1,000 of 4,000: 4·√(4000·0.25·0.75) ≈ 110
  assert.ok(Math.abs(chosen('a').length - 1000) < 110)
  assert.notDeepEqual(chosen('a'), chosen('b'))
})

test('the hash of a module changes with anything it imports by a relative path, and with nothing else', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'pipeline.ts')
  writeFileSync(file, "import { limit } from './limit.ts'\nimport { z } from 'zod'\n")
  writeFileSync(join(folder, 'limit.ts'), 'export const limit = 1\n')
  writeFileSync(join(folder, 'other.ts'), '')
  const before = await moduleHash(file)
  writeFileSync(join(folder, 'other.ts'), 'changed')
  assert.equal(await moduleHash(file), before)
  writeFileSync(join(folder, 'limit.ts'), 'export const limit = 2\n')
  assert.notEqual(await moduleHash(file), before)
})

test('notes outlive their writer and say what was in hand', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'notes')
  clearNotes(file)
  assert.deepEqual(readNotes(file), [])
  const notes = new NoteSlot(file, 5)
  notes.enter(2, 7)
  notes.reading(12_345_678_901, hash128('y'))
  assert.partialDeepStrictEqual(readNotes(file), [
    { slot: 5, activity: 'reading', phase: 2, partition: 7, offset: 12_345_678_901, id: hash128('y') },
  ])
  const id = hash128('x')
  notes.working(3, 99, id)
  assert.partialDeepStrictEqual(readNotes(file), [{ activity: 'working', stage: 3, offset: 99, id }])
  notes.close()
  assert.deepEqual(readNotes(file), [])
})
