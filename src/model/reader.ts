// A model that only reads: logits and hidden states of whole batches, no gradients. Weights come from a trainable or a
// checkpoint and are copied.

import { cpuArenaStart, createCpuDevice } from '../tensor/cpu/cpu-device.ts'
import { addresses, placeActivations, placePersistent } from '../tensor/plan.ts'
import { elements, rowLength } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { Batch } from './batch.ts'
import { batchLoader, inputArrays } from './batch-loader.ts'
import type { ModelConfig } from './config.ts'
import { type BatchShape, capLogits, logitSoftcap, traceReading } from './trace.ts'
import type { Trainable } from './trainable.ts'
import { uploadWeights, type Weights } from './weights.ts'

export interface Reader {
  readonly config: ModelConfig
  /**
   * What the head says: of every position of a decoder or of a target side, of the picked positions of an encoder.
   *
   * @returns f32[positions, vocabulary or labels], in the order of the batch
   * @throws SluiceError SLUICE_MODEL_BATCH as in training
   */
  logits(batch: Batch): Float32Array
  /**
   * The last hidden state of every position of a decoder, of an encoder, of the source side of an encoder-decoder.
   *
   * @returns f32[positions, width], in the order of the batch
   */
  hidden(batch: Batch): Float32Array
  dispose(): Promise<void>
}

/** @throws SluiceError SLUICE_MODEL_PARAMETER where a weight is missing or has another size */
export async function createReader(source: Trainable | Weights, shape: BatchShape & { readonly threads?: number }): Promise<Reader> {
  const { config } = source
  const tape = traceReading(config, shape)
  const { graph, hidden, logits } = tape
  const persistent = placePersistent(graph.tensors, cpuArenaStart)
  const activations = placeActivations(graph.records, new Set([hidden, logits]), persistent.endBytes)
  const arenaBytes = activations.endBytes - cpuArenaStart
  await using unfinished = new AsyncDisposableStack() // what a refusal from here on takes down
  const device = unfinished.adopt(await createCpuDevice({ arenaBytes, threads: shape.threads ?? 1, records: graph.records }), (made) =>
    made.dispose(),
  )
  const at = addresses(persistent, activations)
  const program = device.compile(graph.records, at)
  uploadWeights(device, tape.parameters, at, source)
  for (const { tensor, values } of tape.constants) device.upload(at(tensor), values())
  const loader = batchLoader(config, tape, shape.rows)
  const arrays = inputArrays(tape)
  const softcap = logitSoftcap(config)

  function run(batch: Batch, tensor: Tensor): Float32Array {
    loader.load(batch, arrays)
    for (const [name, input] of Object.entries(tape.inputs)) device.upload(at(input), arrays[name])
    device.run(program)
    const values = new Float32Array(elements(tensor.shape))
    device.download(at(tensor), values)
    return values
  }

  /** The batch's positions out of those that were planned for. */
  function positionsOf(values: Float32Array, tensor: Tensor, rows: number, length: number): Float32Array {
    const columns = rowLength(tensor.shape)
    const planned = tensor.shape[0] / shape.rows
    if (length === planned) return values.subarray(0, rows * length * columns)
    const out = new Float32Array(rows * length * columns)
    for (let row = 0; row < rows; row++)
      out.set(values.subarray(row * planned * columns, (row * planned + length) * columns), row * length * columns)
    return out
  }

  unfinished.move()
  return {
    config,
    logits(batch) {
      const values = run(batch, logits)
      capLogits(values, softcap)
      if (batch.kind === 'picked') return values.subarray(0, batch.picked.length * rowLength(logits.shape))
      return positionsOf(values, logits, batch.rows, batch.kind === 'pairs' ? batch.target.length : batch.length)
    },
    hidden: (batch) => positionsOf(run(batch, hidden), hidden, batch.rows, batch.kind === 'pairs' ? batch.source.length : batch.length),
    dispose: () => device.dispose(),
  }
}
