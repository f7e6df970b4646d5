// A trainable's tape with the same weights on the reference device.

import assert from 'node:assert/strict'
import type { Batch } from '../../src/model/batch.ts'
import { batchLoader, inputArrays } from '../../src/model/batch-loader.ts'
import { type BatchShape, type LossOptions, traceTraining } from '../../src/model/trace.ts'
import type { Trainable } from '../../src/model/trainable.ts'
import { differentiate } from '../../src/tensor/differentiate.ts'
import { createReferenceDevice } from '../../src/tensor/reference.ts'
import { elements } from '../../src/tensor/shape.ts'
import { layOut } from '../tensor/harness.ts'

export interface WholeModel {
  /** Sum of the batch's losses. */
  loss(): number
  /** A parameter's weights, which may be changed, and its gradient; zeros where the loss does not depend on it. */
  parts(name: string): { weights: Float64Array; gradient: Float64Array }
}

export function referenceOf(model: Trainable, batch: Batch, shape: BatchShape, denominator: number, loss?: LossOptions): WholeModel {
  const tape = traceTraining(model.config, shape, loss)
  const { records, gradients } = differentiate(tape.graph)
  const { at, bytes } = layOut(tape.graph, records)
  const device = createReferenceDevice(bytes)
  const program = device.compile(records, at)
  for (const { tensor, parts } of tape.parameters)
    for (const { name, offset } of parts) device.upload(at(tensor) + offset * 4, model.read('weights', name))
  for (const { tensor, values } of tape.constants) device.upload(at(tensor), values())
  const arrays = inputArrays(tape)
  batchLoader(model.config, tape, shape.rows).load(batch, arrays)
  for (const [name, tensor] of Object.entries({ ...tape.inputs, targets: tape.targets })) device.upload(at(tensor), arrays[name])
  device.upload(at(tape.scale), Float32Array.of(1 / denominator))
  const run = () => {
    device.run(program)
    return device.values(at(tape.losses), elements(tape.losses.shape)).reduce((a, b) => a + b, 0)
  }
  run()
  const slopes = new Map([...gradients].map(([tensor, gradient]) => [tensor, device.values(at(gradient), elements(tensor.shape)).slice()]))
  return {
    loss: run,
    parts(name) {
      for (const { tensor, parts } of tape.parameters)
        for (const { name: own, shape, offset } of parts)
          if (own === name) {
            const size = elements(shape)
            const gradient = slopes.get(tensor)?.subarray(offset, offset + size)
            return { weights: device.values(at(tensor) + offset * 4, size), gradient: gradient ?? assert.fail(`${name} has no gradient`) }
          }
      return assert.fail(`no parameter ${name}`)
    },
  }
}
