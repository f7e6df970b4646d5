// MassiveWeb, the web part of MassiveText: Rae et al. 2021, appendix A.1.1, arxiv.org/abs/2112.11446: quality filter,
// repetition removal, deduplication of documents, test-set filtering, in this order. Where it differs:
//   - the paper's input, extraction and SafeSearch filter are Google's own: here pages of Common Crawl, sluice's extraction,
//     and a URL filter to which lists can be given (--blocked-domains);
//   - the paper names no language model: here fastText's lid.176, English at 0.65;
//   - words are spaCy's, and the rules' exact definitions datatrove's (0.10), where the paper leaves them open;
//   - near-duplicates share 13-grams as there, at a Jaccard similarity of about 0.8 by 20 bands of 13 hashes (found are 18 %
//     at 0.7, 68 % at 0.8, 99.7 % at 0.9), without computing the similarity itself; the first of a cluster stays, there a random one;
//   - a document goes where it shares one 13-gram with a test set (--against); there from a 13-gram Jaccard similarity of 0.8 on.

import { pipeline, withArguments } from 'sluice'
import * as s from 'sluice/stages'
import { z } from 'zod'

const parameters = z.strictObject({
  crawl: z.string().default('CC-MAIN-2026-43').describe('crawl of Common Crawl to read'),
  segments: z.int().min(1).default(4).describe('files of it, about 1 GB each'),
  input: z.string().optional().describe('WARC files to read instead'),
  blockedDomains: z.string().optional().describe('list of domains to leave out, one a line'),
  against: z.string().optional().describe('test set whose examples may not be in the corpus, JSON lines'),
  output: z.string().default('corpora/gopher').describe('folder for the shards'),
})

export default withArguments(parameters, ({ crawl, segments, input, blockedDomains, against, output }) => {
  const deduplicated = pipeline('gopher', { seed: 7 })
    .from(input ? s.warc({ path: input }) : s.commonCrawl({ crawl, segments }))
    .pipe(s.urlFilter({ extraDomains: blockedDomains === undefined ? [] : { file: blockedDomains }, covers: 'below' }))
    .pipe(s.extractText())
    .pipe(s.language({ keep: ['en'], minScore: 0.65 }))
    .pipe(s.gopherQuality())
    .pipe(s.gopherRepetition())
    .pipe(s.minhashDedup({ shingleWords: 13, bands: 20, hashesPerBand: 13 }))
  const clean = against === undefined ? deduplicated : deduplicated.pipe(s.decontaminate({ against: { test: against } }))
  return clean.to(s.parquetShards({ path: output }))
})
