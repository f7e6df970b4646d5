// Operations as models will call them; what the table does not have yet is refused.

import type { Graph } from '../tensor/graph.ts'
import { ACTIVATIONS } from '../tensor/operations.ts'
import * as ops from '../tensor/ops.ts'
import type { Tensor } from '../tensor/tensor.ts'

export type { HeadShape } from '../tensor/ops.ts'
export { add, attention, attentionCached, crossAttention, embedding, layerNorm, linear, rmsNorm, rope } from '../tensor/ops.ts'

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
