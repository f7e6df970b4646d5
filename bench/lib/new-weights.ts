// The weights that a model begins with: what it writes means nothing, and takes as long.

import type { ModelConfig } from '../../src/model/config.ts'
import { initialValues } from '../../src/model/init.ts'
import { traceReading } from '../../src/model/trace.ts'
import type { Weights } from '../../src/model/weights.ts'
import { elements } from '../../src/tensor/shape.ts'

export function newWeights(config: ModelConfig): Weights {
  const { parameters } = traceReading(config, { rows: 1, length: 1 })
  const weights = new Map<string, Float32Array>()
  parameters.forEach((block, index) => {
    const values = initialValues(block, index, 1)
    for (const { name, shape, offset } of block.parts) weights.set(name, values.subarray(offset, offset + elements(shape)))
  })
  return { config, weights }
}
