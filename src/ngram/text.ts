// How text becomes what a model scores: lines of words with blanks between. A model that sluice trains says in a comment of
// its file how that was done, so that it is asked about text made in the same way.

import { z } from 'zod'
import { SluiceError } from '../core/errors.ts'
import { loadTokenizer } from '../tokenizer/tokenizer.ts'
import { normalizeText } from './normalize.ts'

export const normalizations = ['ccnet', 'none'] as const
export const BLANKS = 'blanks'

/** Undefined members: as the model says, and where it says nothing, `ccnet` and `blanks`. */
export interface TextRule {
  readonly normalize?: (typeof normalizations)[number]
  /** `blanks`, or a tokenizer's name or file: a word of the model is then a token's id. */
  readonly tokens?: string
}

/** Makes a text into lines of words. */
export interface TextPreparer {
  readonly prepare: (text: string) => string
  /** Says in a model's file what `prepare` does. */
  readonly comment: string
}

const COMMENT = 'sluice text '
const commentRule = z.strictObject({ normalize: z.enum(normalizations), tokens: z.string() })

/** @param comments of a model that is to be asked; none where one is to be trained. @throws SluiceError `SLUICE_NGRAM_TEXT` */
export async function textPreparer(rule: TextRule, comments: readonly string[] = []): Promise<TextPreparer> {
  const trained = ruleOf(comments)
  const normalize = rule.normalize ?? trained?.normalize ?? 'ccnet'
  const name = rule.tokens ?? (trained === undefined || trained.tokens === BLANKS ? BLANKS : undefined)
  if (name === undefined)
    throw new SluiceError('SLUICE_NGRAM_TEXT', 'the model was trained on the tokens of a tokenizer', {
      fix: 'name that tokenizer: the option tokens',
    })
  const tokenizer = name === BLANKS ? undefined : await loadTokenizer(name)
  const made = { normalize, tokens: tokenizer ? `tokenizer ${tokenizer.hash}` : BLANKS }
  if (trained && (trained.normalize !== made.normalize || trained.tokens !== made.tokens))
    throw new SluiceError(
      'SLUICE_NGRAM_TEXT',
      `the model was trained on text made otherwise: ${JSON.stringify(trained)}, not ${JSON.stringify(made)}`,
      {
        fix: 'leave normalize out, and give tokens only where it was trained on a tokenizer’s',
      },
    )
  const normalized = normalize === 'ccnet' ? normalizeText : (text: string) => text
  const tokenized = (line: string) => tokenizer?.encode(line).join(' ')
  return {
    comment: COMMENT + JSON.stringify(made),
    prepare: tokenizer ? (text) => normalized(text).split('\n').map(tokenized).join('\n') : normalized,
  }
}

function ruleOf(comments: readonly string[]): z.output<typeof commentRule> | undefined {
  const comment = comments.find((line) => line.startsWith(COMMENT))
  if (comment === undefined) return undefined
  try {
    return commentRule.parse(JSON.parse(comment.slice(COMMENT.length)))
  } catch (cause) {
    throw new SluiceError('SLUICE_NGRAM_TEXT', `the model says of its text what this version does not know: ${comment}`, {
      fix: 'use the version of sluice that made it',
      cause,
    })
  }
}
