// Comma-separated values: whatever is written comes back, however the stream and the file are cut.

import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import fc from 'fast-check'
import { type CsvDamage, csvFields, csvRecords, guessDelimiter } from '../../src/io/csv.ts'

async function parse(bytes: Buffer, { delimiter = ',', pieceBytes = 1 << 16, maxRecordBytes = 1 << 20 } = {}) {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; at += pieceBytes) pieces.push(bytes.subarray(at, at + pieceBytes))
  const damages: CsvDamage[] = []
  const rows: { offset: number; fields: string[] }[] = []
  for await (const records of csvRecords(Readable.from(pieces), { delimiter, maxRecordBytes, damaged: (damage) => damages.push(damage) }))
    for (const { offset, bytes } of records) rows.push({ offset, fields: csvFields(bytes.toString(), delimiter) })
  return { rows, damages }
}

const special = fc.constantFrom('"', ',', ';', '\n', '\r\n', '\r', '""', ' ', 'é', '\ufeff', 'a')
const field = fc.array(fc.oneof(special, fc.string({ unit: 'grapheme', maxLength: 5 })), { maxLength: 6 }).map((parts) => parts.join(''))
const table = fc
  .integer({ min: 1, max: 4 })
  .chain((width) => fc.array(fc.array(field, { minLength: width, maxLength: width }), { maxLength: 20 }))

const written = (value: string, delimiter: string, isQuoted: boolean) =>
  isQuoted || /["\r\n]/.test(value) || value.includes(delimiter) ? `"${value.replaceAll('"', '""')}"` : value

test('any table comes back, with the offsets of its rows, for any delimiter, line ends, quoting and pieces', async () => {
  await fc.assert(
    fc.asyncProperty(
      table,
      fc.constantFrom(',', ';', '\t', '|'),
      fc.constantFrom('\n', '\r\n'),
      fc.boolean(),
      fc.boolean(),
      fc.integer({ min: 1, max: 60 }),
      async (rows, delimiter, feed, quotesAll, endsInFeed, pieceBytes) => {
        const lines = rows.map((row) => row.map((value) => written(value, delimiter, quotesAll)).join(delimiter))
        const lastIsEmpty = lines.at(-1) === ''
        const file = lines.join(feed) + (lines.length > 0 && (endsInFeed || lastIsEmpty) ? feed : '')
        const offsets = lines.map((_, index) =>
          Buffer.byteLength(
            lines
              .slice(0, index)
              .map((line) => line + feed)
              .join(''),
          ),
        )
        const { rows: read, damages } = await parse(Buffer.from(file), { delimiter, pieceBytes })
        assert.deepEqual(damages, [])
        assert.deepEqual(
          read,
          rows.map((fields, index) => ({ offset: offsets[index], fields })),
        )
      },
    ),
    { numRuns: 300 },
  )
})

test('quotes inside a field, and what follows a closing quote, are taken as they are', async () => {
  const { rows, damages } = await parse(Buffer.from('a,5" disk,b\n"x"y"z,"q",\n'))
  assert.deepEqual(
    rows.map(({ fields }) => fields),
    [
      ['a', '5" disk', 'b'],
      ['xy"z', 'q', ''],
    ],
  )
  assert.deepEqual(damages, [])
})

test('a quote that nothing closes costs its line and no other', async () => {
  const { rows, damages } = await parse(Buffer.from('a,b\n1,"open\n2,x\n3,y'))
  assert.deepEqual(
    rows.map(({ fields }) => fields[0]),
    ['a', '2', '3'],
  )
  assert.deepEqual(
    damages.map(({ code, offset, length }) => [code, offset, length]),
    [['SLUICE_CSV_QUOTE', 4, 7]],
  )
})

test('a record that is too long is damage, and what is held stays bounded', async () => {
  const file = `a\n"${'x\n'.repeat(2000)}"\nlast`
  const { rows, damages } = await parse(Buffer.from(file), { pieceBytes: 64, maxRecordBytes: 500 })
  assert.deepEqual([rows[0].fields, rows.at(-1)?.fields], [['a'], ['last']])
  assert.equal(damages[0].code, 'SLUICE_CSV_TOO_LONG')
})

test('any bytes end in records and damage, and every byte is in one of them', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 40 }), async (bytes, maxRecordBytes) => {
      const text = Buffer.from(bytes.map((byte) => [0x22, 0x2c, 0x0a, 0x0d, 0x61][byte % 5]))
      const { rows, damages } = await parse(text, { pieceBytes: 7, maxRecordBytes })
      const starts = [...rows, ...damages].map(({ offset }) => offset).sort((a, b) => a - b)
      assert.equal(new Set(starts).size, starts.length)
      if (text.length > 0) assert.equal(starts[0], 0)
    }),
  )
})

test('the delimiter is told by the line that names the columns', () => {
  assert.equal(guessDelimiter('id,text,url\n1;2;3;4;5,a,b'), ',')
  assert.equal(guessDelimiter('id\ttext, long\turl\n'), '\t')
  assert.equal(guessDelimiter('"a;b;c"|text|x\n'), '|')
  assert.equal(guessDelimiter('text\nx;y'), ',')
})
