// What a page says about itself: title, author, date, site, language, license. From JSON-LD, `meta`, `link`, `time`, and
// the page's own heading, the more deliberate statement first.

import { type Json, jsonOf } from './json-ld.ts'
import { TEXT, tagId } from './tags.ts'
import type { HtmlTree } from './tree.ts'

export interface PageMetadata {
  readonly title?: string
  readonly author?: string
  /** Published, as ISO 8601 where the page has it so. */
  readonly date?: string
  readonly site?: string
  /** The `lang` attribute of the page: a claim, often wrong. */
  readonly language?: string
  /** URL or name. */
  readonly license?: string
  readonly canonicalUrl?: string
  readonly description?: string
  /** Text of the article as the publisher put it into JSON-LD. */
  readonly articleBody?: string
}

const HTML = tagId('html')
const META = tagId('meta')
const LINK = tagId('link')
const TITLE = tagId('title')
const SCRIPT = tagId('script')
const H1 = tagId('h1')
const TIME = tagId('time')
const A = tagId('a')

const LONGEST = 500

/** Collects the metadata of a page in one pass. */
export function readMetadata(tree: HtmlTree): PageMetadata {
  const found = collect(tree)
  const meta = (...names: string[]) => {
    for (const name of names) {
      const value = found.meta.get(name)
      if (value !== undefined) return value
    }
    return undefined
  }
  const site = meta('og:site_name', 'application-name', 'al:ios:app_name') ?? found.publisher
  const result: Record<string, string | undefined> = {
    title:
      found.headline ?? withoutSite(meta('og:title', 'twitter:title', 'dc.title', 'citation_title') ?? found.heading ?? found.title, site),
    author: authorOf(
      found.author ??
        meta('author', 'article:author', 'dc.creator', 'citation_author', 'parsely-author', 'sailthru.author', 'byl') ??
        found.byline,
    ),
    date: firstDate([found.published, ...DATE_NAMES.map((name) => found.meta.get(name)), found.time]),
    site,
    language: languageOf(found.language ?? meta('content-language', 'og:locale')),
    license: found.license ?? meta('dc.rights', 'dcterms.license', 'copyright-license'),
    canonicalUrl: found.canonical ?? meta('og:url'),
    description: meta('description', 'og:description', 'twitter:description'),
    articleBody: found.articleBody,
  }
  for (const key of Object.keys(result)) if (result[key] === undefined || result[key] === '') delete result[key]
  return result
}

/** Names of meta elements that say when a page was published, the most deliberate first. */
const DATE_NAMES = [
  'article:published_time',
  'datepublished',
  'date',
  'dc.date',
  'dc.date.issued',
  'dcterms.created',
  'citation_publication_date',
  'parsely-pub-date',
  'sailthru.date',
  'publishdate',
  'pubdate',
  'og:published_time',
  'article:published',
]

interface Found {
  readonly meta: Map<string, string>
  title?: string
  heading?: string
  headline?: string
  author?: string
  byline?: string
  published?: string
  time?: string
  publisher?: string
  language?: string
  license?: string
  canonical?: string
  articleBody?: string
}

function collect(tree: HtmlTree): Found {
  const found: Found = { meta: new Map() }
  for (let node = 1; node < tree.count; node++) {
    const tag = tree.tag[node]
    if (tag === TEXT) continue
    const attributes = tree.attributes[node]
    if (tag === TITLE) found.title ??= clean(tree.text[node])
    else if (tag === H1) found.heading ??= textOf(tree, node) || undefined
    if (attributes === undefined) continue
    if (tag === HTML) found.language ??= attributes.lang ?? attributes['xml:lang']
    else if (tag === META) addMeta(found, attributes)
    else if (tag === LINK || tag === A) addLink(found, attributes)
    else if (tag === SCRIPT && attributes.type?.toLowerCase().includes('ld+json')) addJsonLd(found, tree.text[node])
    else if (tag === TIME && (attributes.pubdate !== undefined || /publish/i.test(attributes.itemprop ?? '')))
      found.published ??= attributes.datetime
    else if (tag === TIME) found.time ??= attributes.datetime
    if (
      attributes.itemprop === 'author' ||
      attributes.rel === 'author' ||
      /(?:^|[\s_-])(?:author|byline)(?:[\s_-]?name)?(?:$|\s)/i.test(attributes.class ?? '')
    )
      found.byline ??= attributes.content ?? shortText(tree, node)
  }
  return found
}

function addMeta(found: Found, attributes: Readonly<Record<string, string>>): void {
  const name = attributes.property ?? attributes.name ?? attributes.itemprop ?? attributes['http-equiv']
  const value = clean(attributes.content ?? '')
  if (name === undefined || value === '') return
  for (const one of name.toLowerCase().split(/\s+/)) if (!found.meta.has(one)) found.meta.set(one, value)
}

function addLink(found: Found, attributes: Readonly<Record<string, string>>): void {
  if (attributes.rel === undefined || attributes.href === undefined) return
  for (const relation of attributes.rel.toLowerCase().split(/\s+/)) {
    if (relation === 'canonical') found.canonical ??= attributes.href.trim()
    else if (relation === 'license') found.license ??= attributes.href.trim()
  }
}

