// What a page says about itself: title, author, date, site, language, license. From JSON-LD, `meta`, `link`, `time`, and
// the page's own heading, the more deliberate statement first.

import { authorNames, signedNames } from './authors.ts'
import { dateOfText, dateOfUrl, dateOfValue } from './dates.ts'
import { detach } from './detach.ts'
import { BYLINE } from './hints.ts'
import { type Json, jsonOf } from './json-ld.ts'
import type { Measures } from './measure.ts'
import { decodeReferences } from './references.ts'
import { TEXT, tagId } from './tags.ts'
import type { Attributes, HtmlTree } from './tree.ts'

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
  /** What the page says it is, by its structured data or its address. */
  readonly kind?: PageKind
}

export type PageKind = 'article' | 'discussion' | 'product'

const HTML = tagId('html')
const META = tagId('meta')
const LINK = tagId('link')
const TITLE = tagId('title')
const SCRIPT = tagId('script')
const H1 = tagId('h1')
const TIME = tagId('time')
const A = tagId('a')

const LONGEST = 500
/** Nodes that are looked at for the text of one element: a name or a heading is near. */
const FARTHEST = 200

/** Collects the metadata of a page in one pass. */
export function readMetadata(tree: HtmlTree, measures: Measures, url = ''): PageMetadata {
  const found = collect(tree, measures)
  const address = found.canonical ?? found.meta.get('og:url') ?? url
  const meta = (...names: string[]) => {
    for (const name of names) {
      const value = found.meta.get(name)
      if (value !== undefined) return value
    }
    return undefined
  }
  const site = meta('og:site_name', 'application-name', 'al:ios:app_name') ?? found.publisher
  const result: Record<string, string | undefined> = {
    title: titleOf(found.headline ?? meta('og:title', 'twitter:title', 'dc.title', 'citation_title'), found, site),
    author: authorOf(
      found,
      AUTHOR_NAMES.map((name) => found.meta.get(name)),
      site,
    ),
    date: publishedOf(found, address),
    site,
    language: languageOf(found.language ?? meta('content-language', 'og:locale')),
    license: found.license ?? meta('dc.rights', 'dcterms.license', 'copyright-license') ?? found.licenseLink,
    canonicalUrl: found.canonical ?? meta('og:url'),
    description: meta('description', 'og:description', 'twitter:description'),
    articleBody: found.articleBody,
    kind: kindOf(found, address),
  }
  const stated = Object.entries(result).flatMap(([key, value]) => (value === undefined || value === '' ? [] : [[key, detach(value)]]))
  return Object.fromEntries(stated)
}

const AUTHOR_NAMES = ['citation_author', 'author', 'article:author', 'dc.creator', 'parsely-author', 'sailthru.author', 'byl']

/** The most deliberate statement of who wrote the page that is a name, and the site's own name only where there is no other. */
function authorOf(found: Found, stated: readonly (string | undefined)[], site: string | undefined): string | undefined {
  const person = found.authorId === undefined ? undefined : found.persons.get(found.authorId)
  const names = [found.author, person, ...stated, found.byline, found.signed].flatMap((value) => authorNames(value ?? '') ?? [])
  return names.find((name) => name.toLowerCase() !== site?.toLowerCase()) ?? names[0]
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
  /** Types of schema.org that the page gives itself or its parts. */
  readonly types: Set<string>
  title?: string
  heading?: string
  headingAt: number
  headline?: string
  author?: string
  /** Of the person that JSON-LD names elsewhere as the author. */
  authorId?: string
  readonly persons: Map<string, string>
  byline?: string
  signed?: string
  published?: string
  time?: string
  dateLine?: string
  publisher?: string
  language?: string
  license?: string
  licenseLink?: string
  canonical?: string
  articleBody?: string
}

