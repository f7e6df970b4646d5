// JSON as pages embed it: often with raw line breaks in its strings, wrapped in comments, or broken beyond repair.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

const LARGEST = 2_000_000

/** The value; null where it is no JSON. */
export function jsonOf(source: string): Json {
  if (source.length > LARGEST) return null
  const bare = source
    .replace(/^\s*(?:<!--|\/\*<!\[CDATA\[\*\/|\/\/<!\[CDATA\[|<!\[CDATA\[)/, '')
    .replace(/(?:-->|\/\*\]\]>\*\/|\/\/\]\]>|\]\]>)\s*$/, '')
  return parsed(bare) ?? parsed(bare.replace(/[\u0000-\u001f]+/g, ' ')) ?? null
}

function parsed(source: string): Json | undefined {
  try {
    const value: Json = JSON.parse(source)
    return value
  } catch {
    return undefined
  }
}
