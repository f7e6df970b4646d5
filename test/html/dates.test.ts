// Dates as pages write them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dateOfText, dateOfUrl, dateOfValue } from '../../src/html/dates.ts'

test('dates in values keep their time, and what is no date is none', () => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['2021-05-04', '2021-05-04'],
    ['2021-05-04T08:30:00+01:00', '2021-05-04T08:30:00+01:00'],
    ['2021-05-04 08:30', '2021-05-04T08:30'],
    ['2021/05/04', '2021-05-04'],
    ['20210504', '2021-05-04'],
    ['2021-02-29', undefined],
    ['2020-02-29T99:99', '2020-02-29'],
    ['Tue, 04 May 2021 07:30:00 GMT', '2021-05-04'],
    ['yesterday', undefined],
    ['', undefined],
  ]
  for (const [value, date] of cases) assert.equal(dateOfValue(value), date, value)
})

test('dates in text are read in several languages, and not where day and month could be exchanged', () => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['Posted on May 4, 2021 by Ann', '2021-05-04'],
    ['4 May 2021', '2021-05-04'],
    ['Dienstag, 4. März 2021, 12 Uhr', '2021-03-04'],
    ['Stand: 04.05.2021', '2021-05-04'],
    ['4 de mayo de 2021', '2021-05-04'],
    ['le 14 juillet 2021', '2021-07-14'],
    ['14 juin 2021', '2021-06-14'],
    ['13/05/2021', '2021-05-13'],
    ['05/13/2021', '2021-05-13'],
    ['04/05/2021', undefined],
    ['31 June 2021', undefined],
    ['room 4, floor 2021', undefined],
  ]
  for (const [text, date] of cases) assert.equal(dateOfText(text), date, text)
})

test('a date in the path of a URL counts', () => {
  assert.equal(dateOfUrl('https://gazette.example/2021/05/04/mill'), '2021-05-04')
  assert.equal(dateOfUrl('https://gazette.example/2021/13/04/mill'), undefined)
})
