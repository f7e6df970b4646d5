// What a model learns from its data: the next token, hidden tokens, spans that were taken out, a target text for each source, a
// label.

import { SluiceError } from '../core/errors.ts'
import type { ModelConfig } from '../model/config.ts'

export const objectives = ['causal', 'masked', 'spans', 'pairs', 'classify'] as const
export type Objective = (typeof objectives)[number]

export const isEncoders = (objective: Objective) => objective === 'masked' || objective === 'classify'

/** What the data consists of, as people are told. */
export const documentWord = (objective: Objective) => (isFromExamples(objective) ? 'example' : 'document')

/** Whether it is learnt from texts with labels or targets, not from running text. */
export const isFromExamples = (objective: Objective) => objective === 'classify' || objective === 'pairs'

/** What an architecture learns where it is not said. */
export function objectiveFor({ architecture }: Pick<ModelConfig, 'architecture'>, areExamples: boolean): Objective {
  if (architecture === 'decoder') return 'causal'
  if (architecture === 'encoder') return areExamples ? 'classify' : 'masked'
  return areExamples ? 'pairs' : 'spans'
}

const architectureFor = {
  causal: 'decoder',
  masked: 'encoder',
  classify: 'encoder',
  spans: 'encoder-decoder',
  pairs: 'encoder-decoder',
} as const satisfies Record<Objective, ModelConfig['architecture']>

export function architectureOf(objective: Objective): ModelConfig['architecture'] {
  return architectureFor[objective]
}

/** @throws SluiceError `SLUICE_TRAIN_OBJECTIVE` */
export function assertLearns({ architecture }: ModelConfig, objective: Objective): void {
  if (architectureFor[objective] === architecture) return
  throw new SluiceError(
    'SLUICE_TRAIN_OBJECTIVE',
    `${objective} is learnt by ${withArticle(architectureFor[objective])}, the model is ${withArticle(architecture)}`,
    {
      fix: `give a model of that architecture, or leave --objective out: this one learns ${objectiveFor({ architecture }, false)}`,
    },
  )
}

function withArticle(architecture: ModelConfig['architecture']): string {
  return `${architecture === 'decoder' ? 'a' : 'an'} ${architecture}`
}

/** @throws SluiceError `SLUICE_TRAIN_OBJECTIVE` where the objective needs running text */
export function assertFromExamples(objective: Objective): void {
  if (isFromExamples(objective)) return
  throw new SluiceError('SLUICE_TRAIN_OBJECTIVE', `${objective} is learnt from token shards, not from examples`, {
    fix: 'give token shards, or for examples a model that learns from them: an encoder with labels, an encoder-decoder with pairs',
  })
}
