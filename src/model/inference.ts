// A decoder that goes on with texts: several at once, each in a row of a cache that keeps the keys and values of its tokens.
// New tokens join many at a time, as in training, or one by one. Weights come from a trainable or a checkpoint and are copied.

import { SluiceError } from '../core/errors.ts'
import { cpuArenaStart, createCpuDevice } from '../tensor/cpu/cpu-device.ts'
import { addresses, placeActivations, placePersistent } from '../tensor/plan.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { DecoderConfig, EncoderDecoderConfig } from './config.ts'
import { traceDecoding } from './decoder.ts'
import { capLogits, logitSoftcap } from './trace.ts'
import type { Trainable } from './trainable.ts'
import { uploadWeights, type Weights } from './weights.ts'

/** A model that writes: `rows` texts at once, each in a row of its own. */
export interface Inference {
  readonly config: DecoderConfig | EncoderDecoderConfig
  readonly rows: number
  /** Tokens that a row has room for. */
  readonly context: number
  /** Tokens that each row has. */
  readonly positions: readonly number[]
  /**
   * Appends tokens to each row, any number, and returns the logits after the last one of each row: f32[rows, vocabulary],
   * borrowed until the next call. Rows without new tokens keep theirs.
   *
   * @throws SluiceError SLUICE_MODEL_CONTEXT where a row has no room for them, SLUICE_MODEL_TOKEN where the model has no such token
   */
  next(tokens: readonly (readonly number[])[]): Float32Array
  /**
   * Empties a row for a new text, and returns the tokens that the text begins with, to be fed first: of a decoder the prompt
   * itself; an encoder-decoder reads the prompt as its source, and begins with its start token.
   *
   * @throws SluiceError SLUICE_MODEL_TOKEN where the model has no such token
   */
  begin(row: number, prompt: readonly number[]): readonly number[]
  /** Forgets the tokens of a row; its source stays. */
  reset(row: number): void
  dispose(): Promise<void>
}

export interface InferenceOptions {
  /** Texts at once. */
  readonly rows?: number
  /** Tokens that a text may have; default the model's context. */
  readonly context?: number
  readonly threads?: number
}

/** Tokens a row that join at once: the fewest that are enough, or the most there is. */
const LENGTHS = [1, 4, 8, 16, 32, 64, 96, 128]

/** @throws SluiceError SLUICE_MODEL_ARCHITECTURE where the model is no decoder, SLUICE_MODEL_PARAMETER where a weight is missing or has another size */
export async function createInference(source: Trainable | Weights, options: InferenceOptions = {}): Promise<Inference> {
  const { config } = source
  if (config.architecture !== 'decoder')
    throw new SluiceError('SLUICE_MODEL_ARCHITECTURE', `a model of architecture ${config.architecture} does not go on with a text`, {
      fix: 'give a decoder or an encoder-decoder; what an encoder knows of texts, sluice predict tells',
    })
  const { rows = 1, threads = 1 } = options
  assertRows(rows)
  const context = Math.min(options.context ?? config.contextLength, config.contextLength)
  const { graph, parameters, constants, parts } = traceDecoding(config, { rows, context, lengths: LENGTHS })
  const persistent = placePersistent(graph.tensors, cpuArenaStart)
  const plans = parts.map(({ records, logits }) => placeActivations(records, new Set([logits]), persistent.endBytes))
  const arenaBytes = Math.max(...plans.map(({ endBytes }) => endBytes)) - cpuArenaStart
  await using unfinished = new AsyncDisposableStack() // what a refusal from here on takes down
  const device = unfinished.adopt(await createCpuDevice({ arenaBytes, threads, records: graph.records }), (made) => made.dispose())
  const kept = addresses(persistent)
  uploadWeights(device, parameters, kept, source)
  for (const { tensor, values } of constants) device.upload(kept(tensor), values())

  const programs = parts.map((part, i) => {
    const at = addresses(persistent, plans[i])
    return { ...part, program: device.compile(part.records, at), logitsAt: at(part.logits) }
  })
  const V = config.vocabularySize
  const softcap = logitSoftcap(config)
  const made = new Float32Array(rows * V)
  const logits = new Float32Array(rows * V)
  const positions = new Array<number>(rows).fill(0)

  /** One program over the next tokens of each row, from `fed` on. Padding lies behind a row's end, where nothing looks yet. */
  function advance(tokens: readonly (readonly number[])[], fed: number[], longest: number): void {
    const { length, inputs, program, logitsAt } = programs.find((part) => part.length >= longest) ?? programs[programs.length - 1]
    const ids = new Int32Array(rows * length)
    const places = new Int32Array(rows * length)
    const picked = new Int32Array(rows)
    tokens.forEach((own, row) => {
      const part = own.slice(fed[row], fed[row] + length)
      ids.set(part, row * length)
      for (let t = 0; t < length; t++) places[row * length + t] = Math.min(positions[row] + t, context - 1)
      picked[row] = row * length + Math.max(0, part.length - 1)
    })
    const send = (tensor: Tensor | undefined, values: Int32Array) => tensor && device.upload(kept(tensor), values)
    send(inputs.ids, ids)
    send(inputs.positions, places)
    send(inputs.starts, Int32Array.from(positions))
    send(inputs.picked, picked)
    device.run(program)
    device.download(logitsAt, made)
    tokens.forEach((own, row) => {
      const count = Math.min(length, own.length - fed[row])
      fed[row] += count
      positions[row] += count
      if (count === 0 || fed[row] < own.length) return
      logits.set(made.subarray(row * V, (row + 1) * V), row * V)
      capLogits(logits.subarray(row * V, (row + 1) * V), softcap)
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
      const fed = new Array<number>(rows).fill(0)
      for (;;) {
        const longest = Math.max(...tokens.map((own, row) => own.length - fed[row]))
        if (longest === 0) return logits
        advance(tokens, fed, longest)
      }
    },
    begin(row, prompt) {
      if (!(row in positions)) throw new RangeError(`no row ${row} among ${rows}`)
      positions[row] = 0
      return prompt
    },
    reset(row) {
      positions[row] = 0
    },
    dispose: () => device.dispose(),
  }
}

export function assertRows(rows: number): void {
  if (!(Number.isInteger(rows) && rows >= 1)) throw new RangeError(`a model writes a whole number of rows from 1, got ${rows}`)
}

/** @throws SluiceError SLUICE_MODEL_CONTEXT where a row has no room for its tokens, SLUICE_MODEL_TOKEN */
export function checkTokens(
  tokens: readonly (readonly number[])[],
  { positions, context, vocabularySize }: { positions: readonly number[]; context: number; vocabularySize: number },
): void {
  if (tokens.length !== positions.length) throw new RangeError(`tokens for ${tokens.length} rows, there are ${positions.length}`)
  tokens.forEach((own, row) => {
    if (positions[row] + own.length > context)
      throw new SluiceError('SLUICE_MODEL_CONTEXT', `${positions[row] + own.length} tokens exceed the context of ${context}`, {
        fix: 'reset the row and feed less',
      })
    for (const token of own) checkToken(token, vocabularySize)
  })
}

/** @throws SluiceError SLUICE_MODEL_TOKEN */
export function checkToken(token: number, vocabularySize: number): void {
  if (Number.isInteger(token) && token >= 0 && token < vocabularySize) return
  throw new SluiceError('SLUICE_MODEL_TOKEN', `token ${token} is not in the vocabulary of ${vocabularySize}`, {
    fix: 'encode with the tokenizer that the model was trained with',
  })
}
