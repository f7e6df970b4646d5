// How tokens become text again: the decoders of Hugging Face's `tokenizer.json`, each as its version 0.23 does it. Byte-level
// BPE needs none: its tokens are bytes.

import { z } from 'zod'
import { patternSchema } from './normalizers.ts'
import { translatePattern } from './pretokenize.ts'
import { inSequence } from './sequence.ts'
import { metaspaceDecoderSchema } from './word-splitters.ts'

const decoderSchema = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.enum(['ByteFallback', 'Fuse']) }),
    z.object({ type: z.literal('WordPiece'), prefix: z.string(), cleanup: z.boolean() }),
    z.object({ type: z.literal('Strip'), content: z.string(), start: z.int().min(0), stop: z.int().min(0) }),
    z.object({ type: z.literal('Replace'), pattern: patternSchema, content: z.string() }),
    metaspaceDecoderSchema,
  ],
  { error: ({ input }) => `the decoder ${JSON.stringify(input)?.slice(0, 100)} is not supported` },
)
export const decodersSchema = inSequence('decoders', decoderSchema)
export type Decoder = z.output<typeof decoderSchema>

/** Text of tokens; where nothing says how, they are joined by blanks. */
export function decoderOf(decoders: readonly Decoder[]): (tokens: readonly string[]) => string {
  const steps = decoders.map(stepOf)
  if (steps.length === 0) return (tokens) => tokens.join(' ')
  return (tokens) => steps.reduce((parts, step) => step(parts), tokens).join('')
}

function stepOf(decoder: Decoder): (tokens: readonly string[]) => readonly string[] {
  switch (decoder.type) {
    case 'ByteFallback':
      return fallBackToBytes
    case 'Fuse':
      return (tokens) => [tokens.join('')]
    case 'WordPiece':
      return (tokens) => tokens.map((token, i) => wordPieceText(token, i, decoder))
    case 'Strip':
      return (tokens) => tokens.map((token) => strip(token, decoder))
    case 'Replace': {
      const { pattern, content } = decoder
      const expression = translatePattern('Regex' in pattern ? pattern.Regex : RegExp.escape(pattern.String))
      return (tokens) => tokens.map((token) => token.replace(expression, () => content))
    }
    case 'Metaspace': {
      const first = decoder.prepend_scheme === 'never' ? ' ' : ''
      return (tokens) => tokens.map((token, i) => token.replaceAll(decoder.replacement, i === 0 ? first : ' '))
    }
  }
}

const byteToken = /^<0x([0-9a-fA-F]{2})>$/
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function isByte(token: string): boolean {
  return byteToken.test(token)
}

/** Bytes in a row become the text they spell, or as many U+FFFD as they are. */
function fallBackToBytes(tokens: readonly string[]): string[] {
  const out: string[] = []
  let bytes: number[] = []
  const flush = () => {
    if (bytes.length > 0) out.push(spell(bytes))
    bytes = []
  }
  for (const token of tokens) {
    const byte = byteToken.exec(token)
    if (byte) bytes.push(Number.parseInt(byte[1], 16))
    else {
      flush()
      out.push(token)
    }
  }
  flush()
  return out
}

function spell(bytes: readonly number[]): string {
  try {
    return utf8.decode(Uint8Array.from(bytes))
  } catch {
    return '\ufffd'.repeat(bytes.length) // not UTF-8
  }
}

/** What tokenization has parted is joined: in this order, each within its token. */
const cleanups = [' .', ' ?', ' !', ' ,', " ' ", " n't", " 'm", ' do not', " 's", " 've", " 're"] as const

function wordPieceText(token: string, index: number, { prefix, cleanup }: Extract<Decoder, { type: 'WordPiece' }>): string {
  let text = token
  if (index > 0) text = token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`
  if (cleanup)
    for (const parted of cleanups)
      text = text.replaceAll(parted, parted === " ' " ? "'" : parted === ' do not' ? " don't" : parted.slice(1))
  return text
}

function strip(token: string, { content, start, stop }: Extract<Decoder, { type: 'Strip' }>): string {
  const characters = [...token]
  let from = 0
  let to = characters.length
  while (from < start && characters[from] === content) from++
  while (characters.length - to < stop && to > from && characters[to - 1] === content) to--
  return characters.slice(from, to).join('')
}
