// What an element's class, id, role and test id say about its part on the page: words that designers of many sites use.
// A hint is evidence, never a verdict: `content.ts` weighs it against the text that lies inside.

import { detach } from './detach.ts'
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

/** The bits of each word. */
const BITS = new Map<string, number>()
for (const [bit, set] of WORDS) for (const word of set) BITS.set(word, (BITS.get(word) ?? 0) | bit)

const HIDDEN_NAMES = words(
  'hidden hide visually-hidden visuallyhidden sr-only sronly screen-reader-text screenreader-text screen-reader-only display-none d-none ' +
    'u-hidden is-hidden invisible element-invisible gutter linenos lineno line-numbers noscript',
)

/** `has-sidebar`, `no-ads`, `with-comments` describe what is elsewhere. */
const NEGATIONS = words('has with no not without one two is first last hide open')

const BOILERPLATE_ROLES = words('navigation complementary contentinfo search dialog alertdialog menu menubar toolbar alert tooltip banner')

const REMEMBERED = 50_000
const rememberedNames = new Map<string, number>()
const rememberedClasses = new Map<string, number>()

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

function nameHint(name: string): number {
  let bits = rememberedNames.get(name)
  if (bits !== undefined) return bits
  bits = 0
  for (const className of name.slice(0, LONGEST_NAME).split(/\s+/)) bits |= classHint(className)
  // WordPress lists a post's category and tags in the class of the whole post.
  if (name.includes('hentry')) bits &= CONTENT
  if (rememberedNames.size < REMEMBERED && name.length <= LONGEST_NAME) rememberedNames.set(detach(name), bits)
  return bits
}

const LONGEST_NAME = 400

function classHint(className: string): number {
  let bits = rememberedClasses.get(className)
  if (bits !== undefined) return bits
  bits = partsHint(partsOf(className))
  if (HIDDEN_NAMES.has(className.toLowerCase())) bits |= HIDDEN
  if (rememberedClasses.size < REMEMBERED) rememberedClasses.set(detach(className), bits)
  return bits
}

/** The words of a name: `shareBar_2` is `share`, `bar`. */
function partsOf(className: string): string[] {
  return (
    className
      // What follows two dashes in such names is a variant of the thing, not the thing: `section--ads`.
      .replace(/--.*/, '')
      .replace(/([a-z])([A-Z])/g, '$1-$2')
      .toLowerCase()
      .split(/[^a-z0-9]+/)
      .map((part) => part.replace(/\d+$/, ''))
      // What has digits inside is an id: `org1ad03`.
      .filter((part) => part !== '' && !/\d/.test(part))
  )
}

function partsHint(parts: readonly string[]): number {
  let bits = parts.length > 2 ? (BITS.get(parts.join('')) ?? 0) : 0
  let isAbout = false
  for (let i = 0; i < parts.length; i++) {
    bits |= BITS.get(parts[i]) ?? 0
    if (i > 0 && parts[i - 1].length > 2) bits |= BITS.get(parts[i - 1] + parts[i]) ?? 0
    if (NEGATIONS.has(parts[i])) isAbout = true
  }
  return isAbout ? bits & (CONTENT | ARTICLE_TEXT) : bits
}
