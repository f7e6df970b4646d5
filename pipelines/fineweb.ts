// FineWeb: Penedo et al. 2024, arxiv.org/abs/2406.17557, in the order and with the limits of datatrove's examples/fineweb.py.
// Where it differs: text is extracted by sluice, not by trafilatura (its precision mode as well); the reference's own lists of
// URL words are not shipped (give them to urlFilter), UT1's adult list is the user's (--ut1); of near-duplicates the first in
// the input stays, there any one; e-mail and IP addresses get replacements that begin anew in each document; and the shards
// hold GPT-2 tokens, which there were only counted.

import { pipeline, withArguments } from 'sluice'
import * as s from 'sluice/stages'
import { z } from 'zod'

const parameters = z.strictObject({
  crawl: z.string().default('CC-MAIN-2026-43').describe('crawl of Common Crawl to read'),
  segments: z.int().min(1).default(4).describe('files of it, about 1 GB each'),
  input: z.string().optional().describe('WARC files to read instead'),
  ut1: z.string().optional().describe('blacklists folder of UT1, whose category adult is blocked'),
  output: z.string().default('corpora/fineweb').describe('folder for the shards'),
})

export default withArguments(parameters, ({ crawl, segments, input, ut1, output }) =>
  pipeline('fineweb', { seed: 7 })
    .from(input ? s.warc({ path: input }) : s.commonCrawl({ crawl, segments }))
    .pipe(s.urlFilter({ ut1: ut1 === undefined ? undefined : { folder: ut1, categories: ['adult'] } }))
    .pipe(s.extractText({ mode: 'precision' }))
    .pipe(s.language({ keep: ['en'], minScore: 0.65 }))
    .pipe(s.gopherRepetition())
    .pipe(s.gopherQuality())
    .pipe(s.c4Quality({ filterNoTerminalPunct: false }))
    .pipe(s.fineWebQuality())
    .pipe(s.minhashDedup({ shingleWords: 5, bands: 14, hashesPerBand: 8 }))
    .pipe(s.redactPii({ set: 'datatrove' }))
    .pipe(s.tokenize({ tokenizer: 'gpt2' }))
    .to(s.parquetShards({ path: output })),
)
