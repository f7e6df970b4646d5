// A configuration for tests that compute with something smaller than it says.

import { type ModelConfig, modelConfig } from '../../src/model/config.ts'

export const tinyConfig = (vocabularySize: number): ModelConfig =>
  modelConfig.parse({ vocabularySize, contextLength: 32, layers: 1, width: 16, heads: 2 })
