// What a GGUF file's metadata say of a decoder, as llama.cpp writes them: its configuration here, what its tensors are called
// here, and its tokenizer as tokenizer.json has it. What is not known is refused by its name.

import { z } from 'zod'
import { SluiceError } from '../../core/errors.ts'
import { type DecoderConfig, decoderConfig } from '../config.ts'

type Metadata = ReadonlyMap<string, unknown>

const count = z.int().min(1)
const decoderKeys = z.object({
  block_count: count,
  context_length: count,
  embedding_length: count,
  feed_forward_length: count,
  'attention.head_count': count,
  'attention.head_count_kv': count.optional(),
  'attention.key_length': count.optional(),
  'attention.value_length': count.optional(),
  'attention.layer_norm_rms_epsilon': z.number(),
  'attention.sliding_window': z.int().min(0).optional(),
  'rope.freq_base': z.number().default(10_000),
  'rope.dimension_count': count.optional(),
  'rope.scaling.type': z.string().optional(),
  expert_count: z.int().min(0).optional(),
})

const families: Readonly<Record<string, { readonly biases?: 'qkv'; readonly qkNorm?: boolean }>> = {
  llama: {},
  qwen2: { biases: 'qkv' },
  qwen3: { qkNorm: true },
}

/**
 * @param tensors shapes by the file's names
 * @param file for errors
 * @throws SluiceError `SLUICE_MODEL_FAMILY`
 */
export function readGgufConfig(
  metadata: Metadata,
  tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  file: string,
): DecoderConfig {
  const family = String(metadata.get('general.architecture'))
  const refuse = (problem: string, cause?: unknown): never => {
    throw new SluiceError('SLUICE_MODEL_FAMILY', problem, { where: { file }, fix: 'give another model', cause })
  }
  const traits = Object.hasOwn(families, family)
    ? families[family]
    : refuse(`GGUF files of the family ${family} are not known: known are ${Object.keys(families).join(', ')}`)
  const known = Object.keys(decoderKeys.shape).map((key) => [key, metadata.get(`${family}.${key}`)])
  const parsed = decoderKeys.safeParse(Object.fromEntries(known))
  if (!parsed.success) return refuse(`not a whole description of ${family}:\n${z.prettifyError(parsed.error)}`, parsed.error)
  const keys = parsed.data
  const heads = keys['attention.head_count']
  const headSize = keys['attention.key_length'] ?? keys.embedding_length / heads
  const unlike: [string, boolean][] = [
    ['attention.value_length', (keys['attention.value_length'] ?? headSize) !== headSize],
    ['rope.dimension_count', (keys['rope.dimension_count'] ?? headSize) !== headSize],
    ['rope.scaling.type', (keys['rope.scaling.type'] ?? 'none') !== 'none'],
    ['attention.sliding_window', (keys['attention.sliding_window'] ?? 0) > 0],
    ['expert_count', (keys.expert_count ?? 0) > 0],
    ['rope_freqs.weight', tensors.has('rope_freqs.weight')],
  ]
  for (const [key, isUnlike] of unlike) if (isUnlike) refuse(`${family} with ${key} would be computed otherwise here`)
  return decoderConfig.parse({
    vocabularySize: tensors.get('token_embd.weight')?.shape[0] ?? refuse('there is no tensor token_embd.weight'),
    contextLength: keys.context_length,
    ...{ layers: keys.block_count, width: keys.embedding_length, hiddenWidth: keys.feed_forward_length },
    ...{ heads, headSize, kvHeads: keys['attention.head_count_kv'] ?? heads },
    normEpsilon: shortest(keys['attention.layer_norm_rms_epsilon']),
    ropeTheta: keys['rope.freq_base'],
    tiedEmbeddings: !tensors.has('output.weight'),
    ...traits,
  })
}

/** The decimal that a number rounded to f32 was written as: 9.999999747378752e-6 was 1e-5. */
function shortest(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const decimal = Number(value.toPrecision(digits))
    if (Math.fround(decimal) === Math.fround(value)) return decimal
  }
  return value
}

