import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { findReferenceEmails } from '../../src/pii/email.ts'
import { createFormatter, formatterDefaults } from '../../src/pii/formatter.ts'

const cases = new URL('../../../shared/conformance/pii.jsonl', import.meta.url)

/** The reference's expression, with Python's word boundary written out for Unicode. */
const octet = '(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)'
const local = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
const label = '[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?'
const boundary = '(?:(?<=[\\p{L}\\p{N}_])(?![\\p{L}\\p{N}_])|(?<![\\p{L}\\p{N}_])(?=[\\p{L}\\p{N}_]))'
const email = new RegExp(
  `${boundary}${local}(?:\\.${local})*@(?:(?:${label}\\.)+${label}|\\[(?:${octet}\\.){3}(?:${octet}|[A-Za-z0-9-]*[A-Za-z0-9]:)\\])`,
  'gu',
)

test('addresses are those of the reference’s expression, on any text', () => {
  const atom = fc.constantFrom(...'aZ0.@-_+!:[] é😀²é,', 'a@b.co', '..', '[1.2.3.4]', '@[1.2.3.x:]', '\n')
  fc.assert(
    fc.property(fc.array(atom, { maxLength: 25 }), (atoms) => {
      const text = atoms.join('')
      const found: string[] = []
      findReferenceEmails(text, (start, end) => found.push(text.slice(start, end)))
      assert.deepEqual(found, text.match(email) ?? [])
    }),
    { numRuns: 3000 },
  )
})

test('replacements go round from one text to the next', () => {
  const format = createFormatter({ ...formatterDefaults, emailReplacements: ['A', 'B'] })
  assert.equal(format('x@y.zz x@y.zz x@y.zz').text, 'A B A')
  assert.deepEqual(format('x@y.zz'), { text: 'B', emails: 1, ips: 0 })
})

test('defaults match the cases of the reference', { skip: existsSync(cases) ? false : 'no ../shared/conformance here' }, () => {
  for (const line of readFileSync(cases, 'utf8').trim().split('\n')) {
    const { id, params, text, output, texts = [text], outputs = [output] } = JSON.parse(line)
    if (Object.keys(params).length > 0) continue
    const format = createFormatter(formatterDefaults)
    assert.deepEqual(
      texts.map((each: string) => format(each).text),
      outputs,
      id,
    )
  }
})

test('reserved addresses stay where only public ones are asked for', () => {
  const addresses = ['10.1.2.3', '100.64.0.1', '192.0.0.7', '192.0.0.171', '198.19.9.9', '240.0.0.1', '127.0.0.1', '0.0.0.0', '08.8.8.8']
  const format = createFormatter(formatterDefaults)
  for (const address of addresses) assert.equal(format(address).text, address)
  for (const address of ['8.8.8.8', '192.0.0.8', '224.0.0.1', '100.128.0.1']) assert.equal(format(address).ips, 1, address)
})
