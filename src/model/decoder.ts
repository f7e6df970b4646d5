// A decoder-only transformer as a tape (Vaswani et al. 2017). Parameters carry the names and shapes of Hugging Face's GPT-2,
// where the model is one, and of its Llama otherwise.

import { Graph, type OpRecord } from '../tensor/graph.ts'
import * as ops from '../tensor/ops.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type DecoderConfig, isGated, windowOf } from './config.ts'
import { AttentionPositions, type Constant, headShape, Layers, type Trunk } from './layers.ts'
import { Declarations, type Linear, type Norm, type ParameterBlock } from './parameters.ts'

interface Block {
  readonly attentionNorm: Norm
  readonly qkv: Linear
  /** Of query and key heads. */
  readonly queryNorm?: Tensor
  readonly keyNorm?: Tensor
  readonly out: Linear
  readonly feedForwardNorm: Norm
  readonly up: Linear
  readonly down: Linear
}
interface Parameters {
  readonly blocks: readonly ParameterBlock[]
  readonly embedding: Tensor
  readonly positions?: Tensor
  readonly layers: readonly Block[]
  /** Where blocks normalize what they read, the stream is normalized at its end. */
  readonly norm?: Norm
  readonly head: Tensor
}

/** rows·length tokens at once. */
export function traceDecoder(config: DecoderConfig, { rows, length }: { rows: number; length: number }): Trunk {
  const graph = new Graph()
  const parameters = declareParameters(graph, config)
  const tokens = rows * length
  const ids = graph.tensor('ids', [tokens], 'input', 'i32')
  const lo = graph.tensor('lo', [tokens], 'input', 'i32')
  const positions = graph.tensor('positions', [tokens], 'input', 'i32')
  const known = new AttentionPositions(graph, config, length)
  const hidden = traceBlocks(graph, config, parameters, { ids, positions, known }, (qkv, layer) =>
    ops.attention(graph, qkv, { lo, bias: known.bias() }, { ...attentionShape(config, layer), length, causal: true }),
  )
  return {
    graph,
    parameters: parameters.blocks,
    constants: known.constants,
    inputs: { ids, lo, positions },
    hidden,
    read: hidden,
    head: { w: parameters.head },
  }
}

/** Programs that go on from one cache, each by so many tokens a row at once. */
export interface DecodingTape {
  readonly graph: Graph
  readonly parameters: readonly ParameterBlock[]
  readonly constants: readonly Constant[]
  readonly parts: readonly DecodingPart[]
}

export interface DecodingPart {
  readonly length: number
  readonly records: readonly OpRecord[]
  readonly inputs: {
    /** i32[rows·length] */
    readonly ids: Tensor
    readonly positions: Tensor
    /** i32[rows], the position of each row's first token; absent where that is `positions`. */
    readonly starts?: Tensor
    /** i32[rows], row·length + place of the token whose logits are wanted; absent where rows have one token. */
    readonly picked?: Tensor
  }
  /** [rows, vocabulary], before the soft-cap. */
  readonly logits: Tensor
}

/** Up to the logits of the next tokens, after those in a cache of `context` places a row. */
export function traceDecoding(
  config: DecoderConfig,
  { rows, context, lengths }: { rows: number; context: number; lengths: readonly number[] },
): DecodingTape {
  const graph = new Graph()
  const parameters = declareParameters(graph, config)
  const known = new AttentionPositions(graph, config, context)
  const cache = (name: string) => graph.tensor(name, [rows * context, config.kvHeads * config.headSize], 'state')
  const caches = parameters.layers.map((_, layer) => ({ keys: cache(`keys ${layer}`), values: cache(`values ${layer}`) }))
  const parts = lengths.map((length) => {
    const from = graph.records.length
    const integers = (name: string, count: number) => graph.tensor(`${name} ${length}`, [count], 'input', 'i32')
    const ids = integers('ids', rows * length)
    const positions = integers('positions', rows * length)
    const several = length > 1 ? { starts: integers('starts', rows), picked: integers('picked', rows) } : undefined
    const position = several?.starts ?? positions
    const hidden = traceBlocks(graph, config, parameters, { ids, positions, known }, (qkv, layer) =>
      ops.attentionCached(graph, qkv, { ...caches[layer], position, bias: known.bias() }, { ...attentionShape(config, layer), length }),
    )
    const read = several ? ops.embedding(graph, several.picked, hidden) : hidden
    const logits = ops.linear(graph, read, parameters.head)
    return { length, records: graph.records.slice(from), inputs: { ids, positions, ...several }, logits }
  })
  return { graph, parameters: parameters.blocks, constants: known.constants, parts }
}

function attentionShape(config: DecoderConfig, layer: number) {
  return { ...headShape(config), window: windowOf(config, layer), softcap: config.attentionSoftcap }
}

