// What a training run of the tests is about: a model of one block over documents of a Markov chain.

import { modelConfig } from '../../../src/model/config.ts'
import type { RunFacts } from '../../../src/train/resolve-settings.ts'
import { documentData } from '../../../src/train/run-data.ts'
import { markovDocuments, memoryCorpus } from '../../train/corpora.ts'

export const VOCABULARY = 24
const corpus = memoryCorpus([markovDocuments(30, VOCABULARY, 1)], VOCABULARY)
export const data = documentData([{ corpus, weight: 1 }])
export const config = modelConfig.parse({ vocabularySize: VOCABULARY, contextLength: 16, layers: 1, width: 16, heads: 2 })
export const facts: RunFacts = {
  ...{ parameterCount: 600, contextLength: 16, vocabularySize: VOCABULARY, corpusTokens: corpus.tokens, documents: corpus.documents },
  ...{ cores: 1, objective: 'causal', maskToken: VOCABULARY, sentinel: VOCABULARY, isFineTuning: false, hasValidation: false },
}
