// One tiny model of each family, and batches of invented tokens for them, two documents a row.

import type { Batch, PairBatch, PickedBatch, TokenBatch } from '../../src/model/batch.ts'
import { type DecoderOptions, type EncoderConfig, type ModelConfig, type ModelOptions, modelConfig } from '../../src/model/config.ts'
import { uniform } from '../../src/tensor/rng.ts'

const tiny = { vocabularySize: 23, contextLength: 12, layers: 2, width: 16, heads: 4 }
const gpt2: DecoderOptions = { ...tiny, norm: 'layernorm', positions: 'learned', activation: 'gelu_tanh', biases: true }
const bert: ModelOptions = {
  ...tiny,
  architecture: 'encoder',
  normPlace: 'post',
  positions: 'learned',
  tokenTypes: 2,
  activation: 'gelu',
  biases: true,
}
const modernBert: ModelOptions = { ...tiny, architecture: 'encoder', layers: 3, windows: [0, 3], ropeTheta: 1000, localRopeTheta: 100 }
const t5: ModelOptions = { ...tiny, architecture: 'encoder-decoder', headSize: 8, buckets: 8, maxDistance: 6, hiddenWidth: 24 }

const options = {
  llama: { ...tiny, kvHeads: 2, tiedEmbeddings: false },
  gpt2,
  'layernorm with rotary positions and relu2': { ...tiny, norm: 'layernorm', activation: 'relu2', biases: true },
  qwen2: { ...tiny, kvHeads: 1, biases: 'qkv' },
  qwen3: { ...tiny, kvHeads: 2, headSize: 6, qkNorm: true },
  'soft-caps and windows': {
    ...tiny,
    windows: [3, 0],
    localRopeTheta: 100,
    attentionSoftcap: 5,
    logitSoftcap: 4,
    activation: 'geglu_tanh',
  },
  'alibi, norms after': { ...tiny, heads: 2, positions: 'alibi', normPlace: 'post', norm: 'layernorm', activation: 'silu' },
  bert,
  'bert that classifies': { ...bert, labels: 3 },
  modernbert: modernBert,
  'modernbert that classifies': { ...modernBert, labels: 3 },
  't5 as first published': { ...t5, activation: 'relu', tiedEmbeddings: true },
  't5 1.1': { ...t5, decoderLayers: 1 },
} satisfies Record<string, ModelOptions>

export const families: ReadonlyMap<string, ModelConfig> = new Map(
  Object.entries(options).map(([name, given]) => [name, modelConfig.parse(given)]),
)

function draws(count: number, limit: number, seed: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => Math.floor(uniform(seed, 0, 0, i) * limit))
}

/** Where the second document of a row begins. */
const cut = (length: number) => Math.ceil(length / 2)
const low = (rows: number, length: number) =>
  Int32Array.from({ length: rows * length }, (_, i) => (i % length < cut(length) ? 0 : cut(length)))
const high = (rows: number, length: number) =>
  Int32Array.from({ length: rows * length }, (_, i) => (i % length < cut(length) ? cut(length) : length))

/** A batch for a model of any architecture; `length` tokens a row of the target side, two more of the source side. */
export function familyBatch(config: ModelConfig, { rows, length }: { rows: number; length: number }, seed = 1): Batch {
  if (config.architecture === 'decoder') return tokenBatch(rows, length, config.vocabularySize, seed)
  if (config.architecture === 'encoder') return pickedBatch(rows, length, config, seed)
  return pairBatch(rows, length, config.vocabularySize, seed)
}

function tokenBatch(rows: number, length: number, vocabularySize: number, seed: number): TokenBatch {
  const ids = draws(rows * length, vocabularySize, seed)
  const targets = ids.map((_, i) => (i % length === length - 1 ? -1 : ids[i + 1]))
  return { kind: 'tokens', rows, length, ids, targets, lo: low(rows, length) }
}

