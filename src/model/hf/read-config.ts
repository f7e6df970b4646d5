// config.json of Hugging Face's transformers as a configuration of ours. What a family can have and ours cannot is refused by
// the name of the field; fields that change nothing of what is computed (dropout, initializers, token ids) are not looked at.

import { z } from 'zod'
import { SluiceError } from '../../core/errors.ts'
import {
  GATED,
  GATED_NAMES,
  type GatedActivation,
  type ModelConfig,
  type ModelOptions,
  modelConfig,
  type PlainActivation,
} from '../config.ts'

/** Names of activations there, and what they are called here. */
const ACTIVATION_NAMES: Readonly<Record<string, PlainActivation>> = {
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  gelu_fast: 'gelu_tanh',
  relu: 'relu',
  relu2: 'relu2',
  tanh: 'tanh',
}

const count = z.int().min(1)
const theta = z.number().positive()
const ropeType = z.looseObject({ rope_type: z.string().optional(), type: z.string().optional(), rope_theta: theta.optional() })
const common = { architectures: z.array(z.string()).nullish(), vocab_size: count, tie_word_embeddings: z.boolean().optional() }

const gpt2 = z.looseObject({
  ...common,
  n_positions: count,
  n_embd: count,
  n_layer: count,
  n_head: count,
  n_inner: count.nullish(),
  activation_function: z.string().default('gelu_new'),
  layer_norm_epsilon: z.number().default(1e-5),
  scale_attn_weights: z.boolean().default(true),
  scale_attn_by_inverse_layer_idx: z.boolean().default(false),
  add_cross_attention: z.boolean().default(false),
})

const llama = z.looseObject({
  ...common,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  hidden_act: z.string().default('silu'),
  max_position_embeddings: count,
  rms_norm_eps: z.number().default(1e-6),
  rope_theta: theta.optional(),
  rope_parameters: ropeType.nullish(),
  rope_scaling: ropeType.nullish(),
  partial_rotary_factor: z.number().default(1),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  sliding_window: count.nullish(),
  use_sliding_window: z.boolean().optional(),
  layer_types: z.array(z.string()).nullish(),
})

const bert = z.looseObject({
  ...common,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  hidden_act: z.string().default('gelu'),
  max_position_embeddings: count,
  type_vocab_size: count,
  layer_norm_eps: z.number().default(1e-12),
  position_embedding_type: z.string().nullish(),
  is_decoder: z.boolean().default(false),
  id2label: z.record(z.string(), z.string()).optional(),
})

const modernBert = z.looseObject({
  ...common,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  hidden_activation: z.string().default('gelu'),
  max_position_embeddings: count,
  norm_eps: z.number().default(1e-5),
  norm_bias: z.boolean().default(false),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  global_rope_theta: theta.optional(),
  local_rope_theta: theta.nullish(),
  rope_parameters: z.record(z.string(), ropeType.nullish()).nullish(),
  global_attn_every_n_layers: count.optional(),
  layer_types: z.array(z.string()).nullish(),
  local_attention: count.default(128),
  classifier_pooling: z.string().default('cls'),
  id2label: z.record(z.string(), z.string()).optional(),
})

const t5 = z.looseObject({
  ...common,
  d_model: count,
  d_kv: count,
  d_ff: count,
  num_layers: count,
  num_decoder_layers: count.nullish(),
  num_heads: count,
  n_positions: count.default(512),
  relative_attention_num_buckets: count.default(32),
  relative_attention_max_distance: count.default(128),
  feed_forward_proj: z.string().default('relu'),
  layer_norm_epsilon: z.number().default(1e-6),
  decoder_start_token_id: z.int().min(0).nullish(),
  scale_decoder_outputs: z.boolean().optional(),
})

const families: Readonly<Record<string, (json: unknown, refuse: Refuse) => ModelOptions>> = {
  gpt2: (json, refuse) => readGpt2(gpt2.parse(json), refuse),
  llama: (json, refuse) => readLlama(llama.parse(json), refuse),
  mistral: (json, refuse) => readLlama(llama.parse(json), refuse, { hasWindow: true }),
  qwen2: (json, refuse) => readLlama({ ...llama.parse(json), attention_bias: false }, refuse, { biases: 'qkv' }),
  qwen3: (json, refuse) => readLlama(llama.parse(json), refuse, { qkNorm: true }),
  bert: (json, refuse) => readBert(bert.parse(json), refuse),
  modernbert: (json, refuse) => readModernBert(modernBert.parse(json), refuse),
  t5: (json, refuse) => readT5(t5.parse(json), refuse),
}

type Refuse = (field: string, value: unknown) => never

const modelType = z.looseObject({ model_type: z.string() })

