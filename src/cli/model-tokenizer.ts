// The tokenizer of a trained model.

import { SluiceError } from '../core/errors.ts'
import { type LoadedTokenizer, loadTokenizer } from '../tokenizer/tokenizer.ts'
import { tokenizerFileOf } from '../train/checkpoint.ts'
import type { LoadedModel } from '../train/load-model.ts'

/**
 * The tokenizer beside the checkpoints, or the one that is given; it must be the one that the model was trained with.
 *
 * @throws SluiceError SLUICE_SAMPLE_TOKENIZER
 */
export async function tokenizerOf({ folder, state }: LoadedModel, given: string | undefined): Promise<LoadedTokenizer> {
  const file = given ?? tokenizerFileOf(folder)
  if (file === undefined)
    throw new SluiceError('SLUICE_SAMPLE_TOKENIZER', 'no tokenizer.json beside the model', {
      where: { folder },
      fix: 'give the one that made its shards with --tokenizer',
    })
  const tokenizer = await loadTokenizer(file)
  if (tokenizer.hash === state.vocabularyHash) return tokenizer
  throw new SluiceError('SLUICE_SAMPLE_TOKENIZER', 'the model was trained with another tokenizer: its ids would not mean the same', {
    where: { file, hash: tokenizer.hash.slice(0, 12), expected: state.vocabularyHash.slice(0, 12) },
    fix: 'give the tokenizer.json that made its shards with --tokenizer',
  })
}
