// The strict set: numbers from documentation and test ranges, made-up keys, and what only looks like them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { idForms } from '../../src/pii/national-ids.ts'
import { findPii, replaceSpans, tag } from '../../src/pii/redact.ts'
import { kinds, patternKinds } from '../../src/pii/spans.ts'
import { surrogate } from '../../src/pii/surrogate.ts'

const strict = (text: string) => replaceSpans(text, findPii(text, kinds), tag)

/** Examples that the countries themselves, or their documentation, publish. */
const identityNumbers = [
  'AB123456C',
  'NHS 943 476 5919',
  '12345678Z',
  'X1234567L',
  'RSSMRA85M01H501Q',
  '1 85 05 78 006 084 91',
  'Steuer-ID: 86 095 742 719',
  'BSN 111222333',
  '85.07.30-033.28',
  'PESEL 44051401359',
  '529.982.247-25',
  '811228-9874',
  '131052-308T',
  '756.9217.0769.85',
  '11010519491231002X',
  'Aadhaar 2341 2341 2346',
  'ABCPE1234F',
  'SIN 046 454 286',
  'TFN 123 456 782',
  'T.C. kimlik 10000000146',
  'HEGG560427MVZRRL04',
  'CNP 1800101221144',
  '736028/5163',
  'isikukood 37605030299',
  'PPS 1234567T',
  'NIF 123456789',
]

test('identity numbers of many countries are found, and with another digit they are not', () => {
  for (const text of identityNumbers) {
    assert.match(strict(text), /^(?:\D*)<NATIONAL_ID>$/, text)
    const hasCheck = !/^AB|ABCPE/.test(text)
    const wrong = text.replace(/(\d)(\D*)$/, (_, digit, rest) => `${(Number(digit) + 1) % 10}${rest}`)
    if (hasCheck) assert.doesNotMatch(strict(wrong), /NATIONAL_ID/, wrong)
  }
  assert.ok(idForms.length >= 30)
})

test('a number that other numbers look like counts only where it is announced', () => {
  for (const text of ['943 476 5919', '111222333', '44051401359', '2341 2341 2346', '046 454 286'])
    assert.doesNotMatch(strict(`row ${text} of a table`), /NATIONAL_ID/)
})

/** Assembled from parts, so that this file holds none. */
const secrets = [
  ['aws', `AKIA${'Q3EXAMPLE7ABCDEF'.slice(0, 16)}`],
  ['stripe', `sk_live_${'4eC39HqLyjWDarjtT1zdp7dc'}`],
  ['google', `AIza${'SyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY'.slice(0, 35)}`],
  ['slack', `xoxb-${'123456789012-abcdefABCDEF'}`],
  ['gitlab', `glpat-${'x1y2z3A4B5C6D7E8F9G0'}`],
  ['jwt', `eyJ${'hbGciOiJIUzI1NiJ9'}.eyJ${'zdWIiOiIxMjM0NTY3ODkwIn0'}.${'dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P'}`],
  ['named', `api_key = "${'9f8e7d6c5b4a39281706f5e4'}"`],
] as const

for (const [name, secret] of secrets)
  test(`a key is found: ${name}`, () => assert.match(strict(`export KEY\n${secret} # do not share`), /<API_KEY>/))

test('tokens with a check sum are found by it', () => {
  // CRC-32 of 30 characters, in base 62.
  const body = 'A'.repeat(29) + '1'
  const found = ['0', '1', '2'].map((end) => strict(`ghp_${body}00000${end}`))
  assert.ok(found.every((text) => text.startsWith('ghp_')))
})

