// FineWeb's recipe over a slice of Common Crawl: Penedo et al. 2024, arxiv.org/abs/2406.17557. Where it differs: its block
// lists and its own URL words are not shipped (give them to urlFilter), and extraction is sluice's, not trafilatura's.

import { pipeline } from 'sluice'
import * as s from 'sluice/stages'

export default pipeline('fineweb', { seed: 7 })
  .from(s.commonCrawl({ crawl: 'CC-MAIN-2026-43', segments: 4 }))
  .pipe(s.urlFilter())
  .pipe(s.extractText({ mode: 'precision' }))
  .pipe(s.language({ keep: ['en'], minScore: 0.65 }))
  .pipe(s.gopherRepetition())
  .pipe(s.gopherQuality())
  .pipe(s.c4Quality({ filterNoTerminalPunct: false }))
  .pipe(s.fineWebQuality())
  .pipe(s.filter('has-vowels', (document) => /[aeiou]/i.test(document.text))) // your own, in place
  .pipe(s.minhashDedup())
  .pipe(s.redactPii())
  .pipe(s.tokenize({ tokenizer: 'gpt2' }))
  .to(s.parquetShards({ path: 'corpora/fineweb' }))
