// From a batch to the inputs of a tape: checked, and padded to the shape that was planned for. What a batch lacks becomes
// tokens that see themselves alone and have no target.

import { SluiceError, type Where } from '../core/errors.ts'
import type { InputArrays } from '../tensor/device.ts'
import { elements } from '../tensor/shape.ts'
import type { Batch, PairBatch, PickedBatch, TokenBatch } from './batch.ts'
import type { ModelConfig } from './config.ts'
import type { Trunk } from './layers.ts'

export interface BatchLoader {
  /**
   * Fills the arrays of a tape's inputs and of `targets`, every element of them, and returns how many targets there are.
   *
   * @throws SluiceError SLUICE_MODEL_BATCH where the batch is of another architecture or too large, or a value is out of range
   */
  load(batch: Batch, arrays: InputArrays): number
}

interface Shape {
  readonly rows: number
  readonly length: number
}

/** A loader for the inputs of a tape that was planned for so many rows. */
export function batchLoader(config: ModelConfig, { inputs }: Pick<Trunk, 'inputs'>, rows: number): BatchLoader {
  const lengthOf = (name: string) => elements(inputs[name].shape) / rows
  const length = lengthOf('ids')
  return {
    load(batch, arrays) {
      if (config.architecture === 'decoder' && batch.kind === 'tokens') return loadTokens(batch, { rows, length }, config, arrays)
      if (config.architecture === 'encoder' && batch.kind === 'picked')
        return loadPicked(batch, { rows, length }, { ...config, outputs: config.labels || config.vocabularySize }, arrays)
      if (config.architecture === 'encoder-decoder' && batch.kind === 'pairs')
        return loadPairs(batch, { rows, length, sourceLength: lengthOf('sourceIds') }, config, arrays)
      throw refusal(`a model of architecture ${config.architecture} cannot read a batch of ${batch.kind}`, undefined, {
        fix: 'decoders read tokens, encoders picked positions, encoder-decoders pairs',
      })
    },
  }
}

/** Arrays for a loader to fill. */
export function inputArrays({ inputs, read }: Pick<Trunk, 'inputs' | 'read'>): InputArrays {
  const arrays = Object.entries(inputs).map(([name, { shape }]) => [name, new Int32Array(elements(shape))] as const)
  return Object.fromEntries([...arrays, ['targets', new Int32Array(read.shape[0])]])
}

/** Calls back for every planned position, with its place in the batch or −1. */
function eachPosition(batch: Shape, plan: Shape, body: (to: number, from: number, position: number, row: number) => void): void {
  if (batch.rows > plan.rows || batch.length > plan.length)
    throw refusal(`a batch of ${batch.rows} × ${batch.length} exceeds the planned ${plan.rows} × ${plan.length}`, undefined, {
      fix: 'create the model for the largest batch',
    })
  for (let row = 0; row < plan.rows; row++)
    for (let t = 0; t < plan.length; t++)
      body(row * plan.length + t, row < batch.rows && t < batch.length ? row * batch.length + t : -1, t, row)
}

function loadTokens(batch: TokenBatch, plan: Shape, { vocabularySize }: { vocabularySize: number }, out: InputArrays): number {
  let count = 0
  eachPosition(batch, plan, (to, from, t, row) => {
    const id = from < 0 ? 0 : batch.ids[from]
    const target = from < 0 ? -1 : batch.targets[from]
    const lo = from < 0 ? t : batch.lo[from]
    if (!(id >= 0 && id < vocabularySize && target < vocabularySize && lo >= 0 && lo <= t))
      throw refusal(`token ${id}, target ${target} or first visible position ${lo} is out of range`, { row, position: t, vocabularySize })
    out.ids[to] = id
    out.targets[to] = target
    out.lo[to] = lo
    out.positions[to] = t - lo
    if (target >= 0) count++
  })
  return count
}

interface EncoderLimits {
  readonly vocabularySize: number
  readonly tokenTypes: number
  /** Tokens, or labels. */
  readonly outputs: number
}

