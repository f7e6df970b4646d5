// A decoder-only transformer as a tape: pre-norm residual blocks of attention and feed-forward (Vaswani et al. 2017; Xiong et
// al. 2020 for the place of the norm). Parameters carry the names and shapes of Hugging Face's GPT-2, where the model is one,
// and of its Llama otherwise. Projections that read the same input lie side by side and are one product.

import { Graph } from '../tensor/graph.ts'
import { ACTIVATIONS } from '../tensor/operations.ts'
import * as ops from '../tensor/ops.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type DecoderConfig, isGated } from './config.ts'

/** Matrices that are one tensor; each part is a named range of it. */
export interface ParameterBlock {
  readonly tensor: Tensor
  readonly parts: readonly ParameterPart[]
  readonly start: Start
}

export interface ParameterPart {
  readonly name: string
  readonly shape: readonly number[]
  /** First element within the block. */
  readonly offset: number
}

/** What the parameters of a block begin as; `residual` ones write into the residual stream. */
export type Start = 'normal' | 'residual' | 'ones' | 'zeros'

interface Linear {
  w: Tensor
  b?: Tensor
  inOut: boolean
}
interface Norm {
  w: Tensor
  b?: Tensor
}
interface Block {
  attentionNorm: Norm
  qkv: Linear
  out: Linear
  feedForwardNorm: Norm
  up: Linear
  down: Linear
}
interface Parameters {
  blocks: ParameterBlock[]
  embedding: Tensor
  positions?: Tensor
  layers: Block[]
  norm: Norm
  head: Tensor
}

export interface TrainingTape {
  readonly graph: Graph
  readonly parameters: readonly ParameterBlock[]
  readonly ids: Tensor
  readonly targets: Tensor
  readonly lo: Tensor
  readonly positions: Tensor
  /** f32[1]: what the loss is multiplied with before gradients are taken. */
  readonly scale: Tensor
  /** f32[rows·length], 0 where there is no target. */
  readonly losses: Tensor
  readonly rotary?: RotaryTables
}

export interface DecodingTape {
  readonly graph: Graph
  readonly parameters: readonly ParameterBlock[]
  readonly id: Tensor
  readonly position: Tensor
  readonly logits: Tensor
  readonly rotary?: RotaryTables
}

export interface RotaryTables {
  readonly cosines: Tensor
  readonly sines: Tensor
}

/** rows·length tokens at once, up to the losses. */
export function traceTraining(config: DecoderConfig, { rows, length }: { rows: number; length: number }): TrainingTape {
  const graph = new Graph()
  const parameters = declareParameters(graph, config)
  const tokens = rows * length
  const ids = graph.tensor('ids', [tokens], 'input', 'i32')
  const targets = graph.tensor('targets', [tokens], 'input', 'i32')
  const lo = graph.tensor('lo', [tokens], 'input', 'i32')
  const positions = graph.tensor('positions', [tokens], 'input', 'i32')
  const scale = graph.tensor('scale', [1], 'input')
  const rotary = rotaryTables(graph, config)
  const heads = headShape(config)
  const x = traceBlocks(graph, config, parameters, { ids, positions, rotary }, (qkv) => ops.attention(graph, qkv, lo, { ...heads, length }))
  const losses = ops.headLoss(graph, x, parameters.head, targets, scale)
  return { graph, parameters: parameters.blocks, ids, targets, lo, positions, scale, losses, rotary }
}

/** One token after those in the cache, up to the logits of the next. */
export function traceDecoding(config: DecoderConfig): DecodingTape {
  const graph = new Graph()
  const parameters = declareParameters(graph, config)
  const id = graph.tensor('id', [1], 'input', 'i32')
  const position = graph.tensor('position', [1], 'input', 'i32')
  const rotary = rotaryTables(graph, config)
  const heads = headShape(config)
  const cacheShape = [config.contextLength, heads.kvHeads * heads.headSize]
  const x = traceBlocks(graph, config, parameters, { ids: id, positions: position, rotary }, (qkv, layer) => {
    const keys = graph.tensor(`keys ${layer}`, cacheShape, 'state')
    const values = graph.tensor(`values ${layer}`, cacheShape, 'state')
    return ops.attentionCached(graph, qkv, { keys, values, position }, heads)
  })
  return { graph, parameters: parameters.blocks, id, position, logits: ops.linear(graph, x, parameters.head), rotary }
}

function headShape({ heads, kvHeads, width }: DecoderConfig): ops.HeadShape {
  return { heads, kvHeads, headSize: width / heads }
}

function rotaryTables(graph: Graph, config: DecoderConfig): RotaryTables | undefined {
  if (config.positions !== 'rotary') return undefined
  const shape = [config.contextLength, config.width / config.heads / 2]
  return { cosines: graph.tensor('cosines', shape, 'constant'), sines: graph.tensor('sines', shape, 'constant') }
}

