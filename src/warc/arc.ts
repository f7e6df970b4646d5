// The ARC file format, version 1 and 2 (Burner and Kahle 1996), forerunner of WARC: a line of five or ten fields, then the
// bytes that the server sent. ARC 1.1 is version 1 with XML in its first record. Fields get WARC's names where they mean
// the same. Read leniently: URLs with spaces, Alexa's lines without a media type, dates of other lengths.

import type { Fields, HeadResult, RecordFormat } from './record.ts'

/** A longer line is none. */
const MAX_LINE_BYTES = 1 << 16
const LF = 10

/** URL, IP address, date, then the rest: what every line of every version begins with. */
const LINE = /^([a-z][a-z0-9+.-]*:\S.*?) (\S*) (\d{8,20}) (.*)$/i
/** Version 2 has more fields between media type and length, none of which holds a space. */
const VERSION_2 = /^(\S*) (\d{3}) (\S+) (\S+) (\d+) (\S+) (\d+)$/

export const arcRecords: RecordFormat = { parseHead: parseArcHead, findHead: findArcHead, startsAt: startsWithArc, lineFeeds: 1 }

function startsWithArc(bytes: Buffer, start = 0): boolean {
  if (!startsLikeUrl(bytes, start)) return false
  const end = bytes.indexOf(LF, start)
  return LINE.test(bytes.toString('latin1', start, Math.min(end === -1 ? bytes.length : end, start + MAX_LINE_BYTES)))
}

/** A scheme's letters and a colon: the cheap part of the test. */
function startsLikeUrl(bytes: Buffer, start: number): boolean {
  for (let index = start; index < start + 16 && index < bytes.length; index++) {
    const byte = bytes[index]
    if (byte === 58) return index > start
    const isLetter = (byte | 32) >= 97 && (byte | 32) <= 122
    if (!isLetter && (index === start || byte < 43 || byte > 57)) return false
  }
  return false
}

function parseArcHead(bytes: Buffer, start = 0): HeadResult {
  const end = bytes.indexOf(LF, start)
  if (end === -1) return bytes.length - start < MAX_LINE_BYTES ? 'incomplete' : 'no-head'
  if (end - start > MAX_LINE_BYTES || !startsLikeUrl(bytes, start)) return 'no-head'
  const line = LINE.exec(bytes.toString('utf8', start, end).trimEnd())
  if (!line) return 'no-head'
  const [, url, address, date, rest] = line
  const long = VERSION_2.exec(rest)
  const lastSpace = rest.lastIndexOf(' ')
  const [mediaType, length] = long ? [long[1], long[7]] : [rest.slice(0, Math.max(0, lastSpace)).trim(), rest.slice(lastSpace + 1)]
  const fields: [string, string][] = [
    ['warc-type', url.startsWith('filedesc:') ? 'arc_header' : 'response'],
    ['warc-target-uri', url],
    ['warc-date', isoDate(date)],
    ['warc-ip-address', address],
    ['content-type', mediaType],
    ['content-length', length],
  ]
  return {
    version: long ? 'ARC/2' : 'ARC/1',
    fields: long ? [...fields, ...extraFields(long)] : fields,
    headBytes: end + 1 - start,
    contentBytes: /^\d{1,15}$/.test(length) ? Number(length) : Number.NaN,
  }
}

function extraFields(line: RegExpExecArray): Fields {
  const names = ['arc-result-code', 'arc-checksum', 'arc-location', 'arc-offset', 'arc-filename']
  return names.map((name, index): [string, string] => [name, line[index + 2]]).filter(([, value]) => value !== '-')
}

/** From `YYYYMMDDhhmmss`; Alexa wrote more digits, some tools fewer. */
function isoDate(digits: string): string {
  const [, year, month, day, hour, minute, second] = /^(....)(..)(..)(..)(..)(..)/.exec(digits.padEnd(14, '0')) ?? []
  return `${year}-${month}-${day}T${hour}:${minute}:${second}Z`
}

function findArcHead(bytes: Buffer, from: number): { at: number; isFound: boolean } {
  for (let start = from === 0 ? 0 : lineAfter(bytes, from - 1); start !== -1; start = lineAfter(bytes, start)) {
    const head = parseArcHead(bytes, start)
    if (head === 'incomplete') return { at: start, isFound: false }
    if (typeof head !== 'string' && !Number.isNaN(head.contentBytes)) return { at: start, isFound: true }
  }
  return { at: bytes.length, isFound: false }
}

function lineAfter(bytes: Buffer, from: number): number {
  const feed = bytes.indexOf(LF, from)
  return feed === -1 ? -1 : feed + 1
}
