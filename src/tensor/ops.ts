// What a model is written with: one function an operation, which records it on the tape and returns its result. What each
// computes stands in operations.ts.

import type { Graph } from './graph.ts'
import { ACTIVATIONS, type Activation } from './operations.ts'
import type { Tensor } from './tensor.ts'

export function linear(graph: Graph, x: Tensor, w: Tensor, b?: Tensor, inOut = false): Tensor {
  return graph.apply('linear', b ? { x, w, b } : { x, w }, { inOut: Number(inOut) }).y
}

export function embedding(graph: Graph, ids: Tensor, w: Tensor): Tensor {
  return graph.apply('embedding', { ids, w }).y
}

export function rmsNorm(graph: Graph, x: Tensor, w: Tensor, epsilon: number): Tensor {
  return graph.apply('norm', { x, w }, { centred: 0, epsilon }).y
}

export function layerNorm(graph: Graph, x: Tensor, w: Tensor, b: Tensor | undefined, epsilon: number): Tensor {
  return graph.apply('norm', b ? { x, w, b } : { x, w }, { centred: 1, epsilon }).y
}

/** @param tables cosines and sines, f32[positions, D/2] */
export function rope(
  graph: Graph,
  x: Tensor,
  positions: Tensor,
  tables: { cosines: Tensor; sines: Tensor },
  shape: { heads: number; headSize: number },
): Tensor {
  return graph.apply('rope', { x, positions, ...tables }, { ...shape }).y
}

export interface HeadShape {
  readonly heads: number
  readonly kvHeads: number
  readonly headSize: number
}

/** Beyond the heads: what a query sees, and how its scores are made. */
export interface AttentionShape extends HeadShape {
  /** Positions of a row. */
  readonly length: number
  readonly causal: boolean
  /** Distance below which positions see each other; 0: any. */
  readonly window?: number
  /** c of c·tanh(score / c); 0: none. */
  readonly softcap?: number
  /** What products of query and key are multiplied with; 1/√headSize where absent. */
  readonly scale?: number
}

function attentionAttributes({
  heads,
  kvHeads,
  headSize,
  length,
  causal,
  window = 0,
  softcap = 0,
  scale = headSize ** -0.5,
}: AttentionShape) {
  return { heads, kvHeads, headSize, length, scale, causal: Number(causal), window, softcap }
}

/**
 * @param lo first position that each position sees, i32[rows·length]
 * @param hi first that it does not see, where attention is not causal
 * @param bias f32[heads, 2·length − 1], by key − query + length − 1
 */
export function attention(
  graph: Graph,
  qkv: Tensor,
  { lo, hi, bias }: { lo: Tensor; hi?: Tensor; bias?: Tensor },
  shape: AttentionShape,
): Tensor {
  if (!shape.causal && !hi) throw new TypeError('attention that is not causal needs hi')
  const reads = { qkv, lo, ...(hi && !shape.causal ? { hi } : {}), ...(bias ? { bias } : {}) }
  return graph.apply('attention', reads, attentionAttributes(shape)).y
}

/**
 * @param kv f32[rows·keyLength, 2·kvHeads·headSize], keys then values
 * @param range lo ≤ key < hi of each query, i32[rows·length]
 * @param bias f32[heads, length + keyLength − 1], by key − query + length − 1
 */
export function crossAttention(
  graph: Graph,
  q: Tensor,
  kv: Tensor,
  { lo, hi, bias }: { lo: Tensor; hi: Tensor; bias?: Tensor },
  shape: Omit<AttentionShape, 'causal' | 'window'> & { keyLength: number },
): Tensor {
  const attributes = { ...attentionAttributes({ ...shape, causal: false }), keyLength: shape.keyLength }
  return graph.apply('cross_attention', bias ? { q, kv, lo, hi, bias } : { q, kv, lo, hi }, attributes).y
}

/**
 * @param cache keys and values, f32[rows·context, kvHeads·headSize], and how many positions each row has, i32[rows]
 * @param shape length: tokens a row that join at once, default 1
 */
export function attentionCached(
  graph: Graph,
  qkv: Tensor,
  { keys, values, position, bias }: { keys: Tensor; values: Tensor; position: Tensor; bias?: Tensor },
  shape: Omit<AttentionShape, 'causal' | 'length'> & { length?: number },
): Tensor {
  const reads = { qkv, keys, values, position, ...(bias ? { bias } : {}) }
  return graph.apply('attention_cached', reads, attentionAttributes({ ...shape, length: shape.length ?? 1, causal: true })).y
}

/**
 * The bias of attention by T5's buckets of distances.
 *
 * @param w f32[buckets, heads]
 * @param maxDistance distances from here on share the last bucket
 */
export function relativeBias(
  graph: Graph,
  w: Tensor,
  shape: { length: number; keyLength: number; maxDistance: number; bidirectional: boolean },
): Tensor {
  return graph.apply('relative_bias', { w }, { ...shape, bidirectional: Number(shape.bidirectional) }).y
}

export function headNorm(graph: Graph, qkv: Tensor, wq: Tensor, wk: Tensor, shape: HeadShape & { epsilon: number }): Tensor {
  return graph.apply('head_norm', { qkv, wq, wk }, { ...shape }).y
}

export function activation(graph: Graph, x: Tensor, kind: Activation): Tensor {
  return graph.apply('activation', { x }, { kind: ACTIVATIONS.indexOf(kind) }).y
}

/** @param x f32[…, 2F], gates and then what they let through */
export function gated(graph: Graph, x: Tensor, kind: Activation): Tensor {
  return graph.apply('gated', { x }, { kind: ACTIVATIONS.indexOf(kind) }).y
}

export function scale(graph: Graph, x: Tensor, factor: number): Tensor {
  return graph.apply('scale', { x }, { factor }).y
}

export function add(graph: Graph, a: Tensor, b: Tensor): Tensor {
  return graph.apply('add', { a, b }).y
}

/** Floats of logits that exist at one time: 16 MiB, small enough for a last-level cache. */
const LOGIT_FLOATS = 1 << 22
/** Below this many tokens a chunk, reading the head's weights again would cost more than the cache gains. */
const MINIMUM_CHUNK = 256

export interface HeadLossOptions {
  /** c of c·tanh(logit / c). */
  readonly softcap?: number
  /** Weight of the squared logarithm of the softmax's denominator. */
  readonly zLoss?: number
  /** Share of each target that is spread over all classes. */
  readonly labelSmoothing?: number
}

/**
 * @param head what makes logits of x: f32[V, C] and f32[V]
 * @param targets i32[N], negative where there is none
 * @param scale f32[1], what the losses are multiplied with before gradients are taken
 */
export function headLoss(
  graph: Graph,
  x: Tensor,
  { w, b }: { w: Tensor; b?: Tensor },
  { targets, scale }: { targets: Tensor; scale: Tensor },
  { softcap = 0, zLoss = 0, labelSmoothing = 0 }: HeadLossOptions = {},
): Tensor {
  const chunk = Math.max(MINIMUM_CHUNK, Math.floor(LOGIT_FLOATS / w.shape[0]))
  const attributes = { chunk, softcap, zLoss, smoothing: labelSmoothing }
  return graph.apply('head_loss', { x, w, ...(b ? { b } : {}), targets, scale }, attributes).y
}
