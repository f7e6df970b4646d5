// What an element's class, id, role and test id say about its part on the page: words that designers of many sites use.
// A hint is evidence, never a verdict: `content.ts` weighs it against the text that lies inside.

import { detach } from './detach.ts'
import { NameTable } from './name-table.ts'
import type { Attributes } from './tree.ts'

/** Navigation, sharing, advertising, related items: words that name little else. */
export const BOILERPLATE = 1
/** Words of boilerplate that also name harmless containers: only short or link-laden parts are taken out for them. */
export const DOUBTFUL = 2
/** Readers' comments. */
export const COMMENTS = 4
/** Not shown. */
export const HIDDEN = 8
/** Words for a page's main part. */
export const CONTENT = 16
/** Names that hold an article's own text and nothing else: `articleBody`, `entry-content`. */
export const ARTICLE_TEXT = 32
/** Captions and picture credits. */
export const CAPTION = 64
/** Author, date, reading time. */
export const BYLINE = 128
/** Questions about cookies and consent. */
export const CONSENT = 256

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '))
const tableOf = <T>(names: string, value: T) => new NameTable(names.split(' ').map((name) => [name, value] as const))

// A word counts where it is a part of a name (`share` in `post-share` and `shareBar`) or the whole name without its marks.
const WORDS: readonly (readonly [bit: number, words: ReadonlySet<string>])[] = [
  [
    BOILERPLATE,
    words(
      'nav navigation navbar menu submenu breadcrumb breadcrumbs crumbs footer masthead sidebar share shares sharing sharebar ' +
        'social socials related relatedposts relatedarticles recommend recommended recommendation recommendations ' +
        'promo promos promoted promotion sponsor sponsored sponsors advert adverts advertisement advertisements advertising ' +
        'ad ads adsense advertorial taboola outbrain newsletter newsletters signup login ' +
        'signin popup cookie cookies pagination pager tagcloud copyright trending mostread mostpopular readmore ' +
        'morefrom upnext alsolike readnext suggestions suggested donate followus noprint backtotop ' +
        'werbung anzeige partage publicidad publicite iklan teilen paywall subscribe subscription authorbox authorbio ' +
        'postnav',
    ),
  ],
  [
    CONSENT,
    words(
      'cookiebar cookiebanner cookienotice cookieconsent cookiemodal cookiepopup cookielaw consent gdpr onetrust cookiebot usercentrics',
    ),
  ],
  [
    DOUBTFUL,
    words(
      'banner widget widgets tags taglist toolbar tool print rating ratings disclaimer legal popular next previous prev teaser teasers ' +
        'bio metadata follow feedback poll survey quiz ticker carousel slider slideshow gallery jump keywords syndication loading ' +
        'overlay modal lightbox tooltip dropdown button buttons btn btns toc utility utilities action actions icons links link menuitem rail aside ' +
        'cta optin register registration form search filter sort tabs player podcast audio embed infobox factbox topics ' +
        'categories category credits header head foot topbar extra extras see seealso external card cards alert alerts notice message messages placeholder profile postprofile userprofile userinfo userdetails posterinfo useravatar avatar signature',
    ),
  ],
  [
    COMMENTS,
    words(
      'comment comments commentlist commentary commentarea commentsarea commentform disqus respond replies kommentare kommentar comentarios ' +
        'commentaires reacties reaktionen reader-comments ',
    ),
  ],
  [
    CONTENT,
    words(
      'article body entry post story content main text blog blogpost prose markdown maincontent pagecontent contentbody bodycontent richtext news artikel texte corps contenido cuerpo noticia page single detail copy',
    ),
  ],
  [
    ARTICLE_TEXT,
    words(
      'articlebody articletext articlecontent articlecopy articlemain entrycontent entrytext postcontent postbody posttext postentry storybody storytext storycontent blogcontent ' +
        'newsbody newstext newscontent bodytext bodycopy maintext textbody fieldnamebody ' +
        'artikelbody artikeltext articledetail mwparseroutput markdownbody',
    ),
  ],
  [
    CAPTION,
    words(
      'caption captions credit photocredit imagecredit imagecaption figcaption legend legende bildunterschrift bildquelle photographer',
    ),
  ],
  [
    BYLINE,
    words(
      'byline bylines autor auteur datum fecha postedon dateline timestamp postmeta entrymeta articlemeta postinfo articleinfo author authors pubdate publishdate published postdate date datetime meta byauthor readingtime readtime',
    ),
  ],
]

const WORD_BITS = new NameTable(sumBits())

/** Every word once, with all its bits. */
function sumBits(): [string, number][] {
  const bits = new Map<string, number>()
  for (const [bit, set] of WORDS) for (const word of set) bits.set(word, (bits.get(word) ?? 0) | bit)
  return [...bits]
}

const HIDDEN_NAMES = tableOf(
  'hidden hide visually-hidden visuallyhidden sr-only sronly screen-reader-text screenreader-text screen-reader-only display-none d-none ' +
    'u-hidden is-hidden invisible element-invisible gutter linenos lineno line-numbers noscript',
  HIDDEN,
)

