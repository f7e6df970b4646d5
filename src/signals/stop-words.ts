// Stop words of fifty languages: the lists of stopwords-json, which RedPajama-v2 counts with.

import lists from 'stopwords-json/stopwords-all.json' with { type: 'json' }

const sets = new Map<string, ReadonlySet<string>>()
const byLanguage = new Map<string, readonly string[]>(Object.entries(lists))

/** Undefined for a language (ISO 639-1) without a list. */
export function stopWordsOf(language: string): ReadonlySet<string> | undefined {
  const known = sets.get(language)
  if (known !== undefined) return known
  const list = byLanguage.get(language)
  if (list === undefined) return undefined
  const words = new Set(list)
  sets.set(language, words)
  return words
}
