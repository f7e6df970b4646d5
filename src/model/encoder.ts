// An encoder as a tape: BERT where the norm comes after each part, ModernBERT where it comes before, with the names and shapes
// of their checkpoints. The head looks at picked positions only: it restores masked tokens, or classifies by a first token.

import { Graph } from '../tensor/graph.ts'
import * as ops from '../tensor/ops.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type EncoderConfig, GATED, isGated, windowOf } from './config.ts'
import { AttentionPositions, type Head, headShape, Layers, type Trunk } from './layers.ts'
import { Declarations, type Linear, type Norm, type ParameterBlock } from './parameters.ts'

interface Block {
  /** Absent in a first block that reads the normalized embedding. */
  readonly attentionNorm?: Norm
  readonly qkv: Linear
  readonly out: Linear
  readonly feedForwardNorm: Norm
  readonly up: Linear
  readonly down: Linear
}

interface Parameters {
  readonly blocks: readonly ParameterBlock[]
  readonly embedding: Tensor
  readonly positions?: Tensor
  readonly types?: Tensor
  readonly embeddingNorm: Norm
  readonly layers: readonly Block[]
  readonly norm?: Norm
  /** Between the picked positions and the head. */
  readonly dense: Linear
  /** Absent in BERT's pooler. */
  readonly denseNorm?: Norm
  readonly head: Head
}

/** rows·length tokens at once, of which `picks` go through the head. */
export function traceEncoder(config: EncoderConfig, shape: { rows: number; length: number; picks: number }): Trunk {
  const { length } = shape
  const graph = new Graph()
  const parameters = declareParameters(graph, config)
  const tokens = shape.rows * length
  const integers = (name: string, count: number) => graph.tensor(name, [count], 'input', 'i32')
  const inputs: Record<string, Tensor> = {
    ids: integers('ids', tokens),
    lo: integers('lo', tokens),
    hi: integers('hi', tokens),
    positions: integers('positions', tokens),
    picked: integers('picked', shape.picks),
  }
  if (config.tokenTypes > 0) inputs.types = integers('types', tokens)
  const known = new AttentionPositions(graph, config, length)
  const layers = new Layers(graph, config)
  const heads = headShape(config)

  let x = layers.norm(embed(graph, parameters, inputs), parameters.embeddingNorm)
  parameters.layers.forEach((block, layer) => {
    const window = windowOf(config, layer)
    x = layers.residual(x, block.attentionNorm, (normed) => {
      let qkv = layers.linear(normed, block.qkv)
      const rotary = known.rotary(window > 0)
      if (rotary) qkv = ops.rope(graph, qkv, inputs.positions, rotary, { heads: 2 * heads.heads, headSize: heads.headSize })
      const { lo, hi } = inputs
      return layers.linear(
        ops.attention(graph, qkv, { lo, hi, bias: known.bias() }, { ...heads, length, window, causal: false }),
        block.out,
      )
    })
    x = layers.residual(x, block.feedForwardNorm, (normed) => layers.feedForward(normed, block.up, block.down))
  })
  const hidden = parameters.norm ? layers.norm(x, parameters.norm) : x
  const read = readPicked(graph, config, parameters, ops.embedding(graph, inputs.picked, hidden))
  return { graph, parameters: parameters.blocks, constants: known.constants, inputs, hidden, read, head: parameters.head }
}

function embed(graph: Graph, { embedding, positions, types }: Parameters, inputs: Readonly<Record<string, Tensor>>): Tensor {
  let x = ops.embedding(graph, inputs.ids, embedding)
  if (positions) x = ops.add(graph, x, ops.embedding(graph, inputs.positions, positions))
  if (types) x = ops.add(graph, x, ops.embedding(graph, inputs.types, types))
  return x
}

/** BERT's transform and its pooler, ModernBERT's prediction head. */
function readPicked(graph: Graph, config: EncoderConfig, { dense, denseNorm }: Parameters, picked: Tensor): Tensor {
  const layers = new Layers(graph, config)
  const { activation } = config
  const plain = isGated(activation) ? GATED[activation] : activation
  const y = ops.activation(graph, layers.linear(picked, dense), denseNorm ? plain : 'tanh')
  return denseNorm ? layers.norm(y, denseNorm) : y
}

/** Whether the parameters carry BERT's names: otherwise ModernBERT's. */
export function isBert({ normPlace }: EncoderConfig): boolean {
  return normPlace === 'post'
}

/** As BERT and ModernBERT begin; the latter's projections into the residual stream begin smaller. */
const DEVIATION = 0.02

