// A guess at the encoding of a page that declares none: UTF-8 where it is valid, else the legacy encoding in which the bytes
// read most like a language. Each candidate decodes a sample, and the result is judged by letters that keep company.

const SAMPLE_BYTES = 64 * 1024

const MULTI_BYTE = ['shift_jis', 'euc-jp', 'gbk', 'big5', 'euc-kr'] as const

/** Letters by falling frequency among the non-ASCII letters of languages, with the encoding each is written in. */
const SINGLE_BYTE: readonly (readonly [encoding: string, letters: string])[] = [
  ['windows-1252', 'üäößÄÜÖé'],
  ['windows-1252', 'éèàêçôûîùïâœëÉÀÊ'],
  ['windows-1252', 'áíóéñúüÁÉ¿¡º'],
  ['windows-1252', 'ãçáéíóâêõúàôÉÁº'],
  ['windows-1252', 'àèéìòùÈ'],
  ['windows-1252', 'äöåøæéÅØÄÖðþ'],
  ['windows-1251', 'оеаинтсрвлкмдпуяызьбгчйхжшюцщэфъёіїєґўОЕАИНТСРВЛКМДПУЯЗБГЧХЖШЮЭФ'],
  ['koi8-r', 'оеаинтсрвлкмдпуяызьбгчйхжшюцщэфъёОЕАИНТСРВЛКМДПУЯЗБГЧХЖШЮЭФ'],
  ['windows-1250', 'łęążóśćńźŁŚŻ'],
  ['windows-1250', 'íáéěčšžýřůúťďňľôČŠŽŘÚ'],
  ['windows-1250', 'éáőöóüíúűÉÁÖ'],
  ['windows-1250', 'ăîâţşŢŞÎ'],
  ['windows-1253', 'αοιετσνηυρπκμλςάόίέήώγδωθχβφξζψύΑΟΙΕΤΣΝΗΥΡΠΚΜΛΔΓΘ'],
  ['windows-1254', 'ışğüçöİŞĞÜÇÖ'],
  ['windows-1255', 'יואלהרתבשמנםדחקצפעטגכסזןךץףְִָ'],
  ['windows-1256', 'اليمنترهوبعدسكفقحةجشصىأطخذزضءغئثإظآؤپچژگ'],
  ['windows-874', 'านรอกเงมยลวดทสตะปบคหแจพชขใไโผถซธฟภณฐศ่้ิีัืุู์็'],
]

export function guessEncoding(bytes: Uint8Array): string {
  // Both are ASCII by their bytes, and so valid UTF-8.
  if (hasEscapes(bytes)) return 'iso-2022-jp'
  const nulls = nullBias(bytes)
  if (nulls !== undefined) return nulls
  if (isUtf8(bytes)) return 'utf-8'
  const sample = highBytes(bytes)
  let best = 'windows-1252'
  let bestScore = 0
  for (const encoding of MULTI_BYTE) {
    const score = multiByteScore(new TextDecoder(encoding).decode(sample), encoding)
    if (score > bestScore) [best, bestScore] = [encoding, score]
  }
  if (bestScore > 0.75) return best
  for (const [encoding, letters] of SINGLE_BYTE) {
    // The common one has an advance: German `ü` alone is as good Turkish.
    const advance = encoding === 'windows-1252' ? 0.1 : 0
    const score = singleByteScore(new TextDecoder(encoding).decode(sample), letters) + advance
    if (score > bestScore) [best, bestScore] = [encoding, score]
  }
  return best
}

/** True also where the last character is cut off: pages are clipped in the middle of one. */
function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true })
    return true
  } catch {
    return hasFewErrors(bytes)
  }
}

/** A page of UTF-8 with a stray byte here and there is still UTF-8: no legacy text has many valid multi-byte sequences. */
function hasFewErrors(bytes: Uint8Array): boolean {
  const text = new TextDecoder().decode(bytes.subarray(0, 4 * SAMPLE_BYTES))
  let errors = 0
  let high = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0xfffd) errors++
    else if (code >= 0x80) high++
  }
  return errors * 20 < high
}

/** UTF-16 without a mark: every other byte of its markup is zero. */
function nullBias(bytes: Uint8Array): string | undefined {
  const length = Math.min(bytes.length, 512) & ~1
  let even = 0
  let odd = 0
  for (let i = 0; i < length; i += 2) {
    if (bytes[i] === 0) even++
    if (bytes[i + 1] === 0) odd++
  }
  if (length < 16) return undefined
  if (odd > length * 0.4 && even === 0) return 'utf-16le'
  return even > length * 0.4 && odd === 0 ? 'utf-16be' : undefined
}

