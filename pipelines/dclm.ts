// DCLM-Baseline: Li et al. 2024, section 4, arxiv.org/abs/2406.11794: RefinedWeb's heuristics, deduplication by Bloom filter,
// and a fastText classifier that keeps the best tenth. Steps and limits from baselines_configs/dclm_baseline_refinedweb.yaml and
// fasttext_filter.yaml of mlfoundations/dclm. Where it differs:
//   - text is extracted by sluice, not by resiliparse;
//   - RefinedWeb's URL lists are the user's (--banned-domains, --banned-words …) and are compared as datatrove does;
//   - URLs in the text are not taken out;
//   - words are spaCy's, there what blanks part; stop words count once each, there as often as they occur; # and ellipses count
//     apart, there together;
//   - one Bloom filter over all of the input, as large as it has to be; the paper deduplicates its shards apart;
//   - the paper's classifier is the user's file (--classifier, with its label and threshold); or one is trained on the run's
//     own documents against good ones (--positives), keeping a tenth. Without either, this step is left out.

import { pipeline, withArguments } from 'sluice'
import * as s from 'sluice/stages'
import { z } from 'zod'

const parameters = z.strictObject({
  crawl: z.string().default('CC-MAIN-2026-43').describe('crawl of Common Crawl to read'),
  segments: z.int().min(1).default(4).describe('files of it, about 1 GB each'),
  input: z.string().optional().describe('WARC files to read instead'),
  bannedDomains: z.string().optional().describe('list of domains, one a line'),
  bannedWords: z.string().optional().describe('list of words of which one in the address is enough'),
  softBannedWords: z.string().optional().describe('list of words of which it takes two'),
  bannedSubwords: z.string().optional().describe('list of parts of words of which one is enough'),
  classifier: z.string().optional().describe('fastText model of DCLM: fasttext_oh_eli5.bin'),
  label: z.string().default('__label__hq').describe('its label of good documents'),
  minScore: z.number().default(0.018112).describe('least probability of that label'),
  positives: z.string().optional().describe('good documents to train a classifier with, JSON lines'),
  output: z.string().default('corpora/dclm').describe('folder for the shards'),
})

const listAt = (file: string | undefined) => (file === undefined ? [] : { file })

export default withArguments(parameters, ({ crawl, segments, input, classifier, label, minScore, positives, output, ...lists }) => {
  const shards = s.parquetShards({ path: output })
  const deduplicated = pipeline('dclm', { seed: 7 })
    .from(input ? s.warc({ path: input }) : s.commonCrawl({ crawl, segments }))
    .pipe(
      s.urlFilter({
        extraDomains: listAt(lists.bannedDomains),
        bannedWords: listAt(lists.bannedWords),
        softBannedWords: listAt(lists.softBannedWords),
        bannedSubwords: listAt(lists.bannedSubwords),
      }),
    )
    .pipe(s.extractText({ mode: 'recall' }))
    .pipe(s.map('two-newlines', (document) => ({ ...document, text: document.text.replace(/\n{3,}/g, '\n\n') }), { version: 1 }))
    .pipe(s.language({ keep: ['en'], minScore: 0.65 }))
    .pipe(s.gopherQuality())
    .pipe(s.gopherRepetition())
    .pipe(s.refinedWebLines())
    .pipe(s.bloomDedup({ remove: 'both', ngramWords: 13, threshold: 0.8 }))
  if (classifier !== undefined) return deduplicated.pipe(s.classify({ model: classifier, label, minScore })).to(shards)
  if (positives === undefined) return deduplicated.to(shards)
  return deduplicated.pipe(s.qualityClassifier({ positives: s.jsonl({ path: positives }), keep: 0.1 })).to(shards)
})
