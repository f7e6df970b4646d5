// Weights by parameter name, as a checkpoint has them, and their way into a device.

import { SluiceError } from '../core/errors.ts'
import type { Device } from '../tensor/device.ts'
import { elements } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { ModelConfig } from './config.ts'
import type { ParameterBlock } from './parameters.ts'
import type { Trainable } from './trainable.ts'

/** A configuration and its weights by parameter name. */
export interface Weights {
  readonly config: ModelConfig
  readonly weights: ReadonlyMap<string, Float32Array>
}

/** @throws SluiceError SLUICE_MODEL_PARAMETER where a weight is missing or has another size */
export function uploadWeights(
  device: Pick<Device, 'upload'>,
  parameters: readonly ParameterBlock[],
  at: (tensor: Tensor) => number,
  source: Trainable | Weights,
): void {
  for (const { tensor, parts } of parameters)
    for (const { name, shape, offset } of parts) device.upload(at(tensor) + offset * 4, weightOf(source, name, elements(shape)))
}

function weightOf(source: Trainable | Weights, name: string, size: number): Float32Array {
  const values = 'read' in source ? source.read('weights', name) : source.weights.get(name)
  if (values?.length === size) return values
  throw new SluiceError(
    'SLUICE_MODEL_PARAMETER',
    `${name} should have ${size} values, the weights have ${values ? values.length : 'none'}`,
    { fix: 'give the configuration that these weights were trained with' },
  )
}
