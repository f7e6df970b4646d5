// A configuration of ours as the config.json that transformers loads: the families of read-config.ts, the other way.

import { SluiceError } from '../../core/errors.ts'
import {
  type DecoderConfig,
  type EncoderConfig,
  type EncoderDecoderConfig,
  type GatedActivation,
  isGated,
  type ModelConfig,
  type PlainActivation,
  windowOf,
} from '../config.ts'
import { isGpt2 } from '../decoder.ts'
import { isBert } from '../encoder.ts'

type Json = Record<string, unknown>

const NAMES: Readonly<Record<PlainActivation | GatedActivation, string>> = {
  gelu_tanh: 'gelu_new',
  gelu: 'gelu',
  silu: 'silu',
  relu: 'relu',
  relu2: 'relu2',
  tanh: 'tanh',
  swiglu: 'silu',
  geglu: 'gelu',
  geglu_tanh: 'gelu_pytorch_tanh',
  reglu: 'relu',
}

/**
 * @param labels names of a classifier's outputs
 * @throws SluiceError `SLUICE_MODEL_FAMILY` where no family of transformers computes the same
 */
export function writeHuggingFaceConfig(config: ModelConfig, labels: readonly string[] = []): Json {
  const common = { vocab_size: config.vocabularySize, tie_word_embeddings: config.tiedEmbeddings, dtype: 'float32' }
  switch (config.architecture) {
    case 'decoder':
      return { ...(isGpt2(config) ? gpt2(config) : llama(config)), ...common }
    case 'encoder':
      return { ...(isBert(config) ? bert(config) : modernBert(config)), ...labelled(config, labels), ...common }
    case 'encoder-decoder':
      return { ...t5(config), ...common }
  }
}

function refuse(field: string, value: unknown): never {
  throw new SluiceError('SLUICE_MODEL_FAMILY', `no family of transformers that is known here has ${field} ${JSON.stringify(value)}`, {
    fix: 'such a model stays in the folders of sluice train, which hold its weights as safetensors too',
  })
}

/** Refuses what differs from what a family always has. */
function assertIs(config: object, expected: Readonly<Record<string, unknown>>): void {
  for (const [field, value] of Object.entries(config))
    if (field in expected && JSON.stringify(value) !== JSON.stringify(expected[field])) refuse(field, value)
}

function gpt2(config: DecoderConfig): Json {
  return {
    architectures: ['GPT2LMHeadModel'],
    model_type: 'gpt2',
    n_positions: config.contextLength,
    n_embd: config.width,
    n_layer: config.layers,
    n_head: config.heads,
    n_inner: config.hiddenWidth,
    activation_function: NAMES[config.activation],
    layer_norm_epsilon: config.normEpsilon,
  }
}

/** Qwen3 where heads are normalized, Qwen2 with biases of queries, keys and values, Mistral with a window, else Llama. */
function llama(config: DecoderConfig): Json {
  const always = { norm: 'rmsnorm', normPlace: 'pre', positions: 'rotary', attentionSoftcap: 0, logitSoftcap: 0 }
  assertIs(config, always)
  if (!isGated(config.activation)) refuse('activation', config.activation)
  const [window, ...others] = config.windows
  if (others.some((other) => other !== window)) refuse('windows', config.windows)
  const traits = [config.qkNorm && 'qwen3', config.biases === 'qkv' && 'qwen2', window > 0 && 'mistral'].filter((trait) => trait !== false)
  if (traits.length > 1) refuse('qkNorm, biases and windows', [config.qkNorm, config.biases, config.windows])
  const family = traits[0] ?? 'llama'
  if (family === 'mistral' && config.biases) refuse('biases', config.biases)
  const className = { qwen3: 'Qwen3', qwen2: 'Qwen2', mistral: 'Mistral', llama: 'Llama' }[family]
  const { ropeScaling: scaling, ropeTheta } = config
  const stretched = scaling && {
    rope_type: 'llama3',
    factor: scaling.factor,
    low_freq_factor: scaling.lowFrequencyFactor,
    high_freq_factor: scaling.highFrequencyFactor,
    original_max_position_embeddings: scaling.originalLength,
  }
  return {
    architectures: [`${className}ForCausalLM`],
    model_type: family,
    hidden_size: config.width,
    intermediate_size: config.hiddenWidth,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headSize,
    hidden_act: NAMES[config.activation],
    max_position_embeddings: config.contextLength,
    rms_norm_eps: config.normEpsilon,
    rope_theta: ropeTheta, // as versions before 5 read it
    ...(stretched ? { rope_scaling: stretched } : {}),
    rope_parameters: { rope_type: 'default', ...stretched, rope_theta: ropeTheta },
    ...(family === 'llama' ? { attention_bias: config.biases === true, mlp_bias: config.biases === true } : {}),
    ...(family === 'qwen3' ? { attention_bias: false } : {}),
    ...(family === 'mistral' ? { sliding_window: window } : {}),
  }
}

