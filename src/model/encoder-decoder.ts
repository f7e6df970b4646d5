// An encoder-decoder as a tape: T5 (Raffel et al. 2020) and its version 1.1, with the names and shapes of their checkpoints.
// Positions are relative: one table of buckets a side, which all blocks share. Scores are not divided by √d.

import { Graph, type OpRecord } from '../tensor/graph.ts'
import * as ops from '../tensor/ops.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type EncoderDecoderConfig, isGated } from './config.ts'
import { headShape, Layers, type Trunk } from './layers.ts'
import { Declarations, type Linear, type Norm, type ParameterBlock } from './parameters.ts'

interface Attention {
  readonly norm: Norm
  readonly qkv: Linear
  readonly out: Linear
}
interface CrossAttention {
  readonly norm: Norm
  readonly q: Linear
  readonly kv: Linear
  readonly out: Linear
}
interface FeedForward {
  readonly norm: Norm
  readonly up: Linear
  readonly down: Linear
}
interface Side<B> {
  /** [buckets, heads] */
  readonly bias: Tensor
  readonly layers: readonly B[]
  readonly norm: Norm
}
interface EncoderBlock {
  readonly attention: Attention
  readonly feedForward: FeedForward
}
interface DecoderBlock extends EncoderBlock {
  readonly cross: CrossAttention
}
interface Parameters {
  readonly blocks: readonly ParameterBlock[]
  readonly embedding: Tensor
  readonly encoder: Side<EncoderBlock>
  readonly decoder: Side<DecoderBlock>
  readonly head: Tensor
}

/** rows of `length` source and `targetLength` target tokens. */
export function traceEncoderDecoder(
  config: EncoderDecoderConfig,
  { rows, length, targetLength }: { rows: number; length: number; targetLength: number },
): Trunk {
  const graph = new Graph()
  const parameters = declareParameters(graph, config)
  const integers = (name: string, count: number) => graph.tensor(name, [count], 'input', 'i32')
  const source = rows * length
  const target = rows * targetLength
  const inputs = {
    sourceIds: integers('source ids', source),
    sourceLo: integers('source lo', source),
    sourceHi: integers('source hi', source),
    ids: integers('ids', target),
    lo: integers('lo', target),
    crossLo: integers('cross lo', target),
    crossHi: integers('cross hi', target),
  }
  const { sourceIds, sourceLo, sourceHi, ids, lo, crossLo, crossHi } = inputs
  const encoded = traceEncoderSide(graph, config, parameters, { ids: sourceIds, lo: sourceLo, hi: sourceHi, length })
  const layers = layersOf(graph, config)
  const heads = { ...headShape(config), scale: 1 }
  const bias = biasOf(graph, config, parameters.decoder.bias, targetLength, false)
  let x = ops.embedding(graph, ids, parameters.embedding)
  for (const { attention, cross, feedForward } of parameters.decoder.layers) {
    x = layers.residual(x, attention.norm, (normed) => {
      const shape = { ...heads, length: targetLength, causal: true }
      return layers.linear(ops.attention(graph, layers.linear(normed, attention.qkv), { lo, bias }, shape), attention.out)
    })
    x = layers.residual(x, cross.norm, (normed) => {
      const shape = { ...heads, length: targetLength, keyLength: length }
      const [q, kv] = [layers.linear(normed, cross.q), layers.linear(encoded, cross.kv)]
      return layers.linear(ops.crossAttention(graph, q, kv, { lo: crossLo, hi: crossHi }, shape), cross.out)
    })
    x = layers.residual(x, feedForward.norm, (normed) => layers.feedForward(normed, feedForward.up, feedForward.down))
  }
  const hidden = layers.norm(x, parameters.decoder.norm)
  return {
    graph,
    parameters: parameters.blocks,
    constants: [],
    inputs,
    hidden: encoded,
    read: headInput(graph, config, hidden),
    head: { w: parameters.head },
  }
}

