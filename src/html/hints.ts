// What an element's class, id, role and test id say about its part on the page: words that designers of many sites use.
// A hint is evidence, never a verdict: `content.ts` weighs it against the text that lies inside.

import type { Attributes } from './tree.ts'

/** Bits of a hint. */
export const BOILERPLATE = 1
export const CONTENT = 2
export const COMMENTS = 4
/** Boilerplate by words that also name the container of a whole article; judged with more care. */
export const WEAK_BOILERPLATE = 8
export const HIDDEN = 16
export const CAPTION = 32

// Words are matched at the start of a part of the name: `share` in `post-share`, `shareBar`, `share_buttons`.
const BOILERPLATE_WORDS =
  'nav navigation navbar menu submenu breadcrumb breadcrumbs crumbs footer foot footnav masthead sidebar rail share sharing sharebar sharer ' +
  'social addthis sharedaddy related relatedposts recommend recommended recommendation recommendations recirc recirculation promo promos ' +
  'promoted promotion sponsor sponsored sponsors advert adverts advertisement advertising advertorial ads ad adsense adslot adunit dfp taboola outbrain zergnet revcontent ' +
  'newsletter newsletters subscribe subscription signup login signin register registration popup popin modal overlay lightbox cookie cookies ' +
  'consent gdpr widget widgets toolbar tools pagination pager paging tagcloud tags taglist toc print printonly rating ratings ' +
  'copyright disclaimer legal skip skiplink trending popular mostread mostpopular readmore morefrom more next previous prev upnext ' +
  'teaser teasers suggestions suggested byline authorbox bio authorbio dateline timestamp metadata postmeta postinfo ' +
  'outline paywall donate donation support-us followus follow feedback poll survey quiz ticker carousel slider gallery jump ' +
  'alsolike readnext seealso keywords syndication noprint loading preloader spinner backtotop editsection navbox catlinks reflist ' +
  'buttons button btn dropdown tooltip ' +
  'werbung anzeige teilen kommentieren verwandt weiterlesen empfehlungen partage publicite'

const CONTENT_WORDS =
  'article articlebody articletext articlecontent body entry entrycontent postcontent postbody post story storybody storytext content main ' +
  'maincontent text blog blogpost prose markdown richtext news artikel texte corps contenido cuerpo noticia mw'

const COMMENT_WORDS =
  'comment comments commentlist commentary commentarea commentsarea disqus respond reply replies discussion livefyre kommentare kommentar ' +
  'comentarios commentaires reactions reacties reaktionen'

const HIDDEN_WORDS =
  'hidden hide visually-hidden visuallyhidden sr-only sronly screenreader screen-reader display-none dnone invisible noshow d-none'

const CAPTION_WORDS =
  'caption captions credit credits photocredit imagecaption figcaption attribution copyright wp-caption-text legende bildunterschrift'

const sets: readonly (readonly [bit: number, words: ReadonlySet<string>])[] = [
  [BOILERPLATE, new Set(BOILERPLATE_WORDS.split(' '))],
  [CONTENT, new Set(CONTENT_WORDS.split(' '))],
  [COMMENTS, new Set(COMMENT_WORDS.split(' '))],
  [HIDDEN, new Set(HIDDEN_WORDS.split(' '))],
  [CAPTION, new Set(CAPTION_WORDS.split(' '))],
]

const BOILERPLATE_ROLES = new Set([
  'navigation',
  'complementary',
  'contentinfo',
  'search',
  'dialog',
  'alertdialog',
  'menu',
  'menubar',
  'toolbar',
  'tablist',
  'alert',
  'tooltip',
  'button',
])

const REMEMBERED = 20_000
const remembered = new Map<string, number>()

/** The hint bits of an element's attributes. */
export function hintOf(attributes: Attributes): number {
  let bits = 0
  if (attributes.hidden !== undefined || attributes['aria-hidden'] === 'true') bits |= HIDDEN
  if (attributes.style !== undefined && /display\s*:\s*none|visibility\s*:\s*hidden/i.test(attributes.style)) bits |= HIDDEN
  if (attributes.role !== undefined) bits |= roleHint(attributes.role)
  if (attributes.itemprop !== undefined && /articleBody|text\b/.test(attributes.itemprop)) bits |= CONTENT
  if (attributes.class !== undefined) bits |= nameHint(attributes.class)
  if (attributes.id !== undefined) bits |= nameHint(attributes.id)
  if (attributes['data-testid'] !== undefined) bits |= nameHint(attributes['data-testid'])
  if (attributes['data-component'] !== undefined) bits |= nameHint(attributes['data-component'])
  return bits
}

function roleHint(role: string): number {
  if (role === 'main' || role === 'article') return CONTENT
  return BOILERPLATE_ROLES.has(role) ? BOILERPLATE : 0
}

function nameHint(name: string): number {
  let bits = remembered.get(name)
  if (bits !== undefined) return bits
  bits = readName(name.length > 400 ? name.slice(0, 400) : name)
  if (remembered.size < REMEMBERED) remembered.set(name, bits)
  return bits
}

function readName(name: string): number {
  let bits = 0
  for (const className of name.split(/\s+/)) {
    const whole = className.toLowerCase()
    for (const [bit, words] of sets) if (words.has(whole) || words.has(whole.replace(/[-_]/g, ''))) bits |= bit
    const parts = className
      .replace(/([a-z])([A-Z])/g, '$1-$2')
      .toLowerCase()
      .split(/[^a-z]+/)
    for (const part of parts) for (const [bit, words] of sets) if (words.has(part)) bits |= bit
  }
  return bits
}