function labelled({ labels }: EncoderConfig, names: readonly string[]): Json {
  if (labels === 0) return {}
  const nameOf = (i: number) => names[i] ?? `LABEL_${i}`
  const indexes = Array.from({ length: labels }, (_, i) => i)
  return {
    id2label: Object.fromEntries(indexes.map((i) => [i, nameOf(i)])),
    label2id: Object.fromEntries(indexes.map((i) => [nameOf(i), i])),
  }
}

function bert(config: EncoderConfig): Json {
  const always = { norm: 'layernorm', positions: 'learned', biases: true, windows: [0] }
  assertIs(config, always)
  if (isGated(config.activation)) refuse('activation', config.activation)
  if (config.tokenTypes === 0) refuse('tokenTypes', 0)
  return {
    architectures: [config.labels > 0 ? 'BertForSequenceClassification' : 'BertForMaskedLM'],
    model_type: 'bert',
    hidden_size: config.width,
    intermediate_size: config.hiddenWidth,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    hidden_act: NAMES[config.activation],
    max_position_embeddings: config.contextLength,
    type_vocab_size: config.tokenTypes,
    layer_norm_eps: config.normEpsilon,
  }
}

function modernBert(config: EncoderConfig): Json {
  assertIs(config, { norm: 'layernorm', positions: 'rotary', tokenTypes: 0 })
  if (!isGated(config.activation)) refuse('activation', config.activation)
  const windows = Array.from({ length: config.layers }, (_, layer) => windowOf(config, layer))
  const local = Math.max(...windows) || 65
  if (windows.some((window) => window !== 0 && window !== local)) refuse('windows', config.windows)
  const localTheta = config.localRopeTheta ?? config.ropeTheta
  const types = windows.map((window) => (window > 0 ? 'sliding_attention' : 'full_attention'))
  return {
    architectures: [config.labels > 0 ? 'ModernBertForSequenceClassification' : 'ModernBertForMaskedLM'],
    model_type: 'modernbert',
    hidden_size: config.width,
    intermediate_size: config.hiddenWidth,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    hidden_activation: NAMES[config.activation],
    classifier_activation: NAMES[config.activation],
    max_position_embeddings: config.contextLength,
    norm_eps: config.normEpsilon,
    norm_bias: config.biases,
    attention_bias: config.biases,
    mlp_bias: config.biases,
    classifier_bias: config.biases,
    classifier_pooling: 'cls',
    local_attention: 2 * (local - 1),
    // the family's own ids lie beyond small vocabularies, where transformers refuses them
    ...{ pad_token_id: null, bos_token_id: null, eos_token_id: null, cls_token_id: null, sep_token_id: null },
    layer_types: types,
    global_rope_theta: config.ropeTheta,
    local_rope_theta: localTheta,
    rope_parameters: {
      full_attention: { rope_type: 'default', rope_theta: config.ropeTheta },
      sliding_attention: { rope_type: 'default', rope_theta: localTheta },
    },
  }
}

const FEED_FORWARD: Partial<Record<PlainActivation | GatedActivation, string>> = {
  relu: 'relu',
  gelu: 'gelu',
  geglu_tanh: 'gated-gelu',
  swiglu: 'gated-silu',
}

function t5(config: EncoderDecoderConfig): Json {
  return {
    architectures: ['T5ForConditionalGeneration'],
    model_type: 't5',
    d_model: config.width,
    d_kv: config.headSize,
    d_ff: config.hiddenWidth,
    num_layers: config.layers,
    num_decoder_layers: config.decoderLayers,
    num_heads: config.heads,
    n_positions: config.contextLength,
    relative_attention_num_buckets: config.buckets,
    relative_attention_max_distance: config.maxDistance,
    feed_forward_proj: FEED_FORWARD[config.activation] ?? refuse('activation', config.activation),
    layer_norm_epsilon: config.normEpsilon,
    decoder_start_token_id: config.startToken,
    is_encoder_decoder: true,
  }
}
