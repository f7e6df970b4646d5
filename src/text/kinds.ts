// Kinds of characters that Python's `str` methods and `re` tell apart, by code point. Units of the basic plane are looked
// up: asking an expression about each character of a text takes ten times as long.

const UPPERCASE = 1
const NUMERIC = 2
const WORD = 4

/** Ideographs that are numbers: the only characters with a numeric value that are no \p{N}. */
const numerals =
  '㐅㒃㠪㭍一七万三九二五亖亿什仟仨伍佰億兆兩八六十千卄卅卌叁参參叄四壱壹幺廾廿弌弍弎弐拾捌柒漆玖百肆萬貮貳贰阡陆陌陸零\u{20001}\u{20064}\u{200e2}\u{20121}\u{2092a}' +
  '\u{20983}\u{2098c}\u{2099c}\u{20aea}\u{20afd}\u{20b19}\u{22390}\u{22998}\u{23b1b}\u{2626d}\uf96b\uf973\uf978\uf9b2\uf9d1\uf9d3\uf9fd\u{2f890}'

const upper = /\p{Uppercase}/u
const numeric = new RegExp(`[\\p{N}${numerals}]`, 'u')
const word = /[\p{L}\p{N}_]/u

let table: Uint8Array | undefined

function basicPlane(): Uint8Array {
  const kinds = new Uint8Array(0x10000)
  for (let codePoint = 0; codePoint < kinds.length; codePoint++) kinds[codePoint] = kindsOf(codePoint)
  return kinds
}

function kindsOf(codePoint: number): number {
  const character = String.fromCodePoint(codePoint)
  return (upper.test(character) ? UPPERCASE : 0) | (numeric.test(character) ? NUMERIC : 0) | (word.test(character) ? WORD : 0)
}

function kinds(codePoint: number): number {
  table ??= basicPlane()
  return codePoint < 0x10000 ? table[codePoint] : kindsOf(codePoint)
}

/** `\w` in a Python expression: letters, numbers of all kinds, "_"; combining marks are none. */
export function isWordCharacter(codePoint: number): boolean {
  return (kinds(codePoint) & WORD) !== 0
}

/** Characters that satisfy Python's `str.isupper`, each by itself. */
export function countUppercase(text: string): number {
  return count(text, UPPERCASE)
}

/** Characters that satisfy Python's `str.isnumeric`. */
export function countNumeric(text: string): number {
  return count(text, NUMERIC)
}

function count(text: string, kind: number): number {
  table ??= basicPlane()
  const basic = table
  const length = text.length
  let found = 0
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i)
    if ((unit & 0xfc00) !== 0xd800) {
      if ((basic[unit] & kind) !== 0) found++
    } else if ((kindsOf(text.codePointAt(i++) ?? 0) & kind) !== 0) found++
  }
  return found
}
