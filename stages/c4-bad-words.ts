// The bad-words rule of C4 and mC4: Raffel et al. 2020, section 2.2, arxiv.org/abs/1910.10683, with the matching of datatrove
// 0.10. The lists are the user's: none is shipped.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { drop, type FilterDefinition, filterStage, keep, type Stage, type Verdict } from '../src/core/stage.ts'
import { idFraction } from '../src/text/chance.ts'
import { strip } from '../src/text/characters.ts'
import { listVersion, readList } from '../src/text/lists.ts'
import { variantOption } from './variant.ts'

const list = z.union([z.array(z.string()), z.strictObject({ file: z.string() })])

export const c4BadWordsOptions = z.strictObject({
  variant: variantOption('c4@datatrove-0.10'),
  lists: z
    .record(z.string(), list)
    .describe('bad words by language code: { en: [...], de: { file: "bad-words/de" } }; one a line, lower case'),
  keepFraction: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe('share of the documents with a bad word that is kept all the same, chosen by id'),
  failOnMissingLanguage: z.boolean().default(true).describe('drops documents in a language without a list; false: keeps them'),
  defaultLanguage: z.string().default('en').describe('language of documents that name none'),
})
export type C4BadWordsOptions = z.input<typeof c4BadWordsOptions>
type Limits = z.output<typeof c4BadWordsOptions>
export type C4BadWords = ReturnType<typeof measureC4BadWords>

/** Written without blanks: a word counts wherever it stands. */
const unspaced = ['ja', 'th', 'zh']
/** Common parts of harmless words; taken out of every language's list, as the reference does. */
const allowed = ['sm', 'グロ', '女の子', '性']

/**
 * Drops documents with a bad word. Reasons: `document_removed_with_badwords`, and `missing_badwords_lang`, where the
 * reference stops with an error.
 */
export function c4BadWords<T extends Document>(options: C4BadWordsOptions): Stage<T> {
  const limits = c4BadWordsOptions.parse(options)
  const versions = Object.fromEntries(Object.entries(limits.lists).map(([language, words]) => [language, listVersion(words)]))
  const stage = (patterns: ReadonlyMap<string, RegExp>): Stage<T> => filterStage('c4BadWords', definition(patterns))
  const definition = (patterns: ReadonlyMap<string, RegExp>): FilterDefinition<T, C4BadWords> => ({
    options: { ...limits, versions },
    measure: (document) => measureC4BadWords(document, patterns, limits),
    decide: (statistics) => decideC4BadWords(statistics, limits),
  })
  return { ...stage(new Map()), open: (context) => stage(badWordPatterns(limits.lists)).open(context) }
}

/** What finds a bad word, by language. */
export function badWordPatterns(lists: Limits['lists']): Map<string, RegExp> {
  const patterns = new Map<string, RegExp>()
  for (const [language, list] of Object.entries(lists)) {
    const words = new Set(readList(list).map(strip))
    for (const word of ['', ...allowed]) words.delete(word)
    // Sorted, because the engine then tests common beginnings once.
    const any =
      words.size === 0
        ? '(?!)'
        : [...words]
            .sort()
            .map((word) => RegExp.escape(word))
            .join('|')
    patterns.set(language, new RegExp(unspaced.includes(language) ? any : `(?<![\\p{L}\\p{N}_])(?:${any})(?![\\p{L}\\p{N}_])`, 'u'))
  }
  return patterns
}

/** `bad_words`: 1 where there is one, NaN where the language has no list. `chance`: 0 to 1, from the document's id. */
export function measureC4BadWords(
  document: Pick<Document, 'id' | 'text' | 'language' | 'metadata'>,
  patterns: ReadonlyMap<string, RegExp>,
  { defaultLanguage }: Pick<Limits, 'defaultLanguage'>,
) {
  const named = document.language ?? document.metadata.language
  const pattern = patterns.get(typeof named === 'string' ? named : defaultLanguage)
  const found = pattern?.test(document.text.toLowerCase())
  return { bad_words: found === undefined ? Number.NaN : Number(found), chance: idFraction(document.id) }
}

export function decideC4BadWords(s: C4BadWords, limits: Pick<Limits, 'keepFraction' | 'failOnMissingLanguage'>): Verdict {
  if (Number.isNaN(s.bad_words)) return limits.failOnMissingLanguage ? drop('missing_badwords_lang') : keep
  return s.bad_words > 0 && s.chance >= limits.keepFraction ? drop('document_removed_with_badwords') : keep
}
