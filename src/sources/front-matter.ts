// YAML between --- lines at the top of a Markdown file, as Jekyll brought it up: jekyllrb.com/docs/front-matter. Data set
// cards on Hugging Face have it too.

import { parse } from 'yaml'
import type { Json } from '../core/document.ts'
import { isObject, type JsonObject } from './record-fields.ts'

/** What opens with --- and goes on longer is a thematic break, not front matter. */
const LONGEST = 65_536

/** @returns the text as it is where nothing at its top is such YAML */
export function splitFrontMatter(text: string): { readonly text: string; readonly matter?: JsonObject } {
  if (!/^---[ \t]*\r?\n/.test(text)) return { text }
  const found = /^---[ \t]*\r?\n([\s\S]*?)(?:^|\r?\n)(?:---|\.\.\.)[ \t]*(?:\r?\n|$)/m.exec(text.slice(0, LONGEST))
  const matter = found ? parsedYaml(found[1]) : undefined
  return found && matter ? { text: text.slice(found[0].length).replace(/^(?:[ \t]*\r?\n)+/, ''), matter } : { text }
}

function parsedYaml(yaml: string): JsonObject | undefined {
  try {
    const parsed: Json = JSON.parse(JSON.stringify(parse(yaml, { logLevel: 'error', maxAliasCount: 100 }) ?? null))
    return isObject(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}
