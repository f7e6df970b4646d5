// The documents of a token corpus, with all that their rows say: for what copies, counts or writes them elsewhere. The trainer
// reads rows (corpus.ts).

import type { TokenizedDocument, Vocabulary } from '../core/document.ts'
import { SluiceError } from '../core/errors.ts'
import type { Corpus, RowGroup } from './corpus.ts'

/** @throws SluiceError `SLUICE_TOKENS_TOKENIZER` where the tokenizer.json beside the shards is gone */
export function vocabularyOf({ folder, vocabulary, tokenizerFile }: Corpus): Vocabulary {
  if (tokenizerFile !== undefined) return { ...vocabulary, file: tokenizerFile }
  throw new SluiceError('SLUICE_TOKENS_TOKENIZER', 'there is no tokenizer.json beside the shards', {
    where: { folder },
    fix: 'put back the tokenizer.json that was written with them',
  })
}

/** In file order, a row group at a time. */
export async function* readDocuments(corpus: Corpus): AsyncGenerator<TokenizedDocument[]> {
  const vocabulary = vocabularyOf(corpus)
  for (const group of corpus.rowGroups) yield await readGroup(corpus, group, vocabulary)
}

async function readGroup(corpus: Corpus, group: RowGroup, vocabulary: Vocabulary): Promise<TokenizedDocument[]> {
  const { tokens, masks } = await corpus.readRows(group)
  const origins = await corpus.readOrigins(group)
  return origins.map((origin, row) => ({ ...origin, length: 0, metadata: {}, vocabulary, tokens: tokens[row], mask: masks[row] }))
}
