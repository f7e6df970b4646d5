// Encodings of pages: by declaration as browsers decide, else by a guess.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { charsetOfContentType, charsetOfMeta, decodeHtml, encodingOfLabel, prescan } from '../../src/html/encoding.ts'

const ascii = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0))

/** Every label of the Encoding Standard (encoding.spec.whatwg.org, §4.2). */
const LABELS: Readonly<Record<string, string>> = {
  'utf-8': 'unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8',
  ibm866: '866 cp866 csibm866 ibm866',
  'iso-8859-2': 'csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2',
  'iso-8859-3': 'csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3',
  'iso-8859-4': 'csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4',
  'iso-8859-5': 'csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988',
  'iso-8859-6':
    'arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 iso-8859-6-e iso-8859-6-i iso-ir-127 iso8859-6 ' +
    'iso88596 iso_8859-6 iso_8859-6:1987',
  'iso-8859-7':
    'csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597 iso_8859-7 iso_8859-7:1987 sun_eu_greek',
  'iso-8859-8':
    'csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8 iso88598 iso_8859-8 iso_8859-8:1988 visual',
  'iso-8859-8-i': 'csiso88598i iso-8859-8-i logical',
  'iso-8859-10': 'csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6',
  'iso-8859-13': 'iso-8859-13 iso8859-13 iso885913',
  'iso-8859-14': 'iso-8859-14 iso8859-14 iso885914',
  'iso-8859-15': 'csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9',
  'iso-8859-16': 'iso-8859-16',
  'koi8-r': 'cskoi8r koi koi8 koi8-r koi8_r',
  'koi8-u': 'koi8-ru koi8-u',
  macintosh: 'csmacintosh mac macintosh x-mac-roman',
  'windows-874': 'dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874',
  'windows-1250': 'cp1250 windows-1250 x-cp1250',
  'windows-1251': 'cp1251 windows-1251 x-cp1251',
  'windows-1252':
    'ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 ' +
    'us-ascii windows-1252 x-cp1252',
  'windows-1253': 'cp1253 windows-1253 x-cp1253',
  'windows-1254': 'cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5 windows-1254 x-cp1254',
  'windows-1255': 'cp1255 windows-1255 x-cp1255',
  'windows-1256': 'cp1256 windows-1256 x-cp1256',
  'windows-1257': 'cp1257 windows-1257 x-cp1257',
  'windows-1258': 'cp1258 windows-1258 x-cp1258',
  'x-mac-cyrillic': 'x-mac-cyrillic x-mac-ukrainian',
  gbk: 'chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk',
  gb18030: 'gb18030',
  big5: 'big5 big5-hkscs cn-big5 csbig5 x-x-big5',
  'euc-jp': 'cseucpkdfmtjapanese euc-jp x-euc-jp',
  'iso-2022-jp': 'csiso2022jp iso-2022-jp',
  shift_jis: 'csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis',
  'euc-kr': 'cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 windows-949',
  replacement: 'csiso2022kr hz-gb-2312 iso-2022-cn iso-2022-cn-ext iso-2022-kr replacement',
  'utf-16be': 'unicodefffe utf-16be',
  'utf-16le': 'csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le',
  'x-user-defined': 'x-user-defined',
}

test('every label of the Encoding Standard is known, in any case and with blanks around it', () => {
  for (const [encoding, labels] of Object.entries(LABELS)) {
    for (const label of labels.split(' ')) {
      assert.equal(encodingOfLabel(label), encoding, label)
      assert.equal(encodingOfLabel(`\t ${label.toUpperCase()}\n`), encoding, label)
    }
  }
  for (const unknown of ['', 'utf-7', 'utf-32', 'none', 'utf8;', '\u00a0utf-8']) assert.equal(encodingOfLabel(unknown), undefined, unknown)
})

test('every encoding but the replacement decodes a page', () => {
  for (const encoding of Object.keys(LABELS)) {
    const { text } = decodeHtml(ascii('<p>plain</p>'), `text/html; charset=${encoding}`)
    if (encoding === 'replacement') assert.equal(text, '\ufffd')
    else if (!encoding.startsWith('utf-16')) assert.equal(text, '<p>plain</p>', encoding)
  }
})

test('Latin-1 is windows-1252, as on the web', () => {
  assert.equal(decodeHtml(Uint8Array.of(0x93, 0x80, 0xe9, 0x94), 'text/html; charset=ISO-8859-1').text, '“€é”')
})

