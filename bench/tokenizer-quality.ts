// How many tokens the shared multilingual texts take with gpt2, cl100k, o200k and any other tokenizer: the table of docs/quality.md.
//
//   npm run bench tokenizer-quality [tokenizer.json ...]

import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { TokenizerComparison } from '../src/tokenizer/comparison.ts'
import { loadTokenizer } from '../src/tokenizer/tokenizer.ts'

const shared = new URL('../../shared/data/', import.meta.url)
const languages = ['en', 'bn', 'de', 'el', 'es', 'fi', 'he', 'hi', 'hu', 'it', 'ko', 'nl', 'pt', 'ru', 'th', 'tr', 'uk', 'vi']

const names = ['gpt2', 'cl100k', 'o200k', ...process.argv.slice(2)]
const comparison = new TokenizerComparison(await Promise.all(names.map((name) => loadTokenizer(name))))
for (const line of read('langid/udhr2.tsv.gz').split('\n').slice(1)) {
  const [, language, , text] = line.split('\t')
  if (text !== undefined && language !== '') comparison.add({ text, language, domain: 'declaration of human rights' })
}
comparison.add({ text: read('text/alice29.txt.gz'), language: 'en', domain: 'novel' })
comparison.add({ text: read('text/wikitext2-valid.txt.gz'), language: 'en', domain: 'encyclopedia' })

console.log(`| | ${names.map((name) => `${name} | unknown`).join(' | ')} |\n|---|${'---|'.repeat(2 * names.length)}`)
for (const { label, tokenizers } of comparison.rows()) {
  if (label.startsWith('language ') && !languages.includes(label.slice(9))) continue
  const cells = tokenizers.map(
    (t) => `${t.bytesPerToken.toFixed(2)} / ${t.tokensPerWord.toFixed(2)} | ${(100 * t.unknownShare).toFixed(1)} %`,
  )
  console.log(`| ${label} | ${cells.join(' | ')} |`)
}

function read(name: string): string {
  return gunzipSync(readFileSync(new URL(name, shared))).toString('utf8')
}