const found: readonly (readonly [string, string])[] = [
  ['my ssn: 123-45-6789', 'my ssn: <SSN>'],
  ['SSN 900-S4-1906', 'SSN <SSN>'],
  ['https://jo:s3cret@host.example/x', 'https://<CREDENTIALS>/x'],
  ['-----BEGIN PRIVATE KEY-----\nMIIabc+/=\n-----END PRIVATE KEY----- rest', '<PRIVATE_KEY> rest'],
  ['-----BEGIN RSA PRIVATE KEY-----\nMIIabc', '<PRIVATE_KEY>'],
  ['pay 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa now', 'pay <CRYPTO_WALLET> now'],
  ['bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4', '<CRYPTO_WALLET>'],
  ['0x52908400098527886E0F7030069857D2E4169EE7', '<CRYPTO_WALLET>'],
  ['Passport No: L898902C3', 'Passport No: L898902C3'],
  ['passport number: 123456789', 'passport number: <PASSPORT>'],
  ["my driver's license number is A125325867", "my driver's license number is <LICENCE>"],
  ['MRN-9739371', '<MEDICAL_RECORD>'],
  ['MAC 00:1A:2B:3C:4D:5E', 'MAC <MAC>'],
  ['at 40.7128° N, 74.0060° W', 'at <COORDINATES>'],
  ['lat: 52.520008, lon: 13.404954', 'lat: <COORDINATES>'],
  ['She was born on 2/16/1962.', 'She was born on <BIRTH_DATE>.'],
  ['Geburtsdatum: 03.04.1970', 'Geburtsdatum: <BIRTH_DATE>'],
  ['lives at 12 Park Lane, London W1K 7AA, they say', 'lives at <ADDRESS>, they say'],
  ['Hauptstraße 12a, 10115 Berlin', '<ADDRESS>'],
  ['12 rue de la Paix, 75002 Paris', '<ADDRESS>'],
  ['Dear Dr. Müller, Mary O’Brien wrote', 'Dear Dr. <NAME>, <NAME> wrote'],
  ['P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10', '<PASSPORT>'],
]
for (const [text, expected] of found) test(`strict: ${expected}`, () => assert.equal(strict(text), expected))

const left = [
  'born in 1962, on Park Street, in the Grant era',
  '1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb',
  'commit 3f786850e387550fdab836ed7e6dc881de23001b',
  'at 12:30:45 on 10-11-12, 01:02:03:04:05:06',
  'apikey: YOUR_API_KEY_HERE, token = process.env.TOKEN_1',
  'Section 12 Of the Act, 5 New York Giants',
  'Washington Post, Paris Island, May Day',
  '000-12-3456, 123-00-4567',
  'version 1.2.3-45, 2024-01-02, 1,234,567.89',
]
for (const text of left) test(`strict leaves: ${text}`, () => assert.equal(strict(text), text))

test('a surrogate has the form of what it stands for, is the same for the same value, and another under another key', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (value) => {
      const first = surrogate('a key of sixteen', 'email', value)
      assert.equal(surrogate('a key of sixteen', 'email', value), first)
      const form = (text: string) =>
        text
          .replace(/\p{Lu}/gu, 'A')
          .replace(/\p{L}/gu, 'a')
          .replace(/\p{Nd}/gu, '0')
      assert.equal(form(first).replaceAll('A', 'a'), form(value).replaceAll('A', 'a'))
    }),
  )
  const mail = 'jo.doe77@mail.example.org'
  assert.notEqual(surrogate('a key of sixteen', 'email', mail), surrogate('another key of it', 'email', mail))
  assert.equal(
    surrogate('a key of sixteen', 'phone', '650 253 0000').replace(/\D/g, ''),
    surrogate('a key of sixteen', 'phone', '650-253-0000').replace(/\D/g, ''),
  )
})

test('no text takes long: time grows with its length', () => {
  const floods = [
    '1 ',
    '12-',
    'A1',
    '@',
    'a@',
    '://a:',
    '-----BEGIN ',
    '-----BEGIN PRIVATE KEY-----§',
    'ssn ',
    '123-',
    'passport ',
    'born on ',
    'Mary ',
    'lat: 1.',
    '0x',
    'eyJ',
    'A. ',
    '12 Park ',
    "driver's license number is ",
    '+1 (',
    '1.',
    'api key = ',
  ]
  for (const flood of floods) {
    const time = (length: number) => {
      const text = flood.repeat(Math.ceil(length / flood.length))
      const start = performance.now()
      findPii(text, kinds)
      return performance.now() - start
    }
    time(2_000)
    const [short, long] = [time(20_000), time(160_000)]
    // Eight times the text: a quadratic rule takes 64 times as long. Half a second is forgiven to a machine that is busy.
    assert.ok(long < 24 * short + 500, `${JSON.stringify(flood)}: ${short} ms, then ${long} ms`)
  }
})

test('whatever the text, findings are in order, apart, and inside', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.constantFrom(...identityNumbers, ' ', '\n', '😀'), fc.string({ maxLength: 6 })), { maxLength: 12 }),
      (parts) => {
        const text = parts.join('')
        let free = 0
        for (const { start, end } of findPii(text, patternKinds)) {
          assert.ok(free <= start && start < end && end <= text.length)
          free = end
        }
      },
    ),
  )
})