test('a byte order mark beats the header, the header beats the meta', () => {
  const meta = '<meta charset=windows-1251>'
  assert.deepEqual(decodeHtml(Uint8Array.of(0xef, 0xbb, 0xbf, 0xc3, 0xa9), 'text/html; charset=koi8-r'), {
    text: 'é',
    encoding: 'utf-8',
    declaredBy: 'bom',
  })
  assert.equal(decodeHtml(Uint8Array.of(0xfe, 0xff, 0, 0x41)).text, 'A')
  assert.equal(decodeHtml(Uint8Array.of(0xff, 0xfe, 0x41, 0)).text, 'A')
  assert.deepEqual(
    [
      decodeHtml(ascii(meta), 'text/html; charset="utf-8"'),
      decodeHtml(ascii(meta), 'text/html'),
      decodeHtml(ascii(meta), 'text/html; charset=nonsense'),
    ].map((d) => d.encoding),
    ['utf-8', 'windows-1251', 'windows-1251'],
  )
})

test('the charset of a header is found with quotes, blanks and other parameters', () => {
  assert.equal(charsetOfContentType('text/html;charset=utf-8'), 'utf-8')
  assert.equal(charsetOfContentType('text/html; q=1; Charset = "koi8-r"'), 'koi8-r')
  assert.equal(charsetOfContentType("text/html; charset='big5'; x=y"), 'big5')
  assert.equal(charsetOfContentType('text/html'), undefined)
})

test('the charset of a meta content is read by the standard: quotes must close, a semicolon ends it', () => {
  assert.equal(charsetOfMeta('text/html; charset=utf-8; x'), 'utf-8')
  assert.equal(charsetOfMeta('charset = "big5"'), 'big5')
  assert.equal(charsetOfMeta('charset="big5'), undefined)
  assert.equal(charsetOfMeta('charsetcharset=utf-8'), 'utf-8')
})

test('the prescan reads what browsers read', () => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['<meta charset=utf-8>', 'utf-8'],
    ['<META CHARSET = "Shift_JIS" >', 'shift_jis'],
    ['<meta/charset="gbk"/>', 'gbk'],
    ['<meta http-equiv="Content-Type" content="text/html; charset=euc-kr">', 'euc-kr'],
    ['<meta content="text/html; charset=euc-kr" http-equiv=content-type>', 'euc-kr'],
    ['<meta content="text/html; charset=euc-kr">', undefined],
    ['<meta name=description content="charset=utf-8">', undefined],
    ['<!-- <meta charset=utf-8> --><meta charset=koi8-r>', 'koi8-r'],
    ['<!--><meta charset=koi8-r>', 'koi8-r'],
    ['<title>a > b</title><p title="<meta charset=utf-8>"><meta charset=big5>', 'big5'],
    ['<meta charset=unheard-of><meta charset=big5>', 'big5'],
    ['<meta charset=utf-16>', 'utf-8'],
    ['<meta charset=utf-16be>', 'utf-8'],
    ['<meta charset=x-user-defined>', 'windows-1252'],
    ['<metacharset=utf-8>', undefined],
    ['<meta charset="utf-8', undefined],
    ['<?xml version="1.0" encoding="iso-8859-5"?><html>', 'iso-8859-5'],
    ['<?php echo 1 ?><meta charset=gb2312>', 'gbk'],
    ['</ x><meta charset=latin1>', 'windows-1252'],
    ['no markup at all', undefined],
  ]
  for (const [html, encoding] of cases) assert.equal(prescan(ascii(html)), encoding, html)
})

test('a meta beyond the first 1024 bytes does not count', () => {
  const late = ascii(`${' '.repeat(1010)}<meta charset=koi8-r>`)
  assert.equal(decodeHtml(late).declaredBy, 'guess')
})

/** Bytes of a text in a single-byte encoding, by inverting its decoder. */
function encode(text: string, encoding: string): Uint8Array {
  const decoder = new TextDecoder(encoding)
  const bytes = new Map(Array.from({ length: 256 }, (_, byte) => [decoder.decode(Uint8Array.of(byte)), byte]))
  return Uint8Array.from([...text].map((character) => bytes.get(character) ?? 0x3f))
}

