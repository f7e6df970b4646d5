// From a page to its main content, as text or Markdown, with what the page says about itself. Pure and synchronous;
// linear in the page. The parts: `tree.ts` parses, `content.ts` decides, `render.ts` writes, `metadata.ts` reads the rest.

import { type Block, blocksOf } from './blocks.ts'
import { findContent } from './content.ts'
import { type PageMetadata, readMetadata } from './metadata.ts'
import { renderMarkdown, renderText } from './render.ts'
import { parseHtml } from './tree.ts'
import { trimBlocks } from './trim.ts'

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
  const metadata = readMetadata(tree)
  const content = findContent(tree, options, metadata.description)
  const blocks = trimBlocks(blocksOf(tree, content.root, content.isOut), metadata.title)
  const text = options.format === 'markdown' ? renderMarkdown(blocks) : renderText(blocks)
  return {
    text,
    metadata,
    statistics: {
      htmlCharacters: html.length,
      textCharacters: text.length,
      linkDensity: linkDensity(blocks),
      textRatio: html.length === 0 ? 0 : text.length / html.length,
    },
  }
}

function linkDensity(blocks: readonly Block[]): number {
  let characters = 0
  let linkCharacters = 0
  for (const block of blocks) {
    characters += block.text.length
    linkCharacters += block.linkCharacters
  }
  return characters === 0 ? 0 : linkCharacters / characters
}