function declareParameters(graph: Graph, config: EncoderConfig): Parameters {
  const { vocabularySize: V, contextLength, width: C, layers } = config
  const declarations = new Declarations(graph)
  const bert = isBert(config)
  const hasNormBias = config.norm === 'layernorm' && config.biases
  const at = bert ? 'bert.embeddings' : 'model.embeddings'
  const table = (name: string, rows: number) => declarations.table(`${at}.${name}.weight`, [rows, C], DEVIATION)
  const embedding = table(bert ? 'word_embeddings' : 'tok_embeddings', V)
  const positions = config.positions === 'learned' ? table('position_embeddings', contextLength) : undefined
  const types = config.tokenTypes > 0 ? table('token_type_embeddings', config.tokenTypes) : undefined
  const embeddingNorm = declarations.norm(`${at}.${bert ? 'LayerNorm' : 'norm'}`, C, hasNormBias)
  const declareBlock = bert ? declareBertBlock : declareModernBlock
  const blocks = Array.from({ length: layers }, (_, layer) => declareBlock(declarations, config, layer))
  const norm = bert ? undefined : declarations.norm('model.final_norm', C, hasNormBias)
  const end = (config.labels > 0 ? declareClassifier : declareMaskedHead)(declarations, config, embedding)
  return { blocks: declarations.blocks, embedding, positions, types, embeddingNorm, layers: blocks, norm, ...end }
}

function declareBertBlock(declarations: Declarations, config: EncoderConfig, layer: number): Block {
  const { width: C, heads: H, headSize: D, hiddenWidth: F, biases, norm, activation } = config
  const at = `bert.encoder.layer.${layer}`
  const hasNormBias = norm === 'layernorm' && biases
  const linear = (names: readonly string[], inputs: number, output: number) =>
    declarations.linear(
      names.map((name) => `${at}.${name}`),
      inputs,
      names.map(() => output),
      { start: DEVIATION, biases },
    )
  return {
    qkv: linear(['attention.self.query', 'attention.self.key', 'attention.self.value'], C, H * D),
    out: linear(['attention.output.dense'], H * D, C),
    attentionNorm: declarations.norm(`${at}.attention.output.LayerNorm`, C, hasNormBias),
    up: linear(isGated(activation) ? ['intermediate.gate', 'intermediate.dense'] : ['intermediate.dense'], C, F),
    down: linear(['output.dense'], F, C),
    feedForwardNorm: declarations.norm(`${at}.output.LayerNorm`, C, hasNormBias),
  }
}

function declareModernBlock(declarations: Declarations, config: EncoderConfig, layer: number): Block {
  const { width: C, heads: H, headSize: D, hiddenWidth: F, biases, norm, activation } = config
  const at = `model.layers.${layer}`
  const hasNormBias = norm === 'layernorm' && biases
  const linear = (name: string, inputs: number, outputs: number, start: number) =>
    declarations.linear([`${at}.${name}`], inputs, [outputs], { start, biases })
  const residual = DEVIATION / Math.sqrt(2 * config.layers)
  return {
    attentionNorm: layer > 0 ? declarations.norm(`${at}.attn_norm`, C, hasNormBias) : undefined,
    qkv: linear('attn.Wqkv', C, 3 * H * D, DEVIATION),
    out: linear('attn.Wo', H * D, C, residual),
    feedForwardNorm: declarations.norm(`${at}.mlp_norm`, C, hasNormBias),
    up: linear('mlp.Wi', C, isGated(activation) ? 2 * F : F, DEVIATION),
    down: linear('mlp.Wo', F, C, residual),
  }
}

type End = Pick<Parameters, 'dense' | 'denseNorm' | 'head'>

function declareMaskedHead(declarations: Declarations, config: EncoderConfig, embedding: Tensor): End {
  const { vocabularySize: V, width: C, biases, norm, tiedEmbeddings } = config
  const bert = isBert(config)
  const dense = bert ? 'cls.predictions.transform' : 'head'
  const head = bert ? 'cls.predictions' : 'decoder'
  return {
    dense: declarations.linear([`${dense}.dense`], C, [C], { start: DEVIATION, biases, role: 'head' }),
    denseNorm: declarations.norm(`${dense}.${bert ? 'LayerNorm' : 'norm'}`, C, norm === 'layernorm' && biases),
    head: {
      w: tiedEmbeddings ? embedding : declarations.table(bert ? `${head}.decoder.weight` : `${head}.weight`, [V, C], DEVIATION, 'head'),
      b: declarations.table(`${head}.bias`, [V], 0, 'vector'),
    },
  }
}

/** BERT reads its first token through a pooler, ModernBERT through its prediction head. */
function declareClassifier(declarations: Declarations, config: EncoderConfig): End {
  const { width: C, labels, biases, norm } = config
  const bert = isBert(config)
  return {
    dense: declarations.linear([bert ? 'bert.pooler.dense' : 'head.dense'], C, [C], { start: DEVIATION, biases, role: 'head' }),
    denseNorm: bert ? undefined : declarations.norm('head.norm', C, norm === 'layernorm' && biases),
    head: declarations.linear(['classifier'], C, [labels], { start: DEVIATION, biases: true, role: 'head' }),
  }
}
