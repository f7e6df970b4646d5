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

export function attention(graph: Graph, qkv: Tensor, lo: Tensor, shape: HeadShape & { length: number }): Tensor {
  return graph.apply('attention', { qkv, lo }, { ...shape, scale: shape.headSize ** -0.5 }).y
}

export function attentionCached(
  graph: Graph,
  qkv: Tensor,
  cache: { keys: Tensor; values: Tensor; position: Tensor },
  shape: HeadShape,
): Tensor {
  return graph.apply('attention_cached', { qkv, ...cache }, { ...shape, scale: shape.headSize ** -0.5 }).y
}

export function activation(graph: Graph, x: Tensor, kind: Activation): Tensor {
  return graph.apply('activation', { x }, { kind: ACTIVATIONS.indexOf(kind) }).y
}

export function swiglu(graph: Graph, x: Tensor): Tensor {
  return graph.apply('swiglu', { x }).y
}

export function add(graph: Graph, a: Tensor, b: Tensor): Tensor {
  return graph.apply('add', { a, b }).y
}

/** Floats of logits that exist at one time: 16 MiB, small enough for a last-level cache. */
const LOGIT_FLOATS = 1 << 22
/** Below this many tokens a chunk, reading the head's weights again would cost more than the cache gains. */
const MINIMUM_CHUNK = 256

export function headLoss(graph: Graph, x: Tensor, w: Tensor, targets: Tensor, scale: Tensor): Tensor {
  const chunk = Math.max(MINIMUM_CHUNK, Math.floor(LOGIT_FLOATS / w.shape[0]))
  return graph.apply('head_loss', { x, w, targets, scale }, { chunk }).y
}