function traceBlocks(
  graph: Graph,
  config: DecoderConfig,
  parameters: Parameters,
  input: { ids: Tensor; positions: Tensor; known: AttentionPositions },
  attend: (qkv: Tensor, layer: number) => Tensor,
): Tensor {
  const { heads, kvHeads, headSize, normEpsilon } = config
  const layers = new Layers(graph, config)
  let x = ops.embedding(graph, input.ids, parameters.embedding)
  if (parameters.positions) x = ops.add(graph, x, ops.embedding(graph, input.positions, parameters.positions))
  parameters.layers.forEach((block, layer) => {
    x = layers.residual(x, block.attentionNorm, (normed) => {
      let qkv = layers.linear(normed, block.qkv)
      if (block.queryNorm && block.keyNorm)
        qkv = ops.headNorm(graph, qkv, block.queryNorm, block.keyNorm, { heads, kvHeads, headSize, epsilon: normEpsilon })
      const rotary = input.known.rotary(windowOf(config, layer) > 0)
      if (rotary) qkv = ops.rope(graph, qkv, input.positions, rotary, { heads: heads + kvHeads, headSize })
      return layers.linear(attend(qkv, layer), block.out)
    })
    x = layers.residual(x, block.feedForwardNorm, (normed) => layers.feedForward(normed, block.up, block.down))
  })
  return parameters.norm ? layers.norm(x, parameters.norm) : x
}

/** What Hugging Face's GPT-2 can be: everything else carries Llama's names. */
export function isGpt2(config: DecoderConfig): boolean {
  return (
    config.norm === 'layernorm' &&
    config.normPlace === 'pre' &&
    config.positions === 'learned' &&
    !isGated(config.activation) &&
    config.biases === true &&
    config.tiedEmbeddings &&
    config.kvHeads === config.heads &&
    config.headSize * config.heads === config.width &&
    !config.qkNorm &&
    config.windows.every((window) => window === 0) &&
    config.attentionSoftcap === 0 &&
    config.logitSoftcap === 0
  )
}

/** Radford et al. 2019; projections into the residual stream begin smaller, so that its variance does not grow with depth. */
const DEVIATION = 0.02

function declareParameters(graph: Graph, config: DecoderConfig): Parameters {
  const { vocabularySize: V, contextLength, width: C, layers, norm, normPlace, biases } = config
  const declarations = new Declarations(graph)
  const gpt2 = isGpt2(config)
  const embedding = declarations.table(gpt2 ? 'transformer.wte.weight' : 'model.embed_tokens.weight', [V, C], DEVIATION)
  const positions =
    config.positions === 'learned'
      ? declarations.table(gpt2 ? 'transformer.wpe.weight' : 'model.embed_positions.weight', [contextLength, C], DEVIATION)
      : undefined
  const declareBlock = gpt2 ? declareGpt2Block : declareLlamaBlock
  const blocks = Array.from({ length: layers }, (_, layer) => declareBlock(declarations, config, layer))
  const hasNormBias = norm === 'layernorm' && biases === true
  return {
    blocks: declarations.blocks,
    embedding,
    positions,
    layers: blocks,
    norm: normPlace === 'pre' ? declarations.norm(gpt2 ? 'transformer.ln_f' : 'model.norm', C, hasNormBias) : undefined,
    head: config.tiedEmbeddings ? embedding : declarations.table('lm_head.weight', [V, C], DEVIATION, 'head'),
  }
}

function declareGpt2Block(declarations: Declarations, config: DecoderConfig, layer: number): Block {
  const { width: C, hiddenWidth: F } = config
  const at = `transformer.h.${layer}`
  const linear = (name: string, inputs: number, outputs: number, start: number) =>
    declarations.linear([`${at}.${name}`], inputs, [outputs], { start, biases: true, inOut: true })
  const residual = DEVIATION / Math.sqrt(2 * config.layers)
  return {
    attentionNorm: declarations.norm(`${at}.ln_1`, C, true),
    qkv: linear('attn.c_attn', C, 3 * C, DEVIATION),
    out: linear('attn.c_proj', C, C, residual),
    feedForwardNorm: declarations.norm(`${at}.ln_2`, C, true),
    up: linear('mlp.c_fc', C, F, DEVIATION),
    down: linear('mlp.c_proj', F, C, residual),
  }
}

function declareLlamaBlock(declarations: Declarations, config: DecoderConfig, layer: number): Block {
  const { width: C, heads: H, kvHeads: G, headSize: D, hiddenWidth: F, biases, norm, activation, qkNorm } = config
  const at = `model.layers.${layer}`
  const linear = (names: readonly string[], inputs: number, outputs: readonly number[], start: number, hasBias: boolean) =>
    declarations.linear(
      names.map((name) => `${at}.${name}`),
      inputs,
      outputs,
      { start, biases: hasBias },
    )
  const all = biases === true
  const residual = DEVIATION / Math.sqrt(2 * config.layers)
  const inside = isGated(activation) ? ['mlp.gate_proj', 'mlp.up_proj'] : ['mlp.up_proj']
  const headNorm = (part: string) => (qkNorm ? declarations.table(`${at}.self_attn.${part}_norm.weight`, [D], 'ones', 'vector') : undefined)
  const attention = ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj']
  return {
    attentionNorm: declarations.norm(`${at}.input_layernorm`, C, all && norm === 'layernorm'),
    qkv: linear(attention, C, [H * D, G * D, G * D], DEVIATION, biases !== false),
    queryNorm: headNorm('q'),
    keyNorm: headNorm('k'),
    out: linear(['self_attn.o_proj'], H * D, [C], residual, all),
    feedForwardNorm: declarations.norm(`${at}.post_attention_layernorm`, C, all && norm === 'layernorm'),
    up: linear(
      inside,
      C,
      inside.map(() => F),
      DEVIATION,
      all,
    ),
    down: linear(['mlp.down_proj'], F, [C], residual, all),
  }
}
