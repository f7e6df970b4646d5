// Operations as models call them.

export {
  activation,
  add,
  attention,
  attentionCached,
  crossAttention,
  embedding,
  gated,
  type HeadShape,
  headLoss,
  headNorm,
  layerNorm,
  linear,
  relativeBias,
  rmsNorm,
  rope,
  scale,
} from '../tensor/ops.ts'