function collect(tree: HtmlTree, measures: Measures): Found {
  const found: Found = { meta: new Map(), types: new Set(), headingAt: 0, persons: new Map() }
  for (let node = 1; node < tree.count; node++) {
    const tag = tree.tag[node]
    if (tag === TEXT) {
      if (found.heading !== undefined && found.signed === undefined && measures.isDead[node] === 0) addSigned(tree, node, found)
      continue
    }
    const attributes = tree.attributes[node]
    if (tag === TITLE) found.title ??= clean(tree.text[node])
    else if (tag === H1 && found.heading === undefined) addHeading(tree, node, found)
    if (attributes === undefined) continue
    if (attributes.itemtype !== undefined) found.types.add(attributes.itemtype.trim().replace(/^.*\//, ''))
    if (tag === HTML) found.language ??= attributes.lang ?? attributes['xml:lang']
    else if (tag === META) addMeta(found, attributes)
    else if (tag === LINK || tag === A) addLink(found, attributes)
    else if (tag === SCRIPT && attributes.type?.toLowerCase().includes('ld+json')) addJsonLd(found, tree.text[node])
    else if (tag === TIME && (attributes.pubdate !== undefined || /publish/i.test(attributes.itemprop ?? '')))
      found.published ??= attributes.datetime
    else if (tag === TIME) found.time ??= attributes.datetime
    if ((measures.hint[node] & BYLINE) !== 0 || isAuthorLink(attributes.rel)) addNamed(tree, node, attributes, found)
  }
  return found
}

function addHeading(tree: HtmlTree, node: number, found: Found): void {
  found.heading = textOf(tree, node) || undefined
  found.headingAt = node
}

const AUTHOR_CLASS = /(?:^|[\s_-])(?:author|byline|autor|auteur|writer)(?:[\s_-]{0,2}(?:name|link))?(?:$|\s)/i
const DATE_CLASS = /(?:^|[\s_-])(?:date|datum|fecha|published|pubdate|timestamp|posted-on|entry-date|post-date)(?:$|\s)/i

function isAuthorLink(relations: string | undefined): boolean {
  return relations !== undefined && /(?:^|\s)author(?:\s|$)/i.test(relations)
}

/** A line near the heading that only signs the text, whatever its element is called: "By Ann Lee". */
function addSigned(tree: HtmlTree, node: number, found: Found): void {
  if (tree.text[node].length > LONGEST_SIGNATURE || node > found.headingAt + FARTHEST) return
  const line = clean(tree.text[node])
  // The name itself may be a link beside the "by".
  found.signed = signedNames(SIGN.test(line) ? textOf(tree, tree.parent[node]) : line)
}

const LONGEST_SIGNATURE = 120
const SIGN = /^(?:(?:written |posted )?by|von|par|por)$/i

/** Author and date by the names of the elements that show them. */
function addNamed(tree: HtmlTree, node: number, attributes: Attributes, found: Found): void {
  const { itemprop, rel, class: name } = attributes
  if (found.byline === undefined && (itemprop === 'author' || isAuthorLink(rel) || (name !== undefined && AUTHOR_CLASS.test(name)))) {
    const author = attributes.content ?? textOf(tree, node)
    if (author.length <= 100 && authorNames(author) !== undefined) found.byline = author
  }
  if (found.dateLine === undefined && (itemprop === 'datePublished' || (name !== undefined && DATE_CLASS.test(name)))) {
    const line = attributes.content ?? attributes.datetime ?? textOf(tree, node)
    if (line.length < 100 && /\d/.test(line) && dateOfText(line) !== undefined) found.dateLine = line
  }
}

/** The page's title as it shows it: its heading where a stated title says the same, else that title without the site's name. */
function titleOf(stated: string | undefined, found: Found, site: string | undefined): string | undefined {
  const { heading } = found
  const title = stated ?? found.title
  if (heading === undefined || title === undefined) return withoutSite(title ?? heading, site)
  return saysTheSame(heading, title) ? heading : withoutSite(stated ?? (saysTheSame(heading, found.title ?? '') ? heading : title), site)
}

/** One begins as the other does, or has most of its words. */
function saysTheSame(heading: string, title: string): boolean {
  const [few, many] = [heading, title]
    .map((text) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])
    .toSorted((a, b) => a.length - b.length)
  if (few.length === 0 || heading.length > 200) return false
  const known = new Set(many)
  return few.filter((word) => known.has(word)).length >= few.length * 0.75
}

function addMeta(found: Found, attributes: Attributes): void {
  const name = attributes.property ?? attributes.name ?? attributes.itemprop ?? attributes['http-equiv']
  const value = clean(attributes.content ?? '')
  if (name === undefined || value === '') return
  for (const one of name.toLowerCase().split(/\s+/)) {
    const before = found.meta.get(one)
    if (before === undefined) found.meta.set(one, value)
    // Papers name each author in an element of their own.
    else if (one === 'citation_author' && before.length < LONGEST) found.meta.set(one, `${before}, ${value}`)
  }
}

function addLink(found: Found, attributes: Attributes): void {
  if (attributes.href === undefined) return
  // A link to a Creative Commons licence says it as well, though it may be a picture's.
  if (found.licenseLink === undefined && attributes.href.includes('creativecommons.org') && LICENSE_LINK.test(attributes.href))
    found.licenseLink = attributes.href.trim()
  if (attributes.rel === undefined) return
  for (const relation of attributes.rel.toLowerCase().split(/\s+/)) {
    if (relation === 'canonical') found.canonical ??= attributes.href.trim()
    else if (relation === 'license') found.license ??= attributes.href.trim()
  }
}

const LICENSE_LINK = /creativecommons\.org\/(?:licenses|publicdomain)\//

const ARTICLE_TYPES = /Article|BlogPosting|Report|Review|WebPage|Recipe|HowTo|Posting/

function addJsonLd(found: Found, source: string): void {
  const queue: Json[] = [jsonOf(source)]
  for (let i = 0; i < queue.length && i < 200; i++) {
    const value = queue[i]
    if (Array.isArray(value)) queue.push(...value.slice(0, 100))
    else if (isRecord(value)) {
      if (value['@graph'] !== undefined) queue.push(value['@graph'])
      for (const type of typesOf(value['@type'])) found.types.add(type)
      if (typeof value['@id'] === 'string' && typeof value.name === 'string') found.persons.set(value['@id'], value.name)
      if (ARTICLE_TYPES.test(namesOf(value['@type']))) addArticle(found, value)
    }
  }
}

function typesOf(value: Json | undefined): string[] {
  return (Array.isArray(value) ? value.slice(0, 10) : [value]).filter((one) => typeof one === 'string')
}

const DISCUSSION_TYPES = ['DiscussionForumPosting', 'QAPage']
const DISCUSSION_PATH = /\/(?:forums?|threads?|t|questions|discussions?)\/.|\/topics?\/\d|(?:viewtopic|showthread)\b/i
const ARTICLE_TYPE = /^(?:\w*Article|BlogPosting|Report)$/

/** What a page says it is. An `og:type` of `article` says nothing: plug-ins write it into every page. */
function kindOf(found: Found, address: string): PageKind | undefined {
  if (DISCUSSION_TYPES.some((type) => found.types.has(type))) return 'discussion'
  const types = [...found.types]
  if (types.some((type) => ARTICLE_TYPE.test(type)) || found.meta.has('article:published_time')) return 'article'
  if (DISCUSSION_PATH.test(pathOf(address))) return 'discussion'
  return types.some((type) => /^Product(?:Group)?$/.test(type)) || /product/.test(found.meta.get('og:type') ?? '') ? 'product' : undefined
}

/** Path and query of a URL. */
function pathOf(url: string): string {
  return url.replace(/^(?:[a-z]+:)?\/\/[^/]*/i, '')
}

function addArticle(found: Found, article: JsonRecord): void {
  const isPage = namesOf(article['@type']) === 'WebPage'
  if (!isPage) found.headline ??= stringOf(article.headline)
  found.published ??= stringOf(article.datePublished)
  found.author ??= namesOf(article.author) || undefined
  if (article.author !== undefined && isRecord(article.author)) found.authorId ??= stringOf(article.author['@id'])
  found.publisher ??= namesOf(article.publisher) || undefined
  found.license ??= stringOf(article.license)
  if (typeof article.articleBody === 'string' && article.articleBody.length > 200) found.articleBody ??= article.articleBody
}

type JsonRecord = { readonly [key: string]: Json }

function isRecord(value: Json): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function stringOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? clean(decodeReferences(value)) : undefined
}

