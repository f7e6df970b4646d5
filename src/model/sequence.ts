// Writing with an encoder-decoder: sources are read once, targets written token by token, all rows in step, with keys and
// values of the earlier tokens kept.

import { SluiceError } from '../core/errors.ts'
import { cpuArenaStart, createCpuDevice } from '../tensor/cpu/cpu-device.ts'
import { addresses, placeActivations, placePersistent } from '../tensor/plan.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { EncoderDecoderConfig } from './config.ts'
import { traceSequences } from './encoder-decoder.ts'
import type { Trainable } from './trainable.ts'
import { uploadWeights, type Weights } from './weights.ts'

export interface SequenceInference {
  readonly config: EncoderDecoderConfig
  readonly rows: number
  /** Tokens written so far, the start token among them. */
  readonly position: number
  /**
   * Reads one source a row, fewer than rows where there are no more, and forgets what was written.
   *
   * @param sources cut to the length planned for
   * @throws SluiceError SLUICE_MODEL_PROMPT where one is empty, SLUICE_MODEL_TOKEN
   */
  read(sources: readonly (readonly number[])[]): void
  /**
   * Appends a token to each row and returns the logits of the next ones: f32[rows, vocabulary], borrowed until the next call.
   * The first token is the configuration's startToken.
   *
   * @throws SluiceError SLUICE_MODEL_CONTEXT where the context is full, SLUICE_MODEL_TOKEN where the model has no such token
   */
  next(tokens: ArrayLike<number>): Float32Array
  dispose(): Promise<void>
}

export interface SequenceOptions {
  /** Sources that are read at once. */
  readonly rows?: number
  /** Tokens of a source that are read; default the model's context. */
  readonly length?: number
  readonly threads?: number
}

/** @throws SluiceError SLUICE_MODEL_ARCHITECTURE where the model is no encoder-decoder, SLUICE_MODEL_PARAMETER */
export async function createSequenceInference(source: Trainable | Weights, options: SequenceOptions = {}): Promise<SequenceInference> {
  const { config } = source
  if (config.architecture !== 'encoder-decoder')
    throw new SluiceError('SLUICE_MODEL_ARCHITECTURE', 'this model does not write from a source', { fix: 'give an encoder-decoder' })
  const { rows = 1, length = config.contextLength, threads = 1 } = options
  const context = config.contextLength
  const { graph, parameters, read, write } = traceSequences(config, { rows, length, context })
  const persistent = placePersistent(graph.tensors, cpuArenaStart)
  // what reading makes for writing is made in place: the state's memory
  const kept = addresses(persistent)
  const handedOver = { offsets: new Map(read.memories.map(({ made, kept: state }) => [made, kept(state)])), endBytes: persistent.endBytes }
  const readPlan = placeActivations(read.records, new Set(), persistent.endBytes)
  const writePlan = placeActivations(write.records, new Set([write.logits]), persistent.endBytes)
  const arenaBytes = Math.max(readPlan.endBytes, writePlan.endBytes) - cpuArenaStart
  const device = await createCpuDevice({ arenaBytes, threads, records: graph.records })
  const at = addresses(persistent, writePlan)
  const readProgram = device.compile(read.records, addresses(handedOver, persistent, readPlan))
  const writeProgram = device.compile(write.records, at)
  uploadWeights(device, parameters, at, source)

  const arrays = { ids: new Int32Array(rows * length), lo: new Int32Array(rows * length), hi: new Int32Array(rows * length) }
  const crossHi = new Int32Array(rows)
  const logits = new Float32Array(rows * config.vocabularySize)
  const send = (tensor: Tensor, values: Int32Array) => device.upload(kept(tensor), values)
  send(write.inputs.crossLo, new Int32Array(rows))
  let position = 0

  function check(token: number): void {
    if (token >= 0 && token < config.vocabularySize) return
    throw new SluiceError('SLUICE_MODEL_TOKEN', `token ${token} is not in the vocabulary of ${config.vocabularySize}`, {
      fix: 'encode with the tokenizer that the model was trained with',
    })
  }

  return {
    config,
    rows,
    get position() {
      return position
    },
    read(sources) {
      sources.flat().forEach(check)
      layInto(arrays, sources, length)
      for (let row = 0; row < rows; row++) crossHi[row] = arrays.hi[row * length]
      send(read.inputs.ids, arrays.ids)
      send(read.inputs.lo, arrays.lo)
      send(read.inputs.hi, arrays.hi)
      send(write.inputs.crossHi, crossHi)
      device.run(readProgram)
      position = 0
    },
    next(tokens) {
      if (position >= context)
        throw new SluiceError('SLUICE_MODEL_CONTEXT', `the context of ${context} tokens is full`, { fix: 'write shorter targets' })
      const ids = Int32Array.from(tokens)
      ids.forEach(check)
      send(write.inputs.ids, ids)
      send(write.inputs.positions, new Int32Array(rows).fill(position))
      device.run(writeProgram)
      position++
      device.download(at(write.logits), logits)
      return logits
    },
    dispose: () => device.dispose(),
  }
}

/** A source a row; what is left over sees itself alone. */
function layInto(out: { ids: Int32Array; lo: Int32Array; hi: Int32Array }, sources: readonly (readonly number[])[], length: number): void {
  out.ids.fill(0)
  for (let i = 0; i < out.ids.length; i++) {
    out.lo[i] = i % length
    out.hi[i] = (i % length) + 1
  }
  sources.forEach((source, row) => {
    const count = Math.min(length, source.length)
    if (count === 0) throw new SluiceError('SLUICE_MODEL_PROMPT', 'a source has no tokens', { fix: 'give at least its end token' })
    out.ids.set(source.slice(0, count), row * length)
    out.lo.fill(0, row * length, row * length + count)
    out.hi.fill(count, row * length, row * length + count)
  })
}
