// Character references (`&amp;`, `&#8212;`) in text. The table of the 2,231 names is htmlparser2's: each distinct reference
// is decoded by its tokenizer once and remembered.

import { Tokenizer } from 'htmlparser2'
import { detach } from './detach.ts'

const REFERENCE = /&(?:#[xX]?[0-9a-fA-F]+|[a-zA-Z][a-zA-Z0-9]*);?/g
const REMEMBERED = 10_000
const known = new Map<string, string>()

/** Text with its character references replaced. Unknown ones stay as they are. */
export function decodeReferences(text: string): string {
  return text.includes('&') ? text.replace(REFERENCE, decodeReference) : text
}

function decodeReference(reference: string): string {
  const found = known.get(reference)
  if (found !== undefined) return found
  // The longest name has 33 characters; digits beyond that are leading zeros or no character.
  if (reference.length > 64) return reference
  const decoded = tokenize(reference)
  if (known.size < REMEMBERED) known.set(detach(reference), detach(decoded))
  return decoded
}

function tokenize(reference: string): string {
  let out = ''
  const ignore = () => {}
  const tokenizer = new Tokenizer(
    {},
    {
      ontext: (start, end) => {
        out += reference.slice(start, end)
      },
      ontextentity: (codePoint) => {
        // Control characters are no text, however they are written.
        if (codePoint >= 32 || codePoint === 9 || codePoint === 10) out += String.fromCodePoint(codePoint)
      },
      onattribdata: ignore,
      onattribentity: ignore,
      onattribend: ignore,
      onattribname: ignore,
      oncdata: ignore,
      onclosetag: ignore,
      oncomment: ignore,
      ondeclaration: ignore,
      onend: ignore,
      onopentagend: ignore,
      onopentagname: ignore,
      onprocessinginstruction: ignore,
      onselfclosingtag: ignore,
    },
  )
  tokenizer.write(reference)
  tokenizer.end()
  return out
}
