// Dates as pages write them, to ISO 8601: kept where they are already, read where they are unmistakable, else nothing.

/** A date in a `datetime`, `meta` or JSON-LD value. */
export function dateOfValue(value: string): string | undefined {
  const iso = /^\s*(\d{4})[-/](\d{2})[-/](\d{2})(.*)$/.exec(value)
  if (iso !== null)
    return isDay(Number(iso[1]), Number(iso[2]), Number(iso[3])) ? `${iso[1]}-${iso[2]}-${iso[3]}${timeOf(iso[4])}` : undefined
  const compact = /^\s*(\d{4})(\d{2})(\d{2})(?!\d)/.exec(value)
  if (compact !== null) return isoOf(Number(compact[1]), Number(compact[2]), Number(compact[3]))
  return dateOfText(value)
}

/** The first whole date in a short text: `4. Mai 2021`, `May 4, 2021`, `04.05.2021`, `2021-05-04`. */
export function dateOfText(text: string): string | undefined {
  const iso = /(?<!\d)(\d{4})-(\d{1,2})-(\d{1,2})(?!\d)/.exec(text)
  if (iso !== null) return isoOf(Number(iso[1]), Number(iso[2]), Number(iso[3]))
  const dotted = /(?<!\d)(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})(?!\d)/.exec(text)
  if (dotted !== null) return isoOf(Number(dotted[3]), Number(dotted[2]), Number(dotted[1]))
  const slashed = /(?<!\d)(\d{1,2})[/-](\d{1,2})[/-](\d{4})(?!\d)/.exec(text)
  if (slashed !== null) return slashedDate(Number(slashed[1]), Number(slashed[2]), Number(slashed[3]))
  const dayFirst = /(?<!\d)(\d{1,2})(?:st|nd|rd|th|er|º|\.)?\s+(?:de\s+|of\s+)?(\p{L}{3,})\.?,?\s+(?:de\s+|del\s+)?(\d{4})(?!\d)/u.exec(
    text,
  )
  if (dayFirst !== null) return isoOf(Number(dayFirst[3]), monthOf(dayFirst[2]), Number(dayFirst[1]))
  const monthFirst = /(\p{L}{3,})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})(?!\d)/u.exec(text)
  return monthFirst === null ? undefined : isoOf(Number(monthFirst[3]), monthOf(monthFirst[1]), Number(monthFirst[2]))
}

/** The date in a path like `/2021/05/04/`. */
export function dateOfUrl(url: string): string | undefined {
  const path = /\/(\d{4})[/-](\d{2})[/-](\d{2})(?!\d)/.exec(url)
  return path === null ? undefined : isoOf(Number(path[1]), Number(path[2]), Number(path[3]))
}

/** Which of the two is the month is known only where one of them cannot be. */
function slashedDate(first: number, second: number, year: number): string | undefined {
  if (first > 12) return isoOf(year, second, first)
  return second > 12 || first === second ? isoOf(year, first, second) : undefined
}

function isoOf(year: number, month: number, day: number): string | undefined {
  if (!isDay(year, month, day)) return undefined
  return `${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`
}

function isDay(year: number, month: number, day: number): boolean {
  return year >= 1900 && year < 2200 && month >= 1 && month <= 12 && day >= 1 && day <= new Date(Date.UTC(year, month, 0)).getUTCDate()
}

function timeOf(rest: string): string {
  const match = /^[T ]((?:[01]\d|2[0-3]):\d{2}(?::\d{2}(?:\.\d+)?)?)\s*(Z|[+-]\d{2}:?\d{2})?/.exec(rest)
  return match === null ? '' : `T${match[1]}${match[2] ?? ''}`
}

/** The first letters by which languages that share an alphabet name the twelve months. */
const MONTHS: readonly (readonly string[])[] = [
  ['jan', 'jän', 'ene', 'gen', 'sty', 'янв', 'led'],
  ['feb', 'fev', 'fév', 'lut', 'фев', 'úno'],
  ['mar', 'mär', 'mrz', 'maa', 'мар', 'bře'],
  ['apr', 'avr', 'abr', 'kwi', 'апр', 'dub'],
  ['may', 'mai', 'mei', 'mag', 'maj', 'мая', 'май', 'kvě'],
  ['jun', 'juin', 'giu', 'cze', 'июн', 'červn'],
  ['jul', 'juil', 'lug', 'lip', 'июл', 'července'],
  ['aug', 'aoû', 'aou', 'ago', 'sie', 'авг', 'srp'],
  ['sep', 'set', 'wrz', 'сен', 'zář'],
  ['oct', 'okt', 'ott', 'out', 'paź', 'окт', 'říj'],
  ['nov', 'lis', 'ноя'],
  ['dec', 'dez', 'déc', 'dic', 'gru', 'дек', 'pro'],
]

/** 1 to 12; 0 where the word names none. The longest start decides, so that `juillet` is not `jui`. */
function monthOf(word: string): number {
  const name = word.toLowerCase()
  let month = 0
  let longest = 0
  MONTHS.forEach((starts, index) => {
    for (const start of starts) {
      if (start.length > longest && name.startsWith(start)) {
        month = index + 1
        longest = start.length
      }
    }
  })
  return month
}
