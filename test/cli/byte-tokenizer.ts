// A tokenizer for tests of commands that need one.

/** A tokenizer of bytes: no merges, and an end of text. GPT-2 writes a byte without a glyph of its own as U+0100 and up. */
export function byteTokenizer(): string {
  const isPrinted = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173)
  let shifted = 256
  const vocab = Object.fromEntries(
    Array.from({ length: 256 }, (_, byte) => [String.fromCodePoint(isPrinted(byte) ? byte : shifted++), byte + 1]),
  )
  const endOfText = { id: 0, content: '<|endoftext|>', special: true, single_word: false, lstrip: false, rstrip: false, normalized: false }
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }
  return JSON.stringify({
    version: '1.0',
    added_tokens: [endOfText],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: { type: 'BPE', dropout: null, unk_token: null, vocab: { '<|endoftext|>': 0, ...vocab }, merges: [] },
  })
}