function traceBlocks(
  graph: Graph,
  config: DecoderConfig,
  parameters: Parameters,
  input: { ids: Tensor; positions: Tensor; rotary?: RotaryTables },
  attend: (qkv: Tensor, layer: number) => Tensor,
): Tensor {
  const { heads, kvHeads, headSize } = headShape(config)
  const norm = (x: Tensor, { w, b }: Norm) =>
    config.norm === 'layernorm' ? ops.layerNorm(graph, x, w, b, config.normEpsilon) : ops.rmsNorm(graph, x, w, config.normEpsilon)
  const linear = (x: Tensor, { w, b, inOut }: Linear) => ops.linear(graph, x, w, b, inOut)
  const activate = (x: Tensor) => {
    if (config.activation === 'swiglu') return ops.swiglu(graph, x)
    const kind = ACTIVATIONS.find((name) => name === config.activation)
    if (kind === undefined) throw new RangeError(`no such operation yet: ${config.activation}`)
    return ops.activation(graph, x, kind)
  }

  let x = ops.embedding(graph, input.ids, parameters.embedding)
  if (parameters.positions) x = ops.add(graph, x, ops.embedding(graph, input.positions, parameters.positions))
  parameters.layers.forEach((block, layer) => {
    let qkv = linear(norm(x, block.attentionNorm), block.qkv)
    if (input.rotary) qkv = ops.rope(graph, qkv, input.positions, input.rotary, { heads: heads + kvHeads, headSize })
    x = ops.add(graph, x, linear(attend(qkv, layer), block.out))
    x = ops.add(graph, x, linear(activate(linear(norm(x, block.feedForwardNorm), block.up)), block.down))
  })
  return norm(x, parameters.norm)
}

function isGpt2(config: DecoderConfig): boolean {
  return (
    config.norm === 'layernorm' &&
    config.positions === 'learned' &&
    !isGated(config.activation) &&
    config.biases === true &&
    config.tiedEmbeddings &&
    config.kvHeads === config.heads
  )
}

/** Every parameter, in the order of the published checkpoints. */
function declareParameters(graph: Graph, config: DecoderConfig): Parameters {
  const { vocabularySize: V, contextLength, width: C, layers, hiddenWidth: F, activation } = config
  const { heads: H, kvHeads: G, headSize: D } = headShape(config)
  const blocks: ParameterBlock[] = []
  const gpt2 = isGpt2(config)

  /** Parts of one shape but for their first dimension, stacked along it. */
  function declare(start: Start, names: readonly string[], shapes: readonly (readonly number[])[]): Tensor {
    const first = shapes.reduce((sum, shape) => sum + shape[0], 0)
    const tensor = graph.tensor(names.join('|'), [first, ...shapes[0].slice(1)], 'parameter')
    let offset = 0
    const parts = names.map((name, i) => {
      const part = { name, shape: shapes[i], offset }
      offset += shapes[i].reduce((product, size) => product * size, 1)
      return part
    })
    blocks.push({ tensor, parts, start })
    return tensor
  }

  const declareNorm = (name: string): Norm => ({
    w: declare('ones', [`${name}.weight`], [[C]]),
    b: config.norm === 'layernorm' && config.biases ? declare('zeros', [`${name}.bias`], [[C]]) : undefined,
  })

  /** GPT-2 keeps weights as [inputs, outputs], Llama as [outputs, inputs]. */
  function declareLinear(names: readonly string[], inputs: number, outputs: readonly number[], start: Start): Linear {
    const shapes = outputs.map((size) => (gpt2 ? [inputs, size] : [size, inputs]))
    return {
      w: declare(
        start,
        names.map((name) => `${name}.weight`),
        shapes,
      ),
      b: config.biases
        ? declare(
            'zeros',
            names.map((name) => `${name}.bias`),
            outputs.map((size) => [size]),
          )
        : undefined,
      inOut: gpt2,
    }
  }

  const embedding = declare('normal', [gpt2 ? 'transformer.wte.weight' : 'model.embed_tokens.weight'], [[V, C]])
  const positions =
    config.positions === 'learned'
      ? declare('normal', [gpt2 ? 'transformer.wpe.weight' : 'model.embed_positions.weight'], [[contextLength, C]])
      : undefined

  function declareGpt2Block(layer: number): Block {
    const at = `transformer.h.${layer}`
    return {
      attentionNorm: declareNorm(`${at}.ln_1`),
      qkv: declareLinear([`${at}.attn.c_attn`], C, [3 * C], 'normal'),
      out: declareLinear([`${at}.attn.c_proj`], C, [C], 'residual'),
      feedForwardNorm: declareNorm(`${at}.ln_2`),
      up: declareLinear([`${at}.mlp.c_fc`], C, [F], 'normal'),
      down: declareLinear([`${at}.mlp.c_proj`], F, [C], 'residual'),
    }
  }

  function declareLlamaBlock(layer: number): Block {
    const at = `model.layers.${layer}`
    const inside = isGated(activation) ? ['gate_proj', 'up_proj'] : ['up_proj']
    return {
      attentionNorm: declareNorm(`${at}.input_layernorm`),
      qkv: declareLinear(
        ['q', 'k', 'v'].map((part) => `${at}.self_attn.${part}_proj`),
        C,
        [H * D, G * D, G * D],
        'normal',
      ),
      out: declareLinear([`${at}.self_attn.o_proj`], H * D, [C], 'residual'),
      feedForwardNorm: declareNorm(`${at}.post_attention_layernorm`),
      up: declareLinear(
        inside.map((part) => `${at}.mlp.${part}`),
        C,
        inside.map(() => F),
        'normal',
      ),
      down: declareLinear([`${at}.mlp.down_proj`], F, [C], 'residual'),
    }
  }

  const traced = Array.from({ length: layers }, (_, layer) => (gpt2 ? declareGpt2Block(layer) : declareLlamaBlock(layer)))
  const norm = declareNorm(gpt2 ? 'transformer.ln_f' : 'model.norm')
  const head = config.tiedEmbeddings ? embedding : declare('normal', ['lm_head.weight'], [[V, C]])
  return { blocks, embedding, positions, layers: traced, norm, head }
}