function loadPicked(batch: PickedBatch, plan: Shape, limits: EncoderLimits, out: InputArrays): number {
  const { vocabularySize, tokenTypes, outputs } = limits
  eachPosition(batch, plan, (to, from, t, row) => {
    const id = from < 0 ? 0 : batch.ids[from]
    const type = from < 0 || !batch.types ? 0 : batch.types[from]
    const lo = from < 0 ? t : batch.lo[from]
    const hi = from < 0 ? t + 1 : batch.hi[from]
    const isKnown = id >= 0 && id < vocabularySize && type >= 0 && type < Math.max(1, tokenTypes)
    if (!(isKnown && lo >= 0 && lo <= t && hi > t && (from < 0 || hi <= batch.length)))
      throw refusal(`token ${id}, type ${type} or visible positions ${lo} to ${hi} are out of range`, {
        row,
        position: t,
        vocabularySize,
        tokenTypes,
      })
    out.ids[to] = id
    out.lo[to] = lo
    out.hi[to] = hi
    out.positions[to] = t - lo
    if (tokenTypes > 0) out.types[to] = type
  })
  if (batch.picked.length > out.picked.length)
    throw refusal(`${batch.picked.length} picked positions exceed the planned ${out.picked.length}`, undefined, {
      fix: 'create the model with more picks, or pick fewer positions',
    })
  out.picked.fill(0)
  out.targets.fill(-1)
  let count = 0
  for (let i = 0; i < batch.picked.length; i++) {
    const place = batch.picked[i]
    const target = batch.targets[i]
    if (!(place >= 0 && place < batch.rows * batch.length && target < outputs))
      throw refusal(`picked position ${place} or target ${target} is out of range`, {
        pick: i,
        positions: batch.rows * batch.length,
        outputs,
      })
    out.picked[i] = Math.floor(place / batch.length) * plan.length + (place % batch.length)
    out.targets[i] = target
    if (target >= 0) count++
  }
  return count
}

function loadPairs(
  { rows, source, target }: PairBatch,
  plan: Shape & { readonly sourceLength: number },
  { vocabularySize }: { readonly vocabularySize: number },
  out: InputArrays,
): number {
  eachPosition({ rows, length: source.length }, { rows: plan.rows, length: plan.sourceLength }, (to, from, t, row) => {
    const id = from < 0 ? 0 : source.ids[from]
    const lo = from < 0 ? t : source.lo[from]
    const hi = from < 0 ? t + 1 : source.hi[from]
    if (!(id >= 0 && id < vocabularySize && lo >= 0 && lo <= t && hi > t && (from < 0 || hi <= source.length)))
      throw refusal(`source token ${id} or visible positions ${lo} to ${hi} are out of range`, { row, position: t, vocabularySize })
    out.sourceIds[to] = id
    out.sourceLo[to] = lo
    out.sourceHi[to] = hi
  })
  let count = 0
  eachPosition({ rows, length: target.length }, plan, (to, from, t, row) => {
    const id = from < 0 ? 0 : target.ids[from]
    const wanted = from < 0 ? -1 : target.targets[from]
    const lo = from < 0 ? t : target.lo[from]
    const crossLo = from < 0 ? 0 : target.crossLo[from]
    const crossHi = from < 0 ? 1 : target.crossHi[from]
    if (!(id >= 0 && id < vocabularySize && wanted < vocabularySize && lo >= 0 && lo <= t))
      throw refusal(`token ${id}, target ${wanted} or first visible position ${lo} is out of range`, { row, position: t, vocabularySize })
    if (!(crossLo >= 0 && crossLo < crossHi && (from < 0 || crossHi <= source.length)))
      throw refusal(`source positions ${crossLo} to ${crossHi} are out of range`, { row, position: t, sourceLength: source.length })
    out.ids[to] = id
    out.targets[to] = wanted
    out.lo[to] = lo
    out.crossLo[to] = crossLo
    out.crossHi[to] = crossHi
    if (wanted >= 0) count++
  })
  return count
}

function refusal(
  message: string,
  where: Where | undefined,
  { fix = 'tokenize with the tokenizer whose vocabulary size the model has' } = {},
) {
  return new SluiceError('SLUICE_MODEL_BATCH', message, { where, fix })
}
