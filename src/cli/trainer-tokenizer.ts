// A tokenizer.json as the trainer wants it: it makes tokens of examples, and knows how many bytes stand behind each token.

import { loadTokenizer } from '../tokenizer/tokenizer.ts'
import type { TextTokenizer } from '../train/open-data.ts'

export async function openTokenizer(file: string): Promise<TextTokenizer> {
  const tokenizer = await loadTokenizer(file)
  const { hash, vocabularySize, endOfText, frame } = tokenizer
  const tokenBytes = Uint32Array.from({ length: vocabularySize }, (_, token) => tokenizer.decodeBytes([token]).length)
  tokenBytes[endOfText] = 0
  return { hash, vocabularySize, endOfText, frame, encode: (text) => tokenizer.encode(text), tokenBytes }
}