/** Whether this is a config.json of transformers: one of ours says no model_type. */
export function isHuggingFaceConfig(json: unknown): boolean {
  return modelType.safeParse(json).success
}

/**
 * @param file for errors
 * @throws SluiceError `SLUICE_MODEL_FAMILY` where the family or one of its features is none of ours, or a field is missing
 */
export function readHuggingFaceConfig(json: unknown, file: string): ModelConfig {
  const { model_type: family } = modelType.parse(json)
  const read = Object.hasOwn(families, family) ? families[family] : undefined
  if (!read)
    throw new SluiceError('SLUICE_MODEL_FAMILY', `models of the family ${family} are not known`, {
      where: { file },
      fix: `known are ${Object.keys(families).join(', ')}`,
    })
  const refuse: Refuse = (field, value) => {
    throw new SluiceError('SLUICE_MODEL_FAMILY', `${family} with ${field} ${JSON.stringify(value)} would be computed otherwise here`, {
      where: { file },
      fix: 'give another model of the family',
    })
  }
  try {
    return modelConfig.parse(read(json, refuse))
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error
    throw new SluiceError('SLUICE_MODEL_FAMILY', `not a whole configuration of ${family}:\n${z.prettifyError(error)}`, {
      where: { file },
      fix: 'fetch the file again',
      cause: error,
    })
  }
}

function plain(name: string, refuse: Refuse, field = 'hidden_act'): PlainActivation {
  return Object.hasOwn(ACTIVATION_NAMES, name) ? ACTIVATION_NAMES[name] : refuse(field, name)
}

function gated(name: string, refuse: Refuse, field = 'hidden_act'): GatedActivation {
  const wanted = plain(name, refuse, field)
  for (const kind of GATED_NAMES) if (GATED[kind] === wanted) return kind
  return refuse(field, name)
}

function readGpt2(json: z.output<typeof gpt2>, refuse: Refuse): ModelOptions {
  if (!json.scale_attn_weights) refuse('scale_attn_weights', false)
  if (json.scale_attn_by_inverse_layer_idx) refuse('scale_attn_by_inverse_layer_idx', true)
  if (json.add_cross_attention) refuse('add_cross_attention', true)
  if (json.tie_word_embeddings === false) refuse('tie_word_embeddings', false)
  return {
    ...{ architecture: 'decoder', norm: 'layernorm', positions: 'learned', biases: true },
    ...{ vocabularySize: json.vocab_size, contextLength: json.n_positions, layers: json.n_layer, width: json.n_embd, heads: json.n_head },
    ...(json.n_inner ? { hiddenWidth: json.n_inner } : {}),
    activation: plain(json.activation_function, refuse, 'activation_function'),
    normEpsilon: json.layer_norm_epsilon,
  }
}

interface LlamaTraits {
  readonly hasWindow?: boolean
  readonly biases?: 'qkv'
  readonly qkNorm?: boolean
}

function readLlama(json: z.output<typeof llama>, refuse: Refuse, { hasWindow, biases, qkNorm = false }: LlamaTraits = {}): ModelOptions {
  if (json.attention_bias !== json.mlp_bias) refuse('attention_bias', json.attention_bias)
  if (json.partial_rotary_factor !== 1) refuse('partial_rotary_factor', json.partial_rotary_factor)
  if (!hasWindow && json.use_sliding_window && json.sliding_window) refuse('use_sliding_window', true)
  return {
    ...{ architecture: 'decoder', vocabularySize: json.vocab_size, contextLength: json.max_position_embeddings },
    ...{ layers: json.num_hidden_layers, width: json.hidden_size, heads: json.num_attention_heads },
    kvHeads: json.num_key_value_heads ?? json.num_attention_heads,
    ...(json.head_dim ? { headSize: json.head_dim } : {}),
    hiddenWidth: json.intermediate_size,
    activation: gated(json.hidden_act, refuse),
    normEpsilon: json.rms_norm_eps,
    ...rotary(json, refuse),
    ...(hasWindow && json.sliding_window ? { windows: windowsOf(json.layer_types, json.sliding_window) } : {}),
    biases: biases ?? json.attention_bias,
    qkNorm,
    tiedEmbeddings: json.tie_word_embeddings ?? false,
  }
}

const llama3 = z.looseObject({
  factor: z.number(),
  low_freq_factor: z.number(),
  high_freq_factor: z.number(),
  original_max_position_embeddings: count,
})