/** `has-sidebar`, `no-ads`, `with-comments` describe what is elsewhere. */
const NEGATIONS = tableOf('has with no not without one two is first last hide open', true)

const BOILERPLATE_ROLES = words('navigation complementary contentinfo search dialog alertdialog menu menubar toolbar alert tooltip banner')

/** The hint bits of an element's attributes. */
export function hintOf(attributes: Attributes): number {
  let bits = 0
  if (attributes.hidden !== undefined || attributes['aria-hidden'] === 'true') bits |= HIDDEN
  if (attributes.style !== undefined && HIDDEN_STYLE.test(attributes.style)) bits |= HIDDEN
  if (attributes.role !== undefined) bits |= roleHint(attributes.role)
  if (attributes.itemprop !== undefined) bits |= itemHint(attributes.itemprop)
  if (attributes.class !== undefined) bits |= nameHint(attributes.class)
  if (attributes.id !== undefined) bits |= nameHint(attributes.id)
  if (attributes['data-testid'] !== undefined) bits |= nameHint(attributes['data-testid'])
  if (attributes['data-component'] !== undefined) bits |= nameHint(attributes['data-component'])
  return (bits & HIDDEN) !== 0 && isPanel(attributes) ? bits & ~HIDDEN : bits
}

/** A part that opens at a click: its text belongs to the page, though it is hidden at first. */
function isPanel({ role, class: name, id }: Attributes): boolean {
  return role === 'tabpanel' || PANEL.test(name ?? '') || PANEL.test(id ?? '')
}

const PANEL = /accordion|collaps|tab-?(?:panel|pane|content)|faq|answer/i

const HIDDEN_STYLE = /display\s*:\s*none|visibility\s*:\s*hidden/i

function roleHint(role: string): number {
  if (role === 'main' || role === 'article') return CONTENT
  return BOILERPLATE_ROLES.has(role) ? BOILERPLATE : 0
}

function itemHint(property: string): number {
  if (/articleBody/i.test(property)) return ARTICLE_TEXT | CONTENT
  return /^(?:author|datePublished|dateModified)$/.test(property) ? BYLINE : 0
}

/** The bits of a class attribute, an id, a test id. */
function nameHint(name: string): number {
  const known = remembered.get(name)
  if (known !== undefined) return known
  let bits = 0
  const length = Math.min(name.length, LONGEST_NAME)
  for (let from = 0, to = 0; from < length; from = to + 1) {
    for (to = from; to < length && !isBlank(name.charCodeAt(to)); ) to++
    if (to > from) bits |= classHint(name, from, to)
  }
  // WordPress lists a post's category and tags in the class of the whole post.
  if (name.includes('hentry')) bits &= CONTENT
  if (name.length <= LONGEST_NAME) {
    // The web does not run out of names: those of long ago make room.
    if (remembered.size === REMEMBERED) remembered.clear()
    remembered.set(detach(name), bits)
  }
  return bits
}

const REMEMBERED = 50_000
const remembered = new Map<string, number>()
const LONGEST_NAME = 400

/**
 * The bits of one class name by its words: `shareBar_2` is `share`, `bar`; `org1ad03` with its digits inside is an id and no
 * word; what follows two dashes is a variant of the thing, not the thing: `section--ads`.
 */
function classHint(name: string, from: number, to: number): number {
  const hidden = HIDDEN_NAMES.find(name, from, to) ?? 0
  let bits = 0
  let isAbout = false
  let count = 0
  let before = ''
  let all = ''
  for (let at = from; at < to && !(name.charCodeAt(at) === DASH && name.charCodeAt(at + 1) === DASH); ) {
    const start = at
    at = endOfWord(name, start, to)
    let end = at
    while (end > start && isDigit(name.charCodeAt(end - 1))) end--
    if (at === start) at++
    if (end === start || hasDigit(name, start, end)) continue
    bits |= WORD_BITS.find(name, start, end) ?? 0
    isAbout ||= NEGATIONS.find(name, start, end) === true
    const word = name.slice(start, end).toLowerCase()
    if (before.length > 2) bits |= bitsOf(before + word)
    before = word
    all += word
    count++
  }
  if (count > 2) bits |= bitsOf(all)
  return hidden | (isAbout ? bits & (CONTENT | ARTICLE_TEXT) : bits)
}

const bitsOf = (word: string): number => WORD_BITS.find(word, 0, word.length) ?? 0

/** Where the letters and digits from `at` on end, or a capital follows a small letter. */
function endOfWord(name: string, start: number, to: number): number {
  let at = start
  for (let wasSmall = false; at < to; at++) {
    const code = name.charCodeAt(at)
    const isSmall = code >= 97 && code <= 122
    const isCapital = code >= 65 && code <= 90
    if (!(isSmall || isCapital || isDigit(code)) || (wasSmall && isCapital)) return at
    wasSmall = isSmall
  }
  return at
}

function hasDigit(name: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (isDigit(name.charCodeAt(at))) return true
  return false
}

const DASH = 45
const isDigit = (code: number): boolean => code >= 48 && code <= 57
const isBlank = (code: number): boolean => code === 32 || (code >= 9 && code <= 13)
