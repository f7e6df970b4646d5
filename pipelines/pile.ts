// The Pile: Gao et al. 2020, table 1, arxiv.org/abs/2101.00027: twenty-two components, each as often as the table's epochs say.
// Input are the components before they are mixed, in The Pile's layout (JSON lines with meta.pile_set_name); The Pile as
// published is mixed already: --epochs 1 takes it as it is. Where it differs:
//   - the components are the user's files: how each was gathered and cleaned is no part of this; Pile-CC, the one made from
//     Common Crawl, has a recipe of its own in pile-cc.ts;
//   - copies of a document come one epoch after the other, there shuffled: the trainer shuffles;
//   - the fractions of a table row of 2.5 are chosen by hashes of ids; the held-out parts are not taken apart.

import { pipeline, withArguments } from 'sluice'
import * as s from 'sluice/stages'
import { z } from 'zod'

const EPOCHS = {
  'Pile-CC': 1,
  'PubMed Central': 2,
  Books3: 1.5,
  OpenWebText2: 2,
  ArXiv: 2,
  Github: 1,
  FreeLaw: 1.5,
  StackExchange: 2,
  'USPTO Backgrounds': 2,
  'PubMed Abstracts': 2,
  'Gutenberg (PG-19)': 2.5,
  OpenSubtitles: 1.5,
  'Wikipedia (en)': 3,
  'DM Mathematics': 2,
  'Ubuntu IRC': 2,
  BookCorpus2: 1.5,
  EuroParl: 2,
  HackerNews: 2,
  YoutubeSubtitles: 2,
  PhilPapers: 2,
  'NIH ExPorter': 2,
  'Enron Emails': 2,
}

const parameters = z.strictObject({
  input: z.string().describe('folder or pattern of .jsonl.zst files'),
  epochs: z.enum(['table', '1']).default('table').describe('table: as the paper; 1: every document once'),
  output: z.string().default('corpora/pile').describe('folder for the shards'),
})

export default withArguments(parameters, ({ input, epochs, output }) =>
  pipeline('pile', { seed: 7 })
    .from(...s.mixture({ pile: { source: s.pile({ path: input }), weight: epochs === 'table' ? EPOCHS : 1 } }))
    .to(s.parquetShards({ path: output })),
)