/** Writing step by step: `read` runs once for the source of a row, `write` for a token of each row. One set of parameters. */
export interface SequenceTape {
  readonly graph: Graph
  readonly parameters: readonly ParameterBlock[]
  readonly read: {
    readonly records: readonly OpRecord[]
    readonly inputs: { readonly ids: Tensor; readonly lo: Tensor; readonly hi: Tensor }
    /** What reading leaves for writing: each activation, and the state that it is a row of. */
    readonly memories: readonly { readonly made: Tensor; readonly kept: Tensor }[]
    /** What reading leaves that is the same for all rows. */
    readonly bias: { readonly made: Tensor; readonly kept: Tensor }
  }
  readonly write: {
    readonly records: readonly OpRecord[]
    /** crossLo and crossHi: what each row's source has. */
    readonly inputs: { readonly ids: Tensor; readonly positions: Tensor; readonly crossLo: Tensor; readonly crossHi: Tensor }
    /** [rows, vocabulary] */
    readonly logits: Tensor
  }
}

/** @param shape tokens of a source row, and places of a target row's cache */
export function traceSequences(
  config: EncoderDecoderConfig,
  { rows, length, context }: { rows: number; length: number; context: number },
): SequenceTape {
  const graph = new Graph()
  const parameters = declareParameters(graph, config)
  const layers = layersOf(graph, config)
  const heads = { ...headShape(config), scale: 1 }
  const integers = (name: string, count: number) => graph.tensor(name, [count], 'input', 'i32')
  const read = { ids: integers('source ids', length), lo: integers('source lo', length), hi: integers('source hi', length) }
  const encoded = traceEncoderSide(graph, config, parameters, { ...read, length })
  const keep = (made: Tensor, times: number) => {
    const [first, ...others] = made.shape
    return { made, kept: graph.tensor(`kept ${made.name}`, [times * first, ...others], 'state') }
  }
  const bias = keep(biasOf(graph, config, parameters.decoder.bias, context, false), 1)
  const sources = parameters.decoder.layers.map(({ cross }) => keep(layers.linear(encoded, cross.kv), rows))
  const readRecords = graph.records.slice()

  const write = {
    ids: integers('ids', rows),
    positions: integers('positions', rows),
    crossLo: integers('cross lo', rows),
    crossHi: integers('cross hi', rows),
  }
  let x = ops.embedding(graph, write.ids, parameters.embedding)
  parameters.decoder.layers.forEach(({ attention, cross, feedForward }, layer) => {
    x = layers.residual(x, attention.norm, (normed) => {
      const cacheShape = [rows * context, config.heads * config.headSize]
      const keys = graph.tensor(`keys ${layer}`, cacheShape, 'state')
      const values = graph.tensor(`values ${layer}`, cacheShape, 'state')
      const cache = { keys, values, position: write.positions, bias: bias.kept }
      return layers.linear(ops.attentionCached(graph, layers.linear(normed, attention.qkv), cache, heads), attention.out)
    })
    x = layers.residual(x, cross.norm, (normed) => {
      const seen = { lo: write.crossLo, hi: write.crossHi }
      const shape = { ...heads, length: 1, keyLength: length }
      return layers.linear(ops.crossAttention(graph, layers.linear(normed, cross.q), sources[layer].kept, seen, shape), cross.out)
    })
    x = layers.residual(x, feedForward.norm, (normed) => layers.feedForward(normed, feedForward.up, feedForward.down))
  })
  const logits = ops.linear(graph, headInput(graph, config, layers.norm(x, parameters.decoder.norm)), parameters.head)
  return {
    graph,
    parameters: parameters.blocks,
    read: { records: readRecords, inputs: read, memories: sources, bias },
    write: { records: graph.records.slice(readRecords.length), inputs: write, logits },
  }
}

function traceEncoderSide(
  graph: Graph,
  config: EncoderDecoderConfig,
  { embedding, encoder }: Parameters,
  { ids, lo, hi, length }: { ids: Tensor; lo: Tensor; hi: Tensor; length: number },
): Tensor {
  const layers = layersOf(graph, config)
  const shape = { ...headShape(config), scale: 1, length, causal: false }
  const bias = biasOf(graph, config, encoder.bias, length, true)
  let x = ops.embedding(graph, ids, embedding)
  for (const { attention, feedForward } of encoder.layers) {
    x = layers.residual(x, attention.norm, (normed) =>
      layers.linear(ops.attention(graph, layers.linear(normed, attention.qkv), { lo, hi, bias }, shape), attention.out),
    )
    x = layers.residual(x, feedForward.norm, (normed) => layers.feedForward(normed, feedForward.up, feedForward.down))
  }
  return layers.norm(x, encoder.norm)
}

