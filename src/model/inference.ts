// A model that only predicts: one token at a time, with keys and values of the earlier ones kept. Weights come from a
// trainable or a checkpoint and are copied.

import { SluiceError } from '../core/errors.ts'
import { cpuArenaStart, createCpuDevice } from '../tensor/cpu/cpu-device.ts'
import { addresses, placeActivations, placePersistent } from '../tensor/plan.ts'
import type { ModelConfig } from './config.ts'
import { traceDecoding } from './decoder.ts'
import type { Trainable } from './trainable.ts'
import { uploadWeights, type Weights } from './weights.ts'

export interface Inference {
  readonly config: ModelConfig
  /** Tokens in the cache. */
  readonly position: number
  /**
   * Appends a token and returns the logits of the next one: f32[vocabulary], borrowed until the next call.
   *
   * @throws SluiceError SLUICE_MODEL_CONTEXT where the context is full, SLUICE_MODEL_TOKEN where the model has no such token
   */
  next(token: number): Float32Array
  /** Forgets all tokens. */
  reset(): void
  dispose(): Promise<void>
}

/** @throws SluiceError SLUICE_MODEL_PARAMETER where a weight is missing or has another size */
export async function createInference(source: Trainable | Weights, { threads = 1 } = {}): Promise<Inference> {
  const { config } = source
  if (config.architecture !== 'decoder') throw new RangeError(`cannot continue text: ${config.architecture}`)
  const tape = traceDecoding(config, { rows: 1, context: config.contextLength })
  const { graph } = tape
  const persistent = placePersistent(graph.tensors, cpuArenaStart)
  const activations = placeActivations(graph.records, new Set([tape.logits]), persistent.endBytes)
  const device = await createCpuDevice({ arenaBytes: activations.endBytes - cpuArenaStart, threads, records: graph.records })
  const at = addresses(persistent, activations)
  const program = device.compile(graph.records, at)

  uploadWeights(device, tape.parameters, at, source)
  for (const { tensor, values } of tape.constants) device.upload(at(tensor), values())

  const logits = new Float32Array(config.vocabularySize)
  const word = new Int32Array(1)
  const send = (address: number, value: number) => {
    word[0] = value
    device.upload(address, word)
  }
  let position = 0
  return {
    config,
    get position() {
      return position
    },
    next(token) {
      if (position >= config.contextLength)
        throw new SluiceError('SLUICE_MODEL_CONTEXT', `the context of ${config.contextLength} tokens is full`, {
          fix: 'reset and feed less',
        })
      if (!(token >= 0 && token < config.vocabularySize))
        throw new SluiceError('SLUICE_MODEL_TOKEN', `token ${token} is not in the vocabulary of ${config.vocabularySize}`, {
          fix: 'encode with the tokenizer that the model was trained with',
        })
      send(at(tape.inputs.ids), token)
      send(at(tape.inputs.positions), position)
      device.run(program)
      position++
      device.download(at(tape.logits), logits)
      return logits
    },
    reset() {
      position = 0
    },
    dispose: () => device.dispose(),
  }
}