const NAMES: Readonly<Record<string, string>> = {
  token_embd: 'model.embed_tokens',
  output: 'lm_head',
  output_norm: 'model.norm',
}
const BLOCK_NAMES: Readonly<Record<string, string>> = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  attn_q_norm: 'self_attn.q_norm',
  attn_k_norm: 'self_attn.k_norm',
  ffn_norm: 'post_attention_layernorm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
}

/** The parameter that a tensor is; undefined where it is none. */
export function ggufParameterName(name: string): string | undefined {
  const [, layer, part, kind] = /^(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)$/.exec(name) ?? []
  const names = layer === undefined ? NAMES : BLOCK_NAMES
  if (part === undefined || !Object.hasOwn(names, part)) return undefined
  return layer === undefined ? `${names[part]}.${kind}` : `model.layers.${layer}.${names[part]}.${kind}`
}

/**
 * How many heads' rows lie in the order of llama.cpp's own rotation in a tensor; 0: they lie as everywhere. Llama's queries and
 * keys do, those of the other families were left as they were.
 */
export function turnedHeads(name: string, metadata: Metadata, config: DecoderConfig): number {
  if (metadata.get('general.architecture') !== 'llama') return 0
  if (/\.attn_q\./.test(name)) return config.heads
  return /\.attn_k\./.test(name) ? config.kvHeads : 0
}

/** Rows of heads whose pairs lie side by side, as rows whose pairs lie half a head apart. */
export function turnBack(values: Float32Array, heads: number, headSize: number): Float32Array<ArrayBuffer> {
  const width = values.length / (heads * headSize)
  const out = new Float32Array(values.length)
  for (let head = 0; head < heads; head++)
    for (let row = 0; row < headSize; row++) {
      const from = (head * headSize + row) * width
      const to = head * headSize + (row % 2) * (headSize / 2) + (row >> 1)
      out.set(values.subarray(from, from + width), to * width)
    }
  return out
}

const tokenizerKeys = z.object({
  model: z.literal('gpt2'),
  pre: z.enum(['gpt-2', 'smollm', 'qwen2']),
  tokens: z.array(z.string()),
  token_type: z.array(z.int()),
  merges: z.array(z.string()),
  add_bos_token: z.literal(false).default(false),
})

/** What llama.cpp calls tokens that stand for themselves: they steer the model, or users added them. */
const CONTROL = 3
const USER_DEFINED = 4
const UNUSED = 5

const byteLevel = (splits: boolean) => ({ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: splits })
const QWEN2 = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
const preTokenizers = {
  'gpt-2': byteLevel(true),
  smollm: { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel(true)] },
  qwen2: {
    type: 'Sequence',
    pretokenizers: [{ type: 'Split', pattern: { Regex: QWEN2 }, behavior: 'Isolated', invert: false }, byteLevel(false)],
  },
}

/** The tokenizer as the content of a tokenizer.json; undefined where its kind is not known here. */
export function ggufTokenizer(metadata: Metadata): object | undefined {
  const keys = Object.keys(tokenizerKeys.shape).map((key) => [key, metadata.get(`tokenizer.ggml.${key}`)])
  const parsed = tokenizerKeys.safeParse(Object.fromEntries(keys))
  if (!parsed.success) return undefined
  const { pre, tokens, token_type: types, merges } = parsed.data
  const added = tokens.flatMap((content, id) =>
    types[id] === CONTROL || types[id] === USER_DEFINED
      ? [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: types[id] === CONTROL }]
      : [],
  )
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: pre === 'qwen2' ? { type: 'NFC' } : null,
    pre_tokenizer: preTokenizers[pre],
    post_processor: null,
    decoder: byteLevel(true),
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries(tokens.flatMap((token, id) => (types[id] === UNUSED ? [] : [[token, id]]))),
      merges,
    },
  }
}