function layersOf(graph: Graph, { normEpsilon, activation }: EncoderDecoderConfig): Layers {
  return new Layers(graph, { norm: 'rmsnorm', normPlace: 'pre', normEpsilon, activation })
}

function biasOf(graph: Graph, { maxDistance }: EncoderDecoderConfig, w: Tensor, length: number, isBidirectional: boolean): Tensor {
  return ops.relativeBias(graph, w, { length, keyLength: length, maxDistance, bidirectional: isBidirectional })
}

/** A head that shares the embedding's matrix reads a smaller stream, for embeddings begin with deviation 1. */
function headInput(graph: Graph, { tiedEmbeddings, width }: EncoderDecoderConfig, x: Tensor): Tensor {
  return tiedEmbeddings ? ops.scale(graph, x, width ** -0.5) : x
}

/** Deviations are those of T5's released code, but for an untied head, which began with 1: its first losses were in the hundreds. */
function declareParameters(graph: Graph, config: EncoderDecoderConfig): Parameters {
  const { vocabularySize: V, width: C, layers, decoderLayers, tiedEmbeddings } = config
  const declarations = new Declarations(graph)
  const embedding = declarations.table('shared.weight', [V, C], 1)
  const encoder = declareSide(declarations, config, 'encoder', layers, (at, attention) => ({
    attention,
    feedForward: declareFeedForward(declarations, config, `${at}.layer.1`),
  }))
  const decoder = declareSide(declarations, config, 'decoder', decoderLayers, (at, attention) => ({
    attention,
    cross: declareCross(declarations, config, `${at}.layer.1`),
    feedForward: declareFeedForward(declarations, config, `${at}.layer.2`),
  }))
  const head = tiedEmbeddings ? embedding : declarations.table('lm_head.weight', [V, C], C ** -0.5, 'head')
  return { blocks: declarations.blocks, embedding, encoder, decoder, head }
}

function declareSide<B>(
  declarations: Declarations,
  config: EncoderDecoderConfig,
  side: 'encoder' | 'decoder',
  count: number,
  block: (at: string, attention: Attention) => B,
): Side<B> {
  const { width: C, heads: H, buckets } = config
  const bias = declarations.table(`${side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`, [buckets, H], C ** -0.5)
  const layers = Array.from({ length: count }, (_, layer) => {
    const at = `${side}.block.${layer}`
    return block(at, declareAttention(declarations, config, `${at}.layer.0`))
  })
  return { bias, layers, norm: declarations.norm(`${side}.final_layer_norm`, C, false) }
}

function declareAttention(declarations: Declarations, config: EncoderDecoderConfig, at: string): Attention {
  const { width: C, heads: H, headSize: D } = config
  const names = ['q', 'k', 'v'].map((part) => `${at}.SelfAttention.${part}`)
  return {
    norm: declarations.norm(`${at}.layer_norm`, C, false),
    qkv: declarations.linear(names, C, [H * D, H * D, H * D], { start: [(C * D) ** -0.5, C ** -0.5, C ** -0.5] }),
    out: declarations.linear([`${at}.SelfAttention.o`], H * D, [C], { start: (H * D) ** -0.5 }),
  }
}

function declareCross(declarations: Declarations, config: EncoderDecoderConfig, at: string): CrossAttention {
  const { width: C, heads: H, headSize: D } = config
  const name = (part: string) => `${at}.EncDecAttention.${part}`
  return {
    norm: declarations.norm(`${at}.layer_norm`, C, false),
    q: declarations.linear([name('q')], C, [H * D], { start: (C * D) ** -0.5 }),
    kv: declarations.linear([name('k'), name('v')], C, [H * D, H * D], { start: C ** -0.5 }),
    out: declarations.linear([name('o')], H * D, [C], { start: (H * D) ** -0.5 }),
  }
}

function declareFeedForward(declarations: Declarations, config: EncoderDecoderConfig, at: string): FeedForward {
  const { width: C, hiddenWidth: F, activation } = config
  const inside = isGated(activation) ? ['wi_0', 'wi_1'] : ['wi']
  return {
    norm: declarations.norm(`${at}.layer_norm`, C, false),
    up: declarations.linear(
      inside.map((part) => `${at}.DenseReluDense.${part}`),
      C,
      inside.map(() => F),
      { start: C ** -0.5 },
    ),
    down: declarations.linear([`${at}.DenseReluDense.wo`], F, [C], { start: F ** -0.5 }),
  }
}