const ARTICLE_TYPES = /Article|BlogPosting|Report|Review|WebPage|Recipe|HowTo|Posting/

function addJsonLd(found: Found, source: string): void {
  const queue: Json[] = [jsonOf(source)]
  for (let i = 0; i < queue.length && i < 200; i++) {
    const value = queue[i]
    if (Array.isArray(value)) queue.push(...value.slice(0, 100))
    else if (isRecord(value)) {
      if (value['@graph'] !== undefined) queue.push(value['@graph'])
      if (ARTICLE_TYPES.test(namesOf(value['@type']))) addArticle(found, value)
    }
  }
}

function addArticle(found: Found, article: JsonRecord): void {
  const isPage = namesOf(article['@type']) === 'WebPage'
  if (!isPage) found.headline ??= stringOf(article.headline)
  found.published ??= stringOf(article.datePublished)
  found.author ??= namesOf(article.author) || undefined
  found.publisher ??= namesOf(article.publisher) || undefined
  found.license ??= stringOf(article.license)
  if (typeof article.articleBody === 'string' && article.articleBody.length > 200) found.articleBody ??= article.articleBody
}

type JsonRecord = { readonly [key: string]: Json }

function isRecord(value: Json): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function stringOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? clean(value) : undefined
}

/** Names of one or several: `"Ann"`, `{ name: "Ann" }`, `[…]`. */
function namesOf(value: Json | undefined): string {
  const list = Array.isArray(value) ? value.slice(0, 10) : [value]
  const names: string[] = []
  for (const one of list) {
    const name = typeof one === 'string' ? one : one !== undefined && isRecord(one) ? one.name : undefined
    if (typeof name === 'string' && name.trim() !== '') names.push(clean(name))
  }
  return names.join(', ')
}

function clean(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > LONGEST ? line.slice(0, LONGEST).toWellFormed() : line
}

function textOf(tree: HtmlTree, node: number): string {
  let text = ''
  for (let i = node + 1; i < tree.end[node] && text.length < LONGEST; i++) if (tree.tag[i] === TEXT) text += tree.text[i]
  return clean(text)
}

function shortText(tree: HtmlTree, node: number): string | undefined {
  const text = textOf(tree, node)
  return text.length > 1 && text.length <= 80 ? text : undefined
}

/** A title without the site's name behind it. */
function withoutSite(title: string | undefined, site: string | undefined): string | undefined {
  if (title === undefined || site === undefined) return title
  const at = Math.max(...[' | ', ' - ', ' – ', ' — ', ' :: ', ' · '].map((mark) => title.lastIndexOf(mark)))
  if (at <= 0) return title
  const tail = title
    .slice(at)
    .replace(/^[\s|\-–—:·]+/, '')
    .toLowerCase()
  return tail === site.toLowerCase() ? title.slice(0, at) : title
}

function authorOf(author: string | undefined): string | undefined {
  if (author === undefined || /^https?:/.test(author)) return undefined
  return author.replace(/^(?:by|von|par|por|di|door)[:\s]+/i, '').trim()
}

function firstDate(candidates: readonly (string | undefined)[]): string | undefined {
  for (const candidate of candidates) {
    const date = dateOf(candidate)
    if (date !== undefined) return date
  }
  return undefined
}

/** A date as ISO 8601: kept where it is already, read where it is unmistakable, else undefined. */
function dateOf(date: string | undefined): string | undefined {
  if (date === undefined) return undefined
  const iso = /^(\d{4})[-/](\d{2})[-/](\d{2})(.*)$/.exec(date.trim())
  if (iso !== null)
    return isDay(Number(iso[1]), Number(iso[2]), Number(iso[3])) ? `${iso[1]}-${iso[2]}-${iso[3]}${timeOf(iso[4])}` : undefined
  const compact = /^(\d{4})(\d{2})(\d{2})(?!\d)/.exec(date)
  if (compact !== null && isDay(Number(compact[1]), Number(compact[2]), Number(compact[3])))
    return `${compact[1]}-${compact[2]}-${compact[3]}`
  if (!/[a-z]{3}/i.test(date) || !/\d{4}/.test(date)) return undefined
  const time = Date.parse(/(?:GMT|UTC|Z|[+-]\d{4})/.test(date) ? date : `${date} UTC`)
  return Number.isNaN(time) ? undefined : new Date(time).toISOString()
}

function isDay(year: number, month: number, day: number): boolean {
  return month >= 1 && month <= 12 && day >= 1 && day <= new Date(Date.UTC(year, month, 0)).getUTCDate()
}

function timeOf(rest: string): string {
  const match = /^[T ]((?:[01]\d|2[0-3]):\d{2}(?::\d{2}(?:\.\d+)?)?)\s*(Z|[+-]\d{2}:?\d{2})?$/.exec(rest)
  return match === null ? '' : `T${match[1]}${match[2] ?? ''}`
}

function languageOf(language: string | undefined): string | undefined {
  const match = /^[a-z]{2,3}(?:[-_][a-z0-9]{2,8})*$/i.exec(language?.trim() ?? '')
  return match === null ? undefined : match[0].replaceAll('_', '-')
}
