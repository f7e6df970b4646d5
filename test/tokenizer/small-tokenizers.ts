// Small tokenizer files of the published shapes, written for the tests.

const added = (names: readonly string[], first = 0) =>
  names.map((content, i) => ({
    id: first + i,
    content,
    single_word: false,
    lstrip: content.includes('MASK'),
    rstrip: false,
    normalized: false,
    special: true,
  }))
const letters = [...'abcdefghijklmnopqrstuvwxyz']
const numbered = (tokens: readonly string[]) => Object.fromEntries(tokens.map((token, id) => [token, id]))
const special = (id: string, type_id = 0) => ({ SpecialToken: { id, type_id } })
const text = (id: string, type_id = 0) => ({ Sequence: { id, type_id } })
const template = (before: readonly [string, number][], after: readonly [string, number][]) => ({
  type: 'TemplateProcessing',
  single: [...before.map(([name]) => special(name)), text('A'), ...after.map(([name]) => special(name))],
  pair: [text('A'), text('B', 1)],
  special_tokens: Object.fromEntries([...before, ...after].map(([name, id]) => [name, { id: name, ids: [id], tokens: [name] }])),
})
const file = { version: '1.0', truncation: null, padding: null }

const bertTokens = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', ...letters, ...letters.map((letter) => `##${letter}`)]
const bertWords = ['the', 'un', '##aff', '##able', '##ing', 'walk', '##ed', ',', '.', "'", '中', '##中', 'mu', '##ller', '1', '##2']

export const bert = {
  ...file,
  added_tokens: added(bertTokens.slice(0, 5)),
  normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: template([['[CLS]', 2]], [['[SEP]', 3]]),
  decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: numbered([...bertTokens, ...bertWords]),
  },
}

const unigramPieces: [string, number][] = [
  ['<pad>', 0],
  ['</s>', 0],
  ['<unk>', 0],
  ['▁', -2],
  ['▁the', -3],
  ['▁un', -4],
  ['aff', -5],
  ['able', -4.5],
  ['ing', -3.5],
  ['▁walk', -5],
  ['ed', -4],
  ['fi', -6],
  ...letters.map((letter, i): [string, number] => [letter, -7 - i / 10]),
]

export const t5 = {
  ...file,
  added_tokens: added(['<pad>', '</s>', '<unk>']),
  normalizer: {
    type: 'Sequence',
    normalizers: [{ type: 'Nmt' }, { type: 'NFKC' }, { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' }],
  },
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [{ type: 'WhitespaceSplit' }, { type: 'Metaspace', replacement: '▁', add_prefix_space: true }],
  },
  post_processor: template([], [['</s>', 1]]),
  decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
  model: { type: 'Unigram', unk_id: 2, vocab: unigramPieces, byte_fallback: false },
}

const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)
const llamaTokens = ['<unk>', '<s>', '</s>', ...bytes, '▁', ...letters, '▁t', 'he', '▁the', 'in', 'ing', '▁▁', 'ed']
const merges = [
  ['▁', 't'],
  ['h', 'e'],
  ['▁t', 'he'],
  ['i', 'n'],
  ['in', 'g'],
  ['▁', '▁'],
  ['e', 'd'],
]

export const llama = {
  ...file,
  added_tokens: added(['<unk>', '<s>', '</s>']),
  normalizer: {
    type: 'Sequence',
    normalizers: [
      { type: 'Prepend', prepend: '▁' },
      { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
    ],
  },
  pre_tokenizer: null,
  post_processor: template([['<s>', 1]], []),
  decoder: {
    type: 'Sequence',
    decoders: [
      { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
      { type: 'ByteFallback' },
      { type: 'Fuse' },
      { type: 'Strip', content: ' ', start: 1, stop: 0 },
    ],
  },
  model: {
    type: 'BPE',
    dropout: null,
    unk_token: '<unk>',
    fuse_unk: true,
    byte_fallback: true,
    ignore_merges: false,
    vocab: numbered(llamaTokens),
    merges,
  },
}

export const mistral = {
  ...llama,
  normalizer: null,
  pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false },
}

export const texts = [
  'The unaffable Müller walked, walking.',
  "don't  x\u0301中中 12\t\u0085the\u0000\u200bend ﬁing",
  'zzzzé😀 <s>the</s>[MASK] a▁the',
  `${'a'.repeat(101)} ${'ab'.repeat(50)} the`,
  ' \n ',
]
