// Element names as small numbers, with what the tree builder and the extractor need to know about each.
// Sets follow the HTML standard (html.spec.whatwg.org, §13.1.2 and §13.2.4).

/** The node is text. */
export const TEXT = 0
/** An element whose name is not in the list below. */
export const OTHER = 1

export const TAG_NAMES = [
  'html head body title meta link script style base noscript template',
  'article main section nav aside header footer address hgroup search',
  'h1 h2 h3 h4 h5 h6 p div pre blockquote ul ol menu li dl dt dd figure figcaption hr center fieldset form details summary dialog dir listing',
  'table caption colgroup col thead tbody tfoot tr td th',
  'a abbr b bdi bdo br cite code data dfn em i kbd mark q s samp small span strong sub sup time u var wbr font big tt strike del ins',
  'img picture source svg math iframe object embed video audio track canvas map area param noembed noframes xmp plaintext',
  'button input select option optgroup textarea label legend output progress meter datalist',
].flatMap((line) => line.split(' '))

const IDS = new Map(TAG_NAMES.map((name, index) => [name, index + 2]))

/** Number of an element name in lower case. */
export function tagId(name: string): number {
  return IDS.get(name) ?? OTHER
}

/** Name of a number from `tagId`. */
export function tagName(id: number): string {
  return id === TEXT ? '#text' : (TAG_NAMES[id - 2] ?? 'unknown')
}

/** How many numbers there are. */
export const TAG_COUNT = TAG_NAMES.length + 2

/** A lookup table of element names: `tagSet('ul ol')[tag] === 1`. */
export function tagSet(names: string): Uint8Array {
  const set = new Uint8Array(TAG_COUNT)
  for (const name of names.split(' ')) set[tagId(name)] = 1
  return set
}

/** No content and no end tag. */
export const VOID = tagSet('meta link base hr br wbr img source embed track area param input col')

/** Their content is text up to their end tag. */
export const RAW_TEXT = tagSet('script style iframe noembed noframes xmp title textarea')

/** Of these, the content has character references. */
export const ESCAPABLE_RAW_TEXT = tagSet('title textarea')

/** They start a new line, and an open `p` ends before most of them. */
export const BLOCK = tagSet(
  'html body article main section nav aside header footer address hgroup search h1 h2 h3 h4 h5 h6 p div pre blockquote ul ol menu li ' +
    'dl dt dd figure figcaption hr center fieldset form details summary dialog dir listing table caption thead tbody tfoot tr td th ' +
    'noscript template iframe xmp plaintext legend option optgroup textarea',
)

/** An open `p` ends before these. */
export const CLOSES_P = tagSet(
  'article main section nav aside header footer address hgroup search h1 h2 h3 h4 h5 h6 p div pre blockquote ul ol menu li dl dt dd ' +
    'figure figcaption hr center fieldset form details summary dialog dir listing table xmp plaintext',
)

/** What may stand in `head`; anything else ends it. */
export const IN_HEAD = tagSet('head title meta link script style base noscript template')

/** End tags of elements outside of these do not reach through them. */
export const SCOPE = tagSet('html table td th caption object template')
