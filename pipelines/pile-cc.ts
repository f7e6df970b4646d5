// Pile-CC, The Pile's part of Common Crawl: Gao et al. 2020, appendix C.1 and D, arxiv.org/abs/2101.00027: extraction from
// WARC, English only, a classifier that knows OpenWebText2, near-duplicates removed. Where it differs:
//   - text is extracted by sluice, not by jusText; language by fastText's lid.176 at 0.5, not by pycld2;
//   - the classifier is trained in the run, against its own documents, on the good ones given (--positives; the paper's are
//     OpenWebText2), on whole texts, there on 1,500 characters of each; without them the step is left out;
//   - a document stays where a Pareto number (alpha 3) exceeds 1 - score, as there; here the number comes from its id;
//   - near-duplicates as there: 5-grams of words, three bands of three hashes, which is what datasketch makes of the paper's ten
//     hashes and a similarity of 0.5 (found are 33 % at 0.5, 72 % at 0.7, 98 % at 0.9); words are not NLTK's.

import { type Document, pipeline, withArguments } from 'sluice'
import * as s from 'sluice/stages'
import { z } from 'zod'

const ALPHA = 3

const parameters = z.strictObject({
  crawl: z.string().default('CC-MAIN-2020-34').describe('crawl of Common Crawl to read; the paper takes pieces from 2013 to 2020'),
  segments: z.int().min(1).default(4).describe('files of it, about 1 GB each'),
  input: z.string().optional().describe('WARC files to read instead'),
  positives: z.string().optional().describe('good documents, JSON lines'),
  output: z.string().default('corpora/pile-cc').describe('folder for the shards'),
})

export default withArguments(parameters, ({ crawl, segments, input, positives, output }) => {
  const english = pipeline('pile-cc', { seed: 7 })
    .from(input ? s.warc({ path: input }) : s.commonCrawl({ crawl, segments }))
    .pipe(s.extractText())
    .pipe(s.language({ keep: ['en'], minScore: 0.5 }))
  const good =
    positives === undefined
      ? english
      : english
          .pipe(s.qualityClassifier({ positives: s.jsonl({ path: positives }) }))
          .pipe(s.filter('pareto', (document) => paretoOf(document) > 1 - Number(document.annotations?.quality_score), { version: 1 }))
  return good.pipe(s.minhashDedup({ shingleWords: 5, bands: 3, hashesPerBand: 3 })).to(s.parquetShards({ path: output }))
})

/** numpy's pareto, shifted to begin at 0, of a number in (0, 1] that the id gives. */
function paretoOf({ id }: Document): number {
  const fraction = 1 - Number.parseInt(id.slice(0, 12), 16) / 2 ** 48
  return fraction ** (-1 / ALPHA) - 1
}
