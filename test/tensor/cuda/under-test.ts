// What the tests of CUDA run on, by SLUICE_TEST_CUDA: the emulator and the library that stands in for the driver where it is not
// set, single operations through that library too (`stand-in`), or all on the GPU of this machine (`gpu`: npm run test:gpu).

import assert from 'node:assert/strict'
import { SluiceError } from '../../../src/core/errors.ts'
import { type CudaOptions, openCuda } from '../../../src/tensor/cuda/cuda-device.ts'
import { openDriver } from '../../../src/tensor/cuda/driver.ts'
import { fuse } from '../../../src/tensor/cuda/fusion.ts'
import { createLowering } from '../../../src/tensor/cuda/launches.ts'
import { findLibraries } from '../../../src/tensor/cuda/libraries.ts'
import type { Graph, OpRecord } from '../../../src/tensor/graph.ts'
import { addresses, placeActivations, placePersistent } from '../../../src/tensor/plan.ts'
import type { Precision } from '../../../src/tensor/precision.ts'
import { elements } from '../../../src/tensor/shape.ts'
import type { Tensor } from '../../../src/tensor/tensor.ts'
import { type Inputs, layOut, type Run, runOn } from '../harness.ts'
import { completed, fromHalves, relativeError, runEmulated, tolerance } from './emulated.ts'
import { noEmulator } from './emulator.ts'
import { stubOptions } from './stub.ts'

const asked = process.env.SLUICE_TEST_CUDA
assert.ok(asked === undefined || asked === 'stand-in' || asked === 'gpu', `SLUICE_TEST_CUDA is ${asked}`)

/** Why nothing can be run, or false. */
export const noCuda: string | false = asked === 'gpu' ? noGpu() : noEmulator

function noGpu(): string | false {
  try {
    openDriver(findLibraries().driver).dispose()
    return false
  } catch (error) {
    if (error instanceof SluiceError) return `no GPU here: ${error.message}`
    throw error
  }
}

export function cudaOptions(precision: Precision): CudaOptions {
  return asked === 'gpu' ? { libraries: findLibraries(), precision } : stubOptions(precision)
}

/** What the records, joined as for the GPU, leave in every tensor that they write. */
export function runCuda(graph: Graph, records: readonly OpRecord[], inputs: Inputs, precision: Precision): Run {
  const own = fuse(records)
  return asked === undefined ? runEmulated(graph, own, inputs, precision) : runOnDevice(graph, own, inputs, precision)
}

/** Everything begins as NaN, as in the emulator. */
function runOnDevice(graph: Graph, records: readonly OpRecord[], inputs: Inputs, precision: Precision): Run {
  const cuda = openCuda(cudaOptions(precision))
  const { typeOf } = createLowering(records, precision)
  const persistent = placePersistent(graph.tensors, 0)
  const activations = placeActivations(records, new Set(graph.tensors), persistent.endBytes, cuda.bytesOf(records))
  const at = addresses(persistent, activations)
  const device = cuda.createDevice(activations.endBytes, records)
  const program = device.compile(records, at)
  device.fill(0, activations.endBytes / 4, Number.NaN)
  for (const [tensor, values] of inputs) device.upload(at(tensor), values)
  device.run(program)
  const all = new Float32Array(activations.endBytes / 4)
  device.download(0, all)
  void device.dispose()
  return {
    values(tensor: Tensor) {
      const [start, count] = [at(tensor), elements(tensor.shape)]
      const type = typeOf(tensor)
      return type === 'f32'
        ? new Float32Array(all.buffer, start, count).slice()
        : fromHalves(type, new Uint16Array(all.buffer, start, count))
    },
  }
}

/** Compares everything that records leave with what they leave on the reference. */
export async function assertCuda(graph: Graph, records: readonly OpRecord[], given: Inputs, precision: Precision): Promise<void> {
  const inputs = completed(graph, given, precision)
  const run = runCuda(graph, records, inputs, precision)
  const reference = await runOn('reference', graph, layOut(graph, records), inputs)
  const scratch = new Set(records.flatMap((record) => Object.values(record.scratch)))
  const touched = new Set(fuse(records).flatMap(({ reads, writes }) => [...Object.values(reads), ...Object.values(writes)]))
  for (const tensor of touched) {
    if (tensor.dtype === 'i32' || scratch.has(tensor)) continue
    const error = relativeError(run.values(tensor), reference.values(tensor))
    if (process.env.SHOW_ERRORS) console.log(precision, tensor.name, error.toExponential(1))
    assert.ok(error < tolerance[precision], `${tensor.name} is off by ${error}`)
  }
}
