// What of extraction's score is choice, and what is luck, on the pages of article-extraction-benchmark at hand. Ten folds: of
// thirty settings (each mode, and each of its limits moved both ways) the best on nine tenths scores the tenth. A paired
// bootstrap of 10,000 draws against every extractor whose output is stored, all settings as shipped.
//   npm run bench extraction-proof [-- --data FOLDER]   another folder of that layout: ground-truth.json, html/, output/

import { parseArgs } from 'node:util'
import { LIMITS, type Limits, type Mode } from '../src/html/content.ts'
import { decodeHtml } from '../src/html/encoding.ts'
import { extract, extractDefaults } from '../src/html/extract.ts'
import { bootstrap, EXTRACTION_DATA, type PageScore, peerScores, readFirstSet, scorePage, summarize } from './extraction.ts'
import { saveResult } from './lib/harness.ts'

const FOLDS = 10
const DRAWS = 10_000
const MODES: readonly Mode[] = ['balanced', 'precision', 'recall']

const { values } = parseArgs({ options: { data: { type: 'string', default: EXTRACTION_DATA } } })
const pages = readFirstSet(values.data).toSorted((a, b) => (a.id < b.id ? -1 : 1))
const decoded = pages.map(({ id, html, wanted }) => ({ id, wanted, html: decodeHtml(html).text }))

const shipped = score('balanced', LIMITS.balanced)
const settings = MODES.flatMap((mode) => [LIMITS[mode], ...movedLimits(LIMITS[mode])].map((limits) => score(mode, limits)))
const peers = [...peerScores(decoded, values.data)].map(([name, scores]) => ({
  name,
  ...summarize(scores),
  sluiceAhead: bootstrap(shipped, scores, DRAWS),
}))
saveResult('extraction-proof', {
  pages: pages.length,
  shipped: summarize(shipped),
  crossValidated: { settings: settings.length, ...crossValidate(settings) },
  draws: DRAWS,
  peers: peers.toSorted((a, b) => b.f1 - a.f1),
})

function score(mode: Mode, limits: Limits): PageScore[] {
  return decoded.map(({ id, wanted, html }) => scorePage(id, wanted, extract(html, { ...extractDefaults, mode }, limits).text))
}

/** One limit at a time, a step to each side. */
function movedLimits(limits: Limits): Limits[] {
  return [
    { ...limits, boilerplateShare: limits.boilerplateShare - 0.1 },
    { ...limits, boilerplateShare: limits.boilerplateShare + 0.1 },
    { ...limits, doubtfulCharacters: 75 },
    { ...limits, doubtfulCharacters: 300 },
    { ...limits, linkDensity: limits.linkDensity - 0.1 },
    { ...limits, linkDensity: limits.linkDensity + 0.1 },
    { ...limits, heartShare: 0.9 },
    { ...limits, heartShare: 2 },
    { ...limits, prefersNamed: !limits.prefersNamed },
  ]
}

/** Pages are dealt by the order of their ids. */
function crossValidate(scores: readonly (readonly PageScore[])[]): { f1: number; precision: number; recall: number; folds: number[] } {
  const held: PageScore[] = []
  const folds: number[] = []
  for (let fold = 0; fold < FOLDS; fold++) {
    const part = (all: readonly PageScore[], isInside: boolean) => all.filter((_, i) => (i % FOLDS === fold) === isInside)
    const best = scores.reduce((a, b) => (summarize(part(b, false)).f1 > summarize(part(a, false)).f1 ? b : a))
    folds.push(summarize(part(best, true)).f1)
    held.push(...part(best, true))
  }
  const { f1, precision, recall } = summarize(held)
  return { f1, precision, recall, folds }
}
