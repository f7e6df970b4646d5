// What a model begins as. Radford et al. 2019: normal numbers of deviation 0.02, and 0.02/√(2·layers) for the projections that
// write into the residual stream, so that its variance does not grow with depth. Norms begin as the identity.

import { normalInto } from '../tensor/rng.ts'
import { elements } from '../tensor/shape.ts'
import type { ModelConfig } from './config.ts'
import type { ParameterBlock, RotaryTables } from './decoder.ts'

const DEVIATION = 0.02

/** The values of a block: a function of the seed and of the block's place in the model. */
export function initialValues(block: ParameterBlock, index: number, { layers }: ModelConfig, seed: number): Float32Array {
  const values = new Float32Array(elements(block.tensor.shape))
  if (block.start === 'ones') values.fill(1)
  else if (block.start === 'normal') normalInto(seed, 0, index, DEVIATION, values)
  else if (block.start === 'residual') normalInto(seed, 0, index, DEVIATION / Math.sqrt(2 * layers), values)
  return values
}

/** cos and sin of position · theta^(−2d/D), in the shape of the tables. Su et al. 2021, arxiv.org/abs/2104.09864. */
export function rotaryValues({ cosines }: RotaryTables, theta: number): { cosines: Float32Array; sines: Float32Array } {
  const [positions, half] = cosines.shape
  const values = { cosines: new Float32Array(positions * half), sines: new Float32Array(positions * half) }
  for (let t = 0; t < positions; t++)
    for (let d = 0; d < half; d++) {
      const angle = t * theta ** (-d / half)
      values.cosines[t * half + d] = Math.cos(angle)
      values.sines[t * half + d] = Math.sin(angle)
    }
  return values
}
