// The quickstart: pages, mails and books in, cleaned documents and token shards out, on two cores in a minute.
// Its input is made by quickstart-input.ts from npm packages; with --crawl it reads a slice of Common Crawl instead.

import { type Document, pipeline, type Source, type WebPage, withArguments } from 'sluice'
import * as s from 'sluice/stages'
import { z } from 'zod'

const parameters = z.strictObject({
  input: z.string().default('quickstart/input').describe('folder that quickstart-input.ts wrote'),
  output: z.string().default('quickstart').describe('folder for documents/ and tokens/'),
  crawl: z.string().optional().describe('a Common Crawl id such as CC-MAIN-2026-43: read a slice of it over the network instead'),
  segments: z.int().min(1).default(1).describe('crawl files to read, about 1 GB each'),
  vocabSize: z.int().min(300).default(4096).describe('entries of the tokenizer that is trained on what was kept'),
})

export default withArguments(parameters, ({ input, output, crawl, segments, vocabSize }) => {
  const sources: Source<WebPage | Document>[] = crawl
    ? [s.commonCrawl({ crawl, segments })]
    : [s.warc({ path: `${input}/*.warc.gz` }), s.c4({ path: `${input}/*.json.gz` }), s.pile({ path: `${input}/*.jsonl.zst` })]
  const tokenizer = s.trainTokenizer({ vocabSize })

  return pipeline('quickstart', { seed: 7 })
    .from(...sources)
    .pipe(s.urlFilter())
    .pipe(s.extractText())
    .pipe(s.language({ keep: ['en'], minScore: 0.65 }))
    .pipe(s.gopherRepetition())
    .pipe(s.gopherQuality())
    .pipe(s.c4Quality({ filterNoTerminalPunct: false }))
    .pipe(s.fineWebQuality())
    .pipe(s.filter('has-vowels', (document) => /[aeiou]/i.test(document.text))) // a user's own, in place
    .pipe(s.minhashDedup())
    .pipe(s.redactPii())
    .pipe(tokenizer)
    .tee(s.parquetShards({ path: `${output}/documents` }))
    .pipe(s.tokenize({ tokenizer }))
    .to(s.parquetShards({ path: `${output}/tokens` }))
})
