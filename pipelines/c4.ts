// C4: Raffel et al. 2020, section 2.2, arxiv.org/abs/1910.10683, from the text that Common Crawl itself extracts (WET). Limits
// are those of the code that made the published corpus, tensorflow/datasets c4_utils.py: five words a line, three sentences a
// page, 190,000 characters at most. Where it differs:
//   - language by fastText's lid.176 at 0.65, not langdetect at 0.99, which that says of nearly any page in English, and lid.176
//     of few; and before deduplication, not after it;
//   - duplicates are spans of three sentences, as the paper has it; the code takes single lines, without case, the copy on the
//     page whose URL hashes highest stays, and pages of one URL are reduced to one first;
//   - sentences are spaCy's, not NLTK's punkt; a line may also end in an apostrophe (both as in datatrove 0.10);
//   - the list of bad words is the user's (--bad-words), and a page without one in its language passes.

import { pipeline, withArguments } from 'sluice'
import * as s from 'sluice/stages'
import { z } from 'zod'

const MOST_CHARACTERS = 190_000

const parameters = z.strictObject({
  crawl: z.string().default('CC-MAIN-2019-18').describe('crawl of Common Crawl to read; the published corpus is of April 2019'),
  segments: z.int().min(1).default(4).describe('files of it, about 100 MB each'),
  input: z.string().optional().describe('WET files to read instead'),
  badWords: z.string().optional().describe('list of English bad words, one a line; C4 takes LDNOOBW'),
  output: z.string().default('corpora/c4').describe('folder for the shards'),
})

export default withArguments(parameters, ({ crawl, segments, input, badWords, output }) =>
  pipeline('c4', { seed: 7 })
    .from(input ? s.wet({ path: input }) : s.commonCrawl({ crawl, segments, kind: 'wet' }))
    .pipe(s.filter('content_too_long', ({ text }) => text.length <= MOST_CHARACTERS, { version: 1 }))
    .pipe(s.language({ keep: ['en'], minScore: 0.65 }))
    .pipe(s.c4Quality({ minWordsPerLine: 5, minNumSentences: 3 }))
    .pipe(s.c4BadWords({ lists: badWords === undefined ? {} : { en: { file: badWords } }, failOnMissingLanguage: false }))
    .pipe(s.sentenceDedup({ sentences: 3, minSentences: 3, minWords: 0 }))
    .to(s.parquetShards({ path: output })),
)
