// From a page to its main content, as text or Markdown, with what the page says about itself. Pure and synchronous;
// linear in the page. The parts: `tree.ts` parses, `content.ts` decides, `render.ts` writes, `metadata.ts` reads the rest.

import { findContent } from './content.ts'
import { type PageMetadata, readMetadata } from './metadata.ts'
import { renderText } from './render.ts'
import { parseHtml } from './tree.ts'

export interface ExtractOptions {
  /** `precision` leaves out what is doubtful, `recall` keeps it. */
  readonly mode: 'balanced' | 'precision' | 'recall'
  readonly format: 'text' | 'markdown'
  /** Whether readers' comments belong to the text. */
  readonly comments: boolean
}

export interface Extraction {
  /** May be empty. Well-formed where the page is. */
  readonly text: string
  readonly metadata: PageMetadata
  readonly statistics: {
    readonly htmlCharacters: number
    readonly textCharacters: number
    /** Share of the text's characters that are links. */
    readonly linkDensity: number
    /** Characters of text for each of HTML. */
    readonly textRatio: number
  }
}

export const extractDefaults: ExtractOptions = { mode: 'balanced', format: 'text', comments: false }

/** Extracts a page. Never throws: any string is a page. */
export function extract(html: string, options: ExtractOptions = extractDefaults): Extraction {
  const tree = parseHtml(html)
  const content = findContent(tree, options)
  const text = renderText(tree, content.root, content.isOut)
  return {
    text,
    metadata: readMetadata(tree),
    statistics: {
      htmlCharacters: html.length,
      textCharacters: text.length,
      linkDensity: 0,
      textRatio: html.length === 0 ? 0 : text.length / html.length,
    },
  }
}
