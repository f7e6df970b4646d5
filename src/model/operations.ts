// Operations as models will call them; what the table does not have yet is refused.

import type { Graph } from '../tensor/graph.ts'
import { ACTIVATIONS } from '../tensor/operations.ts'
import * as ops from '../tensor/ops.ts'
import type { Tensor } from '../tensor/tensor.ts'

export type { HeadShape } from '../tensor/ops.ts'
export { add, embedding, layerNorm, linear, rmsNorm, rope } from '../tensor/ops.ts'

interface AttentionShape extends ops.HeadShape {
  readonly length: number
  readonly causal: boolean
  readonly window?: number
  readonly softcap?: number
  readonly scale?: number
}

export function attention(
  graph: Graph,
  qkv: Tensor,
  { lo, hi, bias }: { lo: Tensor; hi?: Tensor; bias?: Tensor },
  shape: AttentionShape,
): Tensor {
  if (hi || bias || shape.window || shape.softcap || shape.scale || !shape.causal) throw new RangeError('attention: not yet')
  const { heads, kvHeads, headSize, length } = shape
  return ops.attention(graph, qkv, lo, { heads, kvHeads, headSize, length })
}

export function attentionCached(
  graph: Graph,
  qkv: Tensor,
  { keys, values, position, bias }: { keys: Tensor; values: Tensor; position: Tensor; bias?: Tensor },
  shape: ops.HeadShape & { window?: number; softcap?: number; scale?: number },
): Tensor {
  if (bias || shape.window || shape.softcap || shape.scale) throw new RangeError('attentionCached: not yet')
  const { heads, kvHeads, headSize } = shape
  return ops.attentionCached(graph, qkv, { keys, values, position }, { heads, kvHeads, headSize })
}

export function crossAttention(
  _graph: Graph,
  _q: Tensor,
  _kv: Tensor,
  _range: { lo: Tensor; hi: Tensor },
  _shape: ops.HeadShape & { length: number; keyLength: number; scale?: number },
): Tensor {
  throw new RangeError('crossAttention: not yet')
}

export function relativeBias(
  _graph: Graph,
  _w: Tensor,
  _shape: { length: number; keyLength: number; maxDistance: number; bidirectional: boolean },
): Tensor {
  throw new RangeError('relativeBias: not yet')
}

export function headNorm(_graph: Graph, _qkv: Tensor, _wq: Tensor, _wk: Tensor, _shape: ops.HeadShape & { epsilon: number }): Tensor {
  throw new RangeError('headNorm: not yet')
}

export function scale(_graph: Graph, _x: Tensor, _factor: number): Tensor {
  throw new RangeError('scale: not yet')
}

export function gated(graph: Graph, x: Tensor, kind: 'silu' | 'gelu' | 'gelu_tanh' | 'relu'): Tensor {
  if (kind !== 'silu') throw new RangeError(`gated ${kind}: not yet`)
  return ops.swiglu(graph, x)
}

export function activation(graph: Graph, x: Tensor, kind: string): Tensor {
  const known = ACTIVATIONS.find((name) => name === kind)
  if (known === undefined) throw new RangeError(`activation ${kind}: not yet`)
  return ops.activation(graph, x, known)
}

export function headLoss(
  graph: Graph,
  x: Tensor,
  { w, b }: { w: Tensor; b?: Tensor },
  { targets, scale: factor }: { targets: Tensor; scale: Tensor },
  { softcap, zLoss, labelSmoothing }: { softcap: number; zLoss: number; labelSmoothing: number },
): Tensor {
  if (b || softcap || zLoss || labelSmoothing) throw new RangeError('headLoss: not yet')
  return ops.headLoss(graph, x, w, targets, factor)
}
