// Names of tensors in files of transformers. Parameters here carry the same names, so what is left is what files say twice,
// what they keep beside the weights, prefixes that a model without its head lacks, and names of early versions.

import type { ModelConfig } from '../config.ts'
import { isGpt2 } from '../decoder.ts'
import { isBert } from '../encoder.ts'

interface Family {
  /** What a model saved without its head leaves out before its names, and how such names begin. */
  readonly prefix: string
  readonly bare: RegExp
  /** Tensors that say nothing of the weights, or what others say too. */
  readonly ignored: RegExp
  /** Said twice where head and embedding are one. */
  readonly tied: RegExp
}

const gpt2: Family = {
  prefix: 'transformer.',
  bare: /^(wte|wpe|h|ln_f)\./,
  ignored: /\.attn\.(bias|masked_bias)$/,
  tied: /^lm_head\.weight$/,
}
const llama: Family = {
  prefix: 'model.',
  bare: /^(embed_tokens|layers|norm)\./,
  ignored: /rotary_emb\.inv_freq$/,
  tied: /^lm_head\.weight$/,
}
const bert: Family = {
  prefix: 'bert.',
  bare: /^(embeddings|encoder|pooler)\./,
  ignored: /position_ids$|^cls\.seq_relationship\.|^cls\.predictions\.decoder\.bias$/,
  tied: /^cls\.predictions\.decoder\.weight$/,
}
const modernBert: Family = {
  prefix: 'model.',
  bare: /^(embeddings|layers|final_norm)\./,
  ignored: /rotary_emb\.|position_ids$/,
  tied: /^decoder\.weight$/,
}
const t5: Family = {
  prefix: '',
  bare: /^$/,
  // released checkpoints hold a bias of distances between the two sides that no model reads
  ignored: /^(encoder|decoder)\.embed_tokens\.weight$|\.EncDecAttention\.relative_attention_bias\.weight$/,
  tied: /^lm_head\.weight$/,
}

function familyOf(config: ModelConfig): Family {
  if (config.architecture === 'encoder-decoder') return t5
  if (config.architecture === 'encoder') return isBert(config) ? bert : modernBert
  return isGpt2(config) ? gpt2 : llama
}

/** The parameter that a tensor of a file is; undefined where the file has it for other reasons. */
export function parameterNameOf(name: string, config: ModelConfig): string | undefined {
  const { prefix, bare, ignored, tied } = familyOf(config)
  const whole = bare.test(name) ? `${prefix}${name}` : name
  if (ignored.test(whole) || (config.tiedEmbeddings && tied.test(whole))) return undefined
  // BERT's pooler belongs to its classifier: a masked-token head does without
  if (config.architecture === 'encoder' && config.labels === 0 && whole.startsWith('bert.pooler.')) return undefined
  return whole.replace(/LayerNorm\.gamma$/, 'LayerNorm.weight').replace(/LayerNorm\.beta$/, 'LayerNorm.bias')
}