/** From version 5 on the base and the stretching stand in one object, before in two fields. */
function rotary({ rope_theta, rope_parameters, rope_scaling }: z.output<typeof llama>, refuse: Refuse) {
  const stretched = rope_parameters ?? rope_scaling
  const ropeTheta = rope_parameters?.rope_theta ?? rope_theta ?? 10_000
  const kind = stretched?.rope_type ?? stretched?.type ?? 'default'
  if (kind === 'default') return { ropeTheta }
  if (kind !== 'llama3') refuse('rope_type', kind)
  const scaling = llama3.parse(stretched)
  return {
    ropeTheta,
    ropeScaling: {
      factor: scaling.factor,
      lowFrequencyFactor: scaling.low_freq_factor,
      highFrequencyFactor: scaling.high_freq_factor,
      originalLength: scaling.original_max_position_embeddings,
    },
  }
}

function windowsOf(layerTypes: readonly string[] | null | undefined, window: number): number[] {
  return layerTypes ? layerTypes.map((type) => (type === 'sliding_attention' ? window : 0)) : [window]
}

const isClassifier = (architectures: readonly string[] | null | undefined) =>
  architectures?.some((name) => name.endsWith('ForSequenceClassification')) ?? false

/** Two where nothing is said, as in transformers. */
const labelsOf = (json: { architectures?: string[] | null; id2label?: Record<string, string> }) =>
  isClassifier(json.architectures) ? Object.keys(json.id2label ?? { 0: '', 1: '' }).length : 0

function readBert(json: z.output<typeof bert>, refuse: Refuse): ModelOptions {
  if (json.position_embedding_type && json.position_embedding_type !== 'absolute')
    refuse('position_embedding_type', json.position_embedding_type)
  if (json.is_decoder) refuse('is_decoder', true)
  return {
    ...{ architecture: 'encoder', norm: 'layernorm', normPlace: 'post', positions: 'learned', biases: true },
    ...{ vocabularySize: json.vocab_size, contextLength: json.max_position_embeddings, tokenTypes: json.type_vocab_size },
    ...{ layers: json.num_hidden_layers, width: json.hidden_size, heads: json.num_attention_heads, hiddenWidth: json.intermediate_size },
    activation: plain(json.hidden_act, refuse),
    normEpsilon: json.layer_norm_eps,
    tiedEmbeddings: json.tie_word_embeddings ?? true,
    labels: labelsOf(json),
  }
}

function readModernBert(json: z.output<typeof modernBert>, refuse: Refuse): ModelOptions {
  const { norm_bias: biases } = json
  if (json.attention_bias !== biases || json.mlp_bias !== biases) refuse('norm_bias', biases)
  if (isClassifier(json.architectures) && json.classifier_pooling !== 'cls') refuse('classifier_pooling', json.classifier_pooling)
  const every = json.global_attn_every_n_layers ?? 3
  const types =
    json.layer_types ?? Array.from({ length: every }, (_, layer) => (layer % every === 0 ? 'full_attention' : 'sliding_attention'))
  const ropeTheta = json.rope_parameters?.full_attention?.rope_theta ?? json.global_rope_theta ?? 160_000
  return {
    ...{ architecture: 'encoder', norm: 'layernorm', normPlace: 'pre', positions: 'rotary', biases },
    ...{ vocabularySize: json.vocab_size, contextLength: json.max_position_embeddings },
    ...{ layers: json.num_hidden_layers, width: json.hidden_size, heads: json.num_attention_heads, hiddenWidth: json.intermediate_size },
    activation: gated(json.hidden_activation, refuse, 'hidden_activation'),
    normEpsilon: json.norm_eps,
    ropeTheta,
    localRopeTheta: json.rope_parameters?.sliding_attention?.rope_theta ?? json.local_rope_theta ?? 10_000,
    windows: windowsOf(types, json.local_attention / 2 + 1), // to each side, itself included
    tiedEmbeddings: json.tie_word_embeddings ?? true,
    labels: labelsOf(json),
  }
}

function readT5(json: z.output<typeof t5>, refuse: Refuse): ModelOptions {
  const [first, second] = json.feed_forward_proj.split('-')
  // gated-gelu stands for the tanh form, whatever dense_act_fn says
  const activation =
    first === 'gated'
      ? gated(second === 'gelu' ? 'gelu_new' : (second ?? ''), refuse, 'feed_forward_proj')
      : plain(first, refuse, 'feed_forward_proj')
  return {
    ...{ architecture: 'encoder-decoder', vocabularySize: json.vocab_size, contextLength: json.n_positions },
    ...{ layers: json.num_layers, decoderLayers: json.num_decoder_layers ?? json.num_layers, width: json.d_model },
    ...{ heads: json.num_heads, headSize: json.d_kv, hiddenWidth: json.d_ff, activation, normEpsilon: json.layer_norm_epsilon },
    ...{ buckets: json.relative_attention_num_buckets, maxDistance: json.relative_attention_max_distance },
    // from version 5 on the scale says what the tie said before
    tiedEmbeddings: json.scale_decoder_outputs ?? json.tie_word_embeddings ?? true,
    startToken: json.decoder_start_token_id ?? 0,
  }
}