const SINGLE_BYTE_TEXTS: readonly (readonly [string, string])[] = [
  ['windows-1251', 'Вечером пошёл дождь, и мы остались дома. Завтра, говорят, будет солнце.'],
  ['koi8-r', 'Вечером пошёл дождь, и мы остались дома. Завтра, говорят, будет солнце.'],
  ['windows-1252', 'Am späten Nachmittag hörte der Regen auf, und wir gingen über die Brücke nach Süden.'],
  ['windows-1252', 'L’été dernier, nous avons passé une semaine près de la forêt, où il n’a jamais plu.'],
  ['windows-1250', 'Wieczorem zaczęło padać, więc zostaliśmy w domu i piliśmy herbatę z miodem, aż żółw zasnął.'],
  ['windows-1250', 'Večer začalo pršet, a tak jsme zůstali doma a četli si až do půlnoci o příšerách.'],
  ['windows-1253', 'Το βράδυ άρχισε να βρέχει και μείναμε στο σπίτι διαβάζοντας μέχρι αργά τη νύχτα.'],
  ['windows-1254', 'Akşam yağmur başladı, biz de evde kaldık ve geç saatlere kadar kitap okuduk, dışarısı soğuktu.'],
  ['windows-1255', 'בערב התחיל לרדת גשם ולכן נשארנו בבית וקראנו ספרים עד שעה מאוחרת'],
  ['windows-1256', 'بدأ المطر في المساء فبقينا في البيت نقرأ الكتب حتى ساعة متأخرة من الليل'],
  ['windows-874', 'ตอนเย็นฝนเริ่มตก เราจึงอยู่บ้านและอ่านหนังสือจนดึก'],
]

test('an undeclared single-byte encoding is guessed from a sentence', () => {
  for (const [encoding, text] of SINGLE_BYTE_TEXTS) {
    const page = decodeHtml(encode(`<p>${text}</p>`, encoding))
    assert.equal(page.encoding, encoding, text)
    assert.equal(page.text, `<p>${text}</p>`)
  }
})

test('an undeclared multi-byte encoding is guessed from a sentence', () => {
  // Bytes of short sentences, made with another program's encoders.
  const cases: readonly (readonly [string, string, string])[] = [
    [
      'shift_jis',
      '93fa967b8cea82cc95b68fcd82cd8abf8e9a82c689bc96bc82f08dac82ba82c48f9182a982ea82dc82b78142',
      '日本語の文章は漢字と仮名を混ぜて書かれます。',
    ],
    [
      'euc-jp',
      'c6fccbdcb8eca4cecab8becfa4cfb4c1bbfaa4c8b2beccbea4f2baaea4bca4c6bdf1a4aba4eca4dea4b9a1a3',
      '日本語の文章は漢字と仮名を混ぜて書かれます。',
    ],
    ['gbk', 'bdf1ccecccecc6f8badcbac3a3acced2c3c7c8a5b9abd4b0cde6a1a3', '今天天气很好，我们去公园玩。'],
    ['big5', 'a4b5a4d1a4d1aef0abdca66ea141a7daadcca568a4bdb6e9aab1a143', '今天天氣很好，我們去公園玩。'],
    ['euc-kr', 'bfc0b4c3c0ba20b3afbebeb0a120c1c1bdc0b4cfb4d92e', '오늘은 날씨가 좋습니다.'],
    ['iso-2022-jp', '1b2442467c4b5c386c2448344130251b2842', '日本語と漢字'],
  ]
  for (const [encoding, hex, text] of cases) {
    const page = decodeHtml(Uint8Array.from(Buffer.from(hex, 'hex')))
    assert.equal(page.encoding, encoding)
    if (encoding !== 'iso-2022-jp') assert.equal(page.text, text)
  }
})

test('UTF-8 is recognised though cut within a character or marred by a stray byte', () => {
  const bytes = new TextEncoder().encode('naïve café, größere Straße, Ελλάδα, 日本')
  assert.equal(decodeHtml(bytes.subarray(0, bytes.length - 1)).encoding, 'utf-8')
  const marred = Uint8Array.from([...bytes, ...bytes, ...bytes, 0xff])
  assert.equal(decodeHtml(marred).encoding, 'utf-8')
  assert.equal(decodeHtml(ascii('plain')).encoding, 'utf-8')
})

test('UTF-16 without a mark is recognised by its zero bytes', () => {
  const text = '<html><body>sixteen bits a character</body></html>'
  const little = new Uint8Array(text.length * 2)
  for (let i = 0; i < text.length; i++) little[2 * i] = text.charCodeAt(i)
  assert.deepEqual(decodeHtml(little), { text, encoding: 'utf-16le', declaredBy: 'guess' })
})

test('any bytes under any header decode to well-formed text', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.constantFrom(...Object.keys(LABELS), ''), (bytes, charset) => {
      const page = decodeHtml(bytes, `text/html; charset=${charset}`)
      assert.ok(page.text.isWellFormed())
    }),
    { numRuns: 300 },
  )
})
