// Writing with an encoder-decoder: a source is read once, into a row, and its target written token by token with keys and
// values of the earlier ones kept. To `generate` a source is what a prompt is to a decoder.

import { SluiceError } from '../core/errors.ts'
import { cpuArenaStart, createCpuDevice } from '../tensor/cpu/cpu-device.ts'
import { addresses, placeActivations, placePersistent } from '../tensor/plan.ts'
import { elements } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { cutInside } from './batch.ts'
import { traceSequences } from './encoder-decoder.ts'
import { assertRows, checkToken, checkTokens, type Inference, type InferenceOptions } from './inference.ts'
import type { Trainable } from './trainable.ts'
import { uploadWeights, type Weights } from './weights.ts'

export interface SequenceOptions extends InferenceOptions {
  /** Tokens of a source that are read, its last one among them; default the model's context. */
  readonly length?: number
}

/** @throws SluiceError SLUICE_MODEL_ARCHITECTURE where the model is no encoder-decoder, SLUICE_MODEL_PARAMETER */
export async function createSequenceInference(source: Trainable | Weights, options: SequenceOptions = {}): Promise<Inference> {
  const { config } = source
  if (config.architecture !== 'encoder-decoder')
    throw new SluiceError('SLUICE_MODEL_ARCHITECTURE', `a model of architecture ${config.architecture} does not write from a source`, {
      fix: 'give an encoder-decoder',
    })
  const { rows = 1, threads = 1 } = options
  assertRows(rows)
  const length = Math.min(options.length ?? config.contextLength, config.contextLength)
  const context = Math.min(options.context ?? config.contextLength, config.contextLength)
  const { graph, parameters, read, write } = traceSequences(config, { rows, length, context })
  const persistent = placePersistent(graph.tensors, cpuArenaStart)
  const handedOver = [...read.memories, read.bias]
  const readPlan = placeActivations(read.records, new Set(handedOver.map(({ made }) => made)), persistent.endBytes)
  const writePlan = placeActivations(write.records, new Set([write.logits]), persistent.endBytes)
  const arenaBytes = Math.max(readPlan.endBytes, writePlan.endBytes) - cpuArenaStart
  await using unfinished = new AsyncDisposableStack() // what a refusal from here on takes down
  const device = unfinished.adopt(await createCpuDevice({ arenaBytes, threads, records: graph.records }), (made) => made.dispose())
  const kept = addresses(persistent)
  uploadWeights(device, parameters, kept, source)

  const readAt = addresses(persistent, readPlan)
  const readProgram = device.compile(read.records, readAt)
  const writeAt = addresses(persistent, writePlan)
  const writeProgram = device.compile(write.records, writeAt)

  const V = config.vocabularySize
  const send = (tensor: Tensor, values: Int32Array) => device.upload(kept(tensor), values)
  const made = new Float32Array(rows * V)
  const logits = new Float32Array(rows * V)
  const positions = new Array<number>(rows).fill(0)
  const sourceLengths = new Int32Array(rows).fill(1)
  send(write.inputs.crossLo, new Int32Array(rows))

  /** Copies what reading made to the place of a row: a program of its own for each row would do without, and would fill the device's list. */
  function keep({ made, kept: state }: { readonly made: Tensor; readonly kept: Tensor }, row: number): void {
    const values = new Float32Array(elements(made.shape))
    device.download(readAt(made), values)
    device.upload(kept(state) + 4 * row * values.length, values)
  }

  /** A token for each row that has one, at index `at` of its list; the others write where they will write again. */
  function advance(tokens: readonly (readonly number[])[], at: number): void {
    const ids = Int32Array.from(tokens, (own) => own[at] ?? 0)
    const places = Int32Array.from(positions, (position) => Math.min(position, context - 1))
    send(write.inputs.ids, ids)
    send(write.inputs.positions, places)
    send(write.inputs.crossHi, sourceLengths)
    device.run(writeProgram)
    device.download(writeAt(write.logits), made)
    tokens.forEach((own, row) => {
      if (at >= own.length) return
      positions[row]++
      logits.set(made.subarray(row * V, (row + 1) * V), row * V)
    })
  }

  unfinished.move()
  return {
    config,
    rows,
    context,
    positions,
    next(tokens) {
      checkTokens(tokens, { positions, context, vocabularySize: V })
      const longest = Math.max(...tokens.map((own) => own.length))
      for (let at = 0; at < longest; at++) advance(tokens, at)
      return logits
    },
    begin(row, prompt) {
      if (!(row in positions)) throw new RangeError(`no row ${row} among ${rows}`)
      if (prompt.length === 0)
        throw new SluiceError('SLUICE_MODEL_PROMPT', 'a source has no tokens', { fix: 'give at least its end token' })
      for (const token of prompt) checkToken(token, V)
      const words = cutInside(prompt, length)
      const count = words.length
      const eachPosition = (value: (t: number) => number) => Int32Array.from({ length }, (_, t) => value(t))
      send(
        read.inputs.ids,
        eachPosition((t) => words[t] ?? 0),
      )
      // a position behind the source sees itself alone, and nobody sees it
      send(
        read.inputs.lo,
        eachPosition((t) => (t < count ? 0 : t)),
      )
      send(
        read.inputs.hi,
        eachPosition((t) => (t < count ? count : t + 1)),
      )
      device.run(readProgram)
      for (const memory of read.memories) keep(memory, row)
      keep(read.bias, 0)
      sourceLengths[row] = count
      positions[row] = 0
      return [config.startToken]
    },
    reset(row) {
      positions[row] = 0
    },
    dispose: () => device.dispose(),
  }
}
