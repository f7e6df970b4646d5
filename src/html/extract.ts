// From a page to its main content, as text or Markdown, with what the page says about itself. Pure and synchronous;
// linear in the page. The parts: `tree.ts` parses, `content.ts` decides, `render.ts` writes, `metadata.ts` reads the rest.

import { type Block, blocksOf } from './blocks.ts'
import { findContent, LIMITS, type Limits, type Mode, wholePage } from './content.ts'
import { detach } from './detach.ts'
import { leadBefore } from './lead.ts'
import { type Measures, measure } from './measure.ts'
import { type PageMetadata, readMetadata } from './metadata.ts'
import { renderMarkdown, renderText } from './render.ts'
import { placeSegments } from './streamed.ts'
import { type HtmlTree, parseHtml } from './tree.ts'
import { trimBlocks } from './trim.ts'

export interface ExtractOptions {
  /** `precision` leaves out what is doubtful, `recall` keeps it. */
  readonly mode: Mode
  readonly format: 'text' | 'markdown'
  /** Whether readers' comments belong to the text. */
  readonly comments: boolean
  /** Where the page was found, if that is known: paths tell threads, and days. */
  readonly url?: string | undefined
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

/**
 * Extracts a page. Never throws: any string is a page.
 *
 * @param limits the mode's own; others for benchmarks that choose them
 */
export function extract(html: string, options: ExtractOptions = extractDefaults, limits: Limits = LIMITS[options.mode]): Extraction {
  const tree = placeSegments(parseHtml(html))
  const measures = measure(tree)
  const metadata = readMetadata(tree, measures, options.url)
  const blocks = readBlocks(tree, measures, metadata, options, limits)
  const text = detach(options.format === 'markdown' ? renderMarkdown(blocks) : renderText(blocks))
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

/** A main part shorter than this is doubted: the page may be a list, a table, a search result. */
const DOUBTED_CHARACTERS = 250

function readBlocks(tree: HtmlTree, measures: Measures, metadata: PageMetadata, options: ExtractOptions, limits: Limits): Block[] {
  const isMarkdown = options.format === 'markdown'
  const openings = [metadata.description ?? '', openingOf(metadata.articleBody ?? '')]
  const isDiscussion = metadata.kind === 'discussion'
  const content = findContent(tree, measures, { comments: options.comments, isDiscussion, limits }, openings)
  const main = trimBlocks(blocksOf(tree, content.root, content.isOut, isMarkdown), metadata.title, options.mode)
  const lead = options.mode === 'precision' ? undefined : leadBefore(tree, measures, content.root, metadata.description ?? '')
  if (lead !== undefined && !main.slice(0, 4).some((block) => block.text.startsWith(lead.text.slice(0, 30)))) main.unshift(lead)
  const mainCharacters = charactersOf(main)
  for (const section of content.comments)
    main.push(...trimBlocks(blocksOf(tree, section, content.isOut, isMarkdown), undefined, options.mode))
  if (options.mode === 'precision' || !isDoubted(measures, metadata, mainCharacters)) return main
  if (mainCharacters < DOUBTED_CHARACTERS && metadata.articleBody !== undefined && metadata.articleBody.length > 2 * DOUBTED_CHARACTERS)
    return blocksOfArticleBody(metadata.articleBody)
  const page = wholePage(tree, measures, mainCharacters < DOUBTED_CHARACTERS)
  const whole = trimBlocks(
    blocksOf(tree, page.root, page.isOut, isMarkdown),
    metadata.title,
    options.mode === 'recall' ? 'recall' : 'whole',
  )
  return mainCharacters < charactersOf(whole) * DOUBTED_SHARE ? whole : main
}

/** A main part with less than this share of what the page says is one of many: no article, but a list, a shop, a front page. */
const DOUBTED_SHARE = 0.4

/** Whether a page may be better read whole. An article or a thread may well be shorter than what surrounds it. */
function isDoubted(measures: Measures, metadata: PageMetadata, mainCharacters: number): boolean {
  if (mainCharacters < DOUBTED_CHARACTERS) return true
  if (metadata.kind === 'article' || metadata.kind === 'discussion') return false
  const all = measures.characters.reduce((sum, characters) => sum + characters, 0)
  return mainCharacters < all * DOUBTED_SHARE
}

/** The first words of JSON-LD's text, which may be markup. */
function openingOf(articleBody: string): string {
  return articleBody.slice(0, 500).replace(/<[^>]*>/g, '')
}

/** The text that a page shows only by its scripts but carries in its JSON-LD: as markup or with line breaks. */
function blocksOfArticleBody(articleBody: string): Block[] {
  const tree = parseHtml(articleBody.includes('<p') ? articleBody : articleBody.replace(/\n/g, '<br>'))
  return blocksOf(tree, 0, measure(tree).isDead)
}

function charactersOf(blocks: readonly Block[]): number {
  return blocks.reduce((sum, block) => sum + block.text.length, 0)
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