/** Names of one or several: `"Ann"`, `{ name: "Ann" }`, `[…]`. */
function namesOf(value: Json | undefined): string {
  const list = Array.isArray(value) ? value.slice(0, 10) : [value]
  const names: string[] = []
  for (const one of list) {
    const name = typeof one === 'string' ? one : one !== undefined && isRecord(one) ? one.name : undefined
    if (typeof name === 'string' && name.trim() !== '') names.push(clean(decodeReferences(name)))
  }
  return names.join(', ')
}

/** Blanks that are not one space, and control characters, which no name or title has. */
const BLANKS = /(?:[^\S ]|[\0-\x1f\x7f])[\s\0-\x1f\x7f]*| [\s\0-\x1f\x7f]+/g

function clean(text: string): string {
  // What is cut off later need not be cleaned: data sits in attributes by the megabyte.
  const line = text
    .slice(0, 4 * LONGEST)
    .replace(BLANKS, ' ')
    .trim()
  return line.length > LONGEST ? line.slice(0, LONGEST).toWellFormed() : line
}

function textOf(tree: HtmlTree, node: number): string {
  let text = ''
  const end = Math.min(tree.end[node], node + FARTHEST)
  for (let i = node + 1; i < end && text.length < LONGEST; i++) if (tree.tag[i] === TEXT) text += tree.text[i]
  return clean(text)
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

/** The most deliberate statement of when the page was published that is a date. */
function publishedOf(found: Found, address: string): string | undefined {
  const values = [found.published, ...DATE_NAMES.map((name) => found.meta.get(name)), found.time]
  for (const value of values) {
    const date = value === undefined ? undefined : dateOfValue(value)
    if (date !== undefined) return date
  }
  return (found.dateLine === undefined ? undefined : dateOfText(found.dateLine)) ?? dateOfUrl(address)
}

function languageOf(language: string | undefined): string | undefined {
  const match = /^[a-z]{2,3}(?:[-_][a-z0-9]{2,8})*$/i.exec(language?.trim() ?? '')
  return match === null ? undefined : match[0].replaceAll('_', '-')
}
