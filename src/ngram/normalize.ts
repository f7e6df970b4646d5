// Text as CCNet's language models see it: Wenzek et al. 2020, "CCNet: Extracting High Quality Monolingual Datasets from Web
// Crawl Data", arxiv.org/abs/1911.00359; the rules are those of its text_normalizer, line by line.

/** Marks of other scripts and typography, as CCNet maps them. That a full-width 1 becomes a quotation mark is its mistake; digits are 0 by then. */
const MARKS: Readonly<Record<string, string>> = {
  '，': ',',
  '。': '.',
  '、': ',',
  '„': '"',
  '”': '"',
  '“': '"',
  '«': '"',
  '»': '"',
  '１': '"',
  '」': '"',
  '「': '"',
  '《': '"',
  '》': '"',
  '´': "'",
  '∶': ':',
  '：': ':',
  '？': '?',
  '！': '!',
  '（': '(',
  '）': ')',
  '；': ';',
  '–': '-',
  '—': ' - ',
  '．': '. ',
  '～': '~',
  '’': "'",
  '…': '...',
  '━': '-',
  '〈': '<',
  '〉': '>',
  '【': '[',
  '】': ']',
  '％': '%',
  '►': '-',
}

const MARK = new RegExp(`[${Object.keys(MARKS).join('')}]`, 'g')
/** What Python's `str.strip` takes away at the ends. */
const BLANKS = '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+'
const ENDS = new RegExp(`^${BLANKS}|${BLANKS}$`, 'g')
const NOT_PRINTING = /[\x00-\x1f\x7f-\x9f]/g

/** One line: lower case, no accents, every digit a 0, marks mapped, control characters removed, no blanks at the ends. */
export function normalizeLine(line: string): string {
  const lower = line.replace(ENDS, '').toLowerCase()
  if (isAscii(lower)) return lower.replace(/[0-9]/g, '0').replace(NOT_PRINTING, '')
  return lower
    .normalize('NFD')
    .replace(/\p{Mn}/gu, '')
    .replace(/\p{Nd}/gu, '0')
    .replace(MARK, (mark) => MARKS[mark])
    .replace(NOT_PRINTING, '')
}

/** Each line by itself; lines are what "\n" ends. */
export function normalizeText(text: string): string {
  return text.split('\n').map(normalizeLine).join('\n')
}

function isAscii(text: string): boolean {
  return !/[^\x00-\x7f]/.test(text)
}