function hasEscapes(bytes: Uint8Array): boolean {
  const length = Math.min(bytes.length, SAMPLE_BYTES)
  for (let i = 0; i + 2 < length; i++) {
    if (bytes[i] !== 0x1b) continue
    if (bytes[i + 1] === 0x24 && (bytes[i + 2] === 0x42 || bytes[i + 2] === 0x40)) return true
  }
  return false
}

/** The stretches with bytes beyond ASCII, each with two bytes around it, up to the sample's size. */
function highBytes(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(SAMPLE_BYTES)
  let length = 0
  let near = 0
  for (let i = 0; i < bytes.length && length < SAMPLE_BYTES; i++) {
    const isHigh = bytes[i] >= 0x80
    if (isHigh) near = 2
    // A space stands where ASCII was left out, so that no two stretches run together.
    if (isHigh || near-- > 0) out[length++] = bytes[i]
    else if (length > 0 && out[length - 1] !== 0x20) out[length++] = 0x20
  }
  return out.subarray(0, length)
}

/** Share of the non-ASCII characters that are everyday ones, less errors. At most 1. */
function multiByteScore(text: string, encoding: (typeof MULTI_BYTE)[number]): number {
  let good = 0
  let bad = 0
  let all = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x80) continue
    all++
    if (code === 0xfffd || (code >= 0xe000 && code < 0xf900)) bad++
    else if (code >= 0xff61 && code <= 0xff9f) bad += 0.5
    else good += everyday(code, encoding)
  }
  return all < 2 ? 0 : (good - 10 * bad) / all
}

function everyday(code: number, encoding: (typeof MULTI_BYTE)[number]): number {
  if (code >= 0x3000 && code <= 0x3002) return 1
  if (code >= 0xff01 && code <= 0xff5e) return 0.9
  const isHangul = code >= 0xac00 && code <= 0xd7a3
  const isKana = code >= 0x3041 && code <= 0x30fe
  const isHan = code >= 0x4e00 && code <= 0x9fff
  if (encoding === 'euc-kr') return isHangul ? 1 : isHan ? 0.2 : 0.3
  if (encoding === 'shift_jis' || encoding === 'euc-jp') return isKana ? 1.1 : isHan ? 0.7 : 0.2
  if (isHan) return isCommonHan(code) ? 1 : 0.55
  return 0.2
}

/** Han characters so frequent in Chinese, simplified or traditional, that a wrong reading seldom hits them. */
const COMMON_HAN = new Set(
  [
    ...'的一是不了在人有我他这個个們们中来來上大为為和国國地到以说說时時要就出会會可也你对對生能而子那得于於着著下自之年过過发發后後作里裡用道行所然家种種事成方多经經么麼去法学學如都同现現当當没沒动動面起看定天分还還进進好小部其些主样樣理心她本前开開但因只从從想实實日军軍者意无無力它与與长長把机機十民第公此已工使情明性知全三又关關点點正业業外将將两兩高间間由问問很最重并物手应應战戰向头頭文体體政美相见見被利什二等产產新己制身果加西斯月话話合回特代内內信表化老给給世位次度门門任常先海通教儿兒原东東声聲提立及比员員解水名真论論处處走义義各入几幾口认認条條平系气氣题題活尔爾更别別打女变變四神总總何电電数數安少报報才结結反受目太量再感建务務做接必场場件计計管期市直德资資命山金指克许許统統区區保至队隊形社便空决決治展马馬科司五基眼书書非则則听聽白却卻界达達光放强強即像难難且权權思王象完设設式色路记記南品住告类類求据據程北边邊死张張该該交规規万萬取拉格望觉覺术術领領共确確传傳师師观觀清今切院让讓识識候带帶导導争爭运運笔筆首网網页頁登录錄版站',
  ].map((character) => character.charCodeAt(0)),
)

function isCommonHan(code: number): boolean {
  return COMMON_HAN.has(code)
}

/** How much the non-ASCII characters look like letters of the languages of an encoding. At most 1. */
function singleByteScore(text: string, letters: string): number {
  let score = 0
  let all = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x80) continue
    all++
    const place = letters.indexOf(text[i])
    if (place >= 0) score += 1 / (1 + place / 16)
    else if (PUNCTUATION.has(code)) score += 0.6
    else if (code === 0xfffd || code < 0xa0) score -= 2
    // A capital in the middle of a word is how a wrong Cyrillic reading shows.
    if (i > 0 && isUpper(text[i]) && isLower(text[i - 1])) score -= 0.7
  }
  return all === 0 ? 0 : score / all
}

const PUNCTUATION = new Set([...'\u00a0“”‘’–—…«»„‚€•·©®™°'].map((mark) => mark.charCodeAt(0)))

function isUpper(character: string): boolean {
  return character.toLowerCase() !== character
}

function isLower(character: string): boolean {
  return character.toUpperCase() !== character
}
