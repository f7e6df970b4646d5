// What a model begins as: a function of the seed and of each parameter's place in the model.

import { normalInto } from '../tensor/rng.ts'
import { elements } from '../tensor/shape.ts'
import type { ParameterBlock } from './parameters.ts'

/** The values of the block that is declared `index`th. */
export function initialValues({ tensor, parts }: ParameterBlock, index: number, seed: number): Float32Array {
  const values = new Float32Array(elements(tensor.shape))
  parts.forEach(({ shape, offset, start }, part) => {
    const own = values.subarray(offset, offset + elements(shape))
    if (start === 'ones') own.fill(1)
    else if (start > 0) normalInto(seed, part, index, start, own)
  })
  return values
}