/** Every other position is picked, and one more has no target. */
function pickedBatch(rows: number, length: number, config: EncoderConfig, seed: number): PickedBatch {
  const picked = Int32Array.from({ length: Math.floor((rows * length) / 2) }, (_, i) => 2 * i)
  const targets = draws(picked.length, config.labels || config.vocabularySize, seed + 1)
  targets[1] = -1
  const types = config.tokenTypes > 0 ? draws(rows * length, config.tokenTypes, seed + 2) : undefined
  const ids = draws(rows * length, config.vocabularySize, seed)
  return { kind: 'picked', rows, length, ids, lo: low(rows, length), hi: high(rows, length), types, picked, targets }
}

function pairBatch(rows: number, length: number, vocabularySize: number, seed: number): PairBatch {
  const sourceLength = length + 2
  const isFirst = (i: number) => i % length < cut(length)
  return {
    kind: 'pairs',
    rows,
    source: {
      length: sourceLength,
      ids: draws(rows * sourceLength, vocabularySize, seed + 1),
      lo: low(rows, sourceLength),
      hi: high(rows, sourceLength),
    },
    target: {
      length,
      ids: draws(rows * length, vocabularySize, seed),
      targets: draws(rows * length, vocabularySize, seed + 2).map((token, i) => (i % length === 1 ? -1 : token)),
      lo: low(rows, length),
      crossLo: Int32Array.from({ length: rows * length }, (_, i) => (isFirst(i) ? 0 : cut(sourceLength))),
      crossHi: Int32Array.from({ length: rows * length }, (_, i) => (isFirst(i) ? cut(sourceLength) : sourceLength)),
    },
  }
}

/** The shape that a `familyBatch` needs. */
export function familyShape(config: ModelConfig, { rows, length }: { rows: number; length: number }) {
  if (config.architecture === 'encoder-decoder') return { rows, length: length + 2, targetLength: length }
  return config.architecture === 'encoder' ? { rows, length, picks: Math.floor((rows * length) / 2) } : { rows, length }
}

/** Columns from..to of rows of `length`. */
function columns(values: Int32Array, length: number, from: number, to: number): Int32Array {
  return values.filter((_, i) => i % length >= from && i % length < to)
}

/** The two documents of each row of a `familyBatch` as batches of their own: the first ones, and the second ones. */
export function separated(batch: Batch): Batch[] {
  const length = batch.kind === 'pairs' ? batch.target.length : batch.length
  return [
    [0, cut(length)],
    [cut(length), length],
  ].map(([from, to]) => {
    const take = (values: Int32Array) => columns(values, length, from, to)
    const moved = (values: Int32Array, by: number) => values.map((value) => value - by)
    const size = { rows: batch.rows, length: to - from }
    if (batch.kind === 'tokens') {
      const targets = take(batch.targets)
      return { ...batch, ...size, ids: take(batch.ids), targets, lo: moved(take(batch.lo), from) }
    }
    if (batch.kind === 'picked') {
      const kept = [...batch.picked.keys()].filter((i) => batch.picked[i] % length >= from && batch.picked[i] % length < to)
      return {
        ...batch,
        ...size,
        ids: take(batch.ids),
        types: batch.types && take(batch.types),
        lo: moved(take(batch.lo), from),
        hi: moved(take(batch.hi), from),
        picked: Int32Array.from(kept, (i) => Math.floor(batch.picked[i] / length) * size.length + (batch.picked[i] % length) - from),
        targets: Int32Array.from(kept, (i) => batch.targets[i]),
      }
    }
    const { source, target } = batch
    const [start, end] = from === 0 ? [0, cut(source.length)] : [cut(source.length), source.length]
    const read = (values: Int32Array) => columns(values, source.length, start, end)
    return {
      ...batch,
      source: { length: end - start, ids: read(source.ids), lo: moved(read(source.lo), start), hi: moved(read(source.hi), start) },
      target: {
        length: size.length,
        ids: take(target.ids),
        targets: take(target.targets),
        lo: moved(take(target.lo), from),
        crossLo: moved(take(target.crossLo), start),
        crossHi: moved(take(target.crossHi), start),
      },
    }
  })
}
