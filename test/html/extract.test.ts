// What comes out of whole pages: the fixtures written for this project, hostile pages, any bytes.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ExtractOptions, extract, extractDefaults } from '../../src/html/extract.ts'

function fixture(name: string): string {
  return readFileSync(new URL(`../../fixtures/html/${name}.html`, import.meta.url), 'utf8')
}

function textOf(name: string, options: Partial<ExtractOptions> = {}): string {
  return extract(fixture(name), { ...extractDefaults, ...options }).text
}

/** Asserts that all parts stand in the text, in this order. */
function assertInOrder(text: string, parts: readonly string[]): void {
  let at = 0
  for (const part of parts) {
    const found = text.indexOf(part, at)
    assert.ok(found >= 0, `missing or out of order: ${part}\n${text}`)
    at = found + part.length
  }
}

function assertWithout(text: string, parts: readonly string[]): void {
  for (const part of parts) assert.ok(!text.includes(part), `left in: ${part}`)
}

const PARAGRAPHS = Array.from(
  { length: 6 },
  (_, i) => `<p>Paragraph ${i} of the text says something, at some length, and then it ends with a full stop.</p>`,
).join('')

test('an article keeps its headings, paragraphs, lists, quotes, tables and code in order', () => {
  assertInOrder(textOf('article'), [
    'The wheel at Saltholm moved',
    'It had stood still since 1931. The trust that owns the mill spent',
    '\nWhat was replaced\n',
    '\n- forty-eight oak floats, each cut from a single plank;\n- two sluice gates, one of them rebuilt twice;\n',
    'You do not restore a mill',
    '\nYear | Hours worked | Spent\n2010 | 1,200 | £8,400\n',
    '\nwhile tide.rising():\n    if pond.level < sill:\n        gates.open()\n',
    'Flour will be ground',
  ])
})

test('an article loses navigation, sharing, advertising, related links, comments, footer and what is hidden', () => {
  assertWithout(textOf('article'), [
    'cookie',
    'Sport',
    'Heritage',
    'Share',
    'min read',
    'Advertisement',
    'Boots',
    'READ MORE',
    'Harbour wall',
    'grandfather',
    'parking',
    'newsletter',
    'reserved',
    'hidden sentence',
    'Photo',
    'autumn',
  ])
})

test('comments are kept where they are wanted', () => {
  assert.ok(textOf('article', { comments: true }).includes('My grandfather worked there'))
})

test('Markdown carries the structure', () => {
  const text = textOf('article', { format: 'markdown' })
  assertInOrder(text, [
    '\n\n## What was replaced\n\n',
    '\n\n- forty-eight oak floats',
    '\n\n> You do not restore',
    '\n\n| Year | Hours worked | Spent |\n| --- | --- | --- |\n| 2010 | 1,200 | £8,400 |\n',
    '\n\n```\nwhile tide.rising():\n    if pond.level < sill:',
    '\n```\n\nFlour',
  ])
  assertInOrder(textOf('docs', { format: 'markdown' }), ['1. It reads', '\n    - A missing file', '\n    - An empty', '\n2. It observes'])
})

test('an ordered list counts from where the page says', () => {
  const html = `<main>${PARAGRAPHS}<ol start=3><li>the third step of the recipe, at last<li>the fourth one, which ends it</ol></main>`
  assert.ok(
    extract(html, { ...extractDefaults, format: 'markdown' }).text.endsWith(
      '3. the third step of the recipe, at last\n4. the fourth one, which ends it',
    ),
  )
})

test('marks of emphasis and code hug their words, and neighbours share them', () => {
  const paragraph = (inside: string) =>
    extract(`<p>${inside}, and enough more words to make this a sentence.`, { ...extractDefaults, format: 'markdown' }).text.split(
      ', and',
    )[0]
  assert.equal(paragraph('one <b>two </b>three'), 'one **two** three')
  assert.equal(paragraph('<b>one</b><b>two</b> <strong>three</strong>'), '**onetwo three**')
  assert.equal(paragraph('<b>one <i>two</i></b>'), '**one** ***two***')
  assert.equal(paragraph('<code>a[i]</code><sub>1</sub> <b><code>b</code></b>'), '`a[i]`1 `b`')
  assert.equal(paragraph('<b> </b>one<br>two <em>three'), 'one\n\ntwo *three')
})

test('the lead that a site sets apart comes first, unless precision is asked for', () => {
  const lead = 'The bridge over the Salt will be closed for two years, from the first of May on.'
  const html =
    `<meta name=description content="${lead}"><article><header><h1>Bridge closed</h1><p class=standfirst>${lead}</p></header>` +
    `<div class=article-body>${PARAGRAPHS}</div></article>`
  assert.ok(extract(html).text.startsWith(`${lead}\nParagraph 0`))
  assert.ok(extract(html.replace(/<meta[^>]*>/, '')).text.startsWith(`${lead}\nParagraph 0`))
  assert.ok(extract(html, { ...extractDefaults, mode: 'precision' }).text.startsWith('Paragraph 0'))
})

test('a page that shows its text only by script gives the text of its JSON-LD', () => {
  const body = 'The ferry ran aground at noon. Nobody was hurt, and the cargo was dry. '.repeat(10)
  const html = `<script type="application/ld+json">${JSON.stringify({ '@type': 'NewsArticle', articleBody: `${body}\n\n${body}` })}</script><div id=app></div>`
  assert.equal(extract(html).text, `${body.trim()}\n${body.trim()}`)
})

test('verses keep their last lines, though these end like no sentence', () => {
  const verses =
    'The wheel turns<br>the water learns<br>the miller sleeps<br>the river keeps<br>what no one yearns<br>for any more<br>upon the shore'
  const { text } = extract(
    `<main><p>Found on the wall of the grinding house, in pencil, without a name or date:</p><p>${verses}</p></main>`,
  )
  assert.ok(text.endsWith('for any more\nupon the shore'), text)
})

test('a page says who wrote it, when, where and under which license', () => {
  assert.deepEqual(extract(fixture('article')).metadata, {
    title: 'Tide mill turns again after ninety years',
    author: 'Maren Holt, Ivo Brandt',
    date: '2021-05-04T08:30:00+01:00',
    site: 'The Estuary Gazette',
    language: 'en-GB',
    license: 'https://creativecommons.org/licenses/by/4.0/',
    canonicalUrl: 'https://gazette.example/2021/05/tide-mill',
    description: 'Volunteers have finished an eleven-year restoration of the mill at Saltholm.',
    kind: 'article',
  })
})

test('a page without JSON-LD is read by its meta elements', () => {
  const { metadata } = extract(
    '<html lang=pt_BR><title>Casa velha - Diário</title><meta property=og:site_name content=Diário><meta name=author content="Por Ana Reis">' +
      '<meta property=article:published_time content="2020-02-30T25:00"><meta name=date content="3 March 2020"><body><p>x',
  )
  assert.deepEqual(metadata, {
    title: 'Casa velha',
    author: 'Ana Reis',
    date: '2020-03-03',
    site: 'Diário',
    language: 'pt-BR',
    kind: 'article',
  })
})

const SENTENCES = (about: string, count = 5) =>
  Array.from(
    { length: count },
    (_, i) => `<p>The ${about} is looked at for the ${i}th time, by two people, and nothing is found.</p>`,
  ).join('')

test('text that a page shows only without scripts is read', () => {
  const html = `<body><div id=app>Loading …</div><noscript><nav><a href=/>Home</a></nav><main><h1>Sluice gates</h1>${SENTENCES('gate')}</main></noscript>`
  assert.ok(extract(html).text.startsWith('The gate is looked at for the 0th time'))
  const shown = `<body><main>${SENTENCES('gate', 9)}</main><noscript>${SENTENCES('picture', 3)}</noscript>`
  assertWithout(extract(shown).text, ['picture'])
})

test('text that a script would uncover is read where the page shows little else', () => {
  const hidden = `<body class=page><div class="root hide"><h1>Locks</h1>${SENTENCES('lock')}</div>`
  assert.ok(extract(hidden).text.includes('lock is looked at for the 4th time'))
  const dialog = `<body><main>${SENTENCES('lock', 20)}</main><div style="display:none">${SENTENCES('dialog', 60)}</div>`
  assertWithout(extract(dialog).text, ['dialog'])
})

test('parts that a page streams behind its body are read in their places', () => {
  const html =
    `<body><main><h1>Weirs</h1><p>A weir holds the river back, at least for a while, and then lets it go.</p><template id="B:0"></template>` +
    `<p>So ends the account of the weirs, which were all of them built before the war.</p></main>` +
    `<div hidden id="S:0"><p>The first weir was built of oak, and it lasted.</p><template id="P:1"></template></div>` +
    `<div hidden id="S:1"><p>The second one was built of stone, and it did not.</p></div>`
  assert.deepEqual(
    extract(html)
      .text.split('\n')
      .map((line) => line.split(' ').slice(0, 3).join(' ')),
    ['A weir holds', 'The first weir', 'The second one', 'So ends the'],
  )
})

test('the panels of an accordion are read, closed menus are not', () => {
  const panel = `<button>When?</button><div class=accordion-panel aria-hidden=true>${SENTENCES('answer', 1)}</div>`
  const menu = `<div class=mega-menu aria-hidden=true><p>All our products, and more, are listed in this menu.</p></div>`
  const { text } = extract(`<body>${menu}<main>${SENTENCES('question')}${panel}</main>`)
  assert.ok(text.includes('answer is looked at'))
  assertWithout(text, ['All our products'])
})

test('posts of a thread are kept though they are called comments; those of an article are not', () => {
  const posts = Array.from({ length: 6 }, (_, i) => `<div class=comment>${SENTENCES(`hull of ship ${i}`, 1)}</div>`).join('')
  const type = '<script type="application/ld+json">{"@type":"DiscussionForumPosting"}</script>'
  assertInOrder(extract(`${type}<body><h1>Old ships</h1>${posts}`).text, ['ship 0', 'ship 1', 'ship 2', 'ship 3', 'ship 4', 'ship 5'])
  const article = `<body><article><h1>Old ships</h1><div class=article-body>${SENTENCES('article', 8)}</div></article>${posts}`
  assertWithout(extract(article).text, ['ship 0'])
})

test('a page of many parts is read whole, without its menus', () => {
  const card = (i: number) =>
    `<div class=card><h3><a href=/c${i}>Course number ${i}, for beginners</a></h3><span>${i + 2} weeks</span></div>`
  const menu = `<ul>${['Home', 'News', 'Shop', 'Help', 'About'].map((name) => `<li><a href=/${name}>${name}</a>`).join('')}</ul>`
  const cards = Array.from({ length: 12 }, (_, i) => card(i)).join('')
  const { text } = extract(`<body>${menu}<h1>Courses</h1><p>All courses of this year, in order.</p><section>${cards}</section>`)
  assertInOrder(text, ['All courses', 'Course number 0', '2 weeks', 'Course number 11', '13 weeks'])
  assertWithout(text, ['Shop', 'Help'])
})

test('a passage that the page holds once for each width of the screen comes once; a refrain comes again', () => {
  const long = (i: number) =>
    `<p>Verse ${i} is long enough to be told from a refrain: it has a hundred characters, give or take a few of them.</p>`
  const passage = [1, 2, 3].map(long).join('')
  const { text } = extract(
    `<body><main><div class=wide>${passage}</div><div class=narrow>${passage}</div>${long(4)}<p>And so on, said he.</p>${long(4)}</main>`,
  )
  assert.deepEqual(
    text.split('\n').map((line) => line.slice(0, 7)),
    ['Verse 1', 'Verse 2', 'Verse 3', 'Verse 4', 'And so ', 'Verse 4'],
  )
})

test('what asks for consent goes, a page about cookies stays', () => {
  const banner = `<div id=cookie-consent><h2>Cookies</h2>${SENTENCES('consent', 12)}</div>`
  assertWithout(extract(`<body>${banner}<main>${SENTENCES('river', 3)}</main>`).text, ['consent'])
  assert.ok(extract(`<body><div id=cookies-policy>${SENTENCES('cookie', 12)}</div>`).text.includes('The cookie is'))
})

test('documentation keeps code, parameter tables and definitions, and loses the contents list', () => {
  const text = textOf('docs')
  assertInOrder(text, [
    'Runs a task again',
    "const handle = kelp.watch('build', {\n  paths: ['src'],",
    'delay | number | Milliseconds of quiet',
    'KELP_NO_TASK\nNo task of this name exists.',
    '- It reads the kelpfile.\n- A missing file is an error.',
  ])
  assertWithout(text, ['Installing', 'Legal', 'Previous', 'Made with'])
})

test('a forum thread keeps every post and loses the furniture around them', () => {
  const text = textOf('forum')
  assertInOrder(text, ['Every November my loaves', 'Warmer, always warmer. I put', 'Careful with the lamp'])
  assertWithout(text, ['Quote', 'Report', 'Joined', 'Log in', 'Powered', 'Next'])
})

test('a list of products keeps its items with their headings', () => {
  const text = textOf('products')
  assertInOrder(text, ['Gratwanderer II', 'Genähter Stiefel', 'Talgang Leicht', 'Moorläufer', 'Kinderstiefel'])
  assertWithout(text, ['Impressum', 'Warenkorb'])
})

test('a page with nothing to read gives no text', () => {
  assert.equal(textOf('nothing'), '')
  assert.equal(extract('').text, '')
})

test('precision never gives more than recall on the fixtures', () => {
  for (const name of ['article', 'docs', 'forum', 'products'])
    assert.ok(textOf(name, { mode: 'precision' }).length <= textOf(name, { mode: 'recall' }).length, name)
})

test('control characters, soft hyphens and zero-width spaces are left out, joiners and code stay', () => {
  const html =
    '<p>con\x00trol &#1; Donau&shy;dampf\u200bschiff, \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 is a sentence of its own.</p><pre>a\tb\n  c</pre>'
  assert.equal(
    extract(html).text,
    'control Donaudampfschiff, \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 is a sentence of its own.\na\tb\n  c',
  )
})

test('statistics measure the page and the text', () => {
  const { statistics, text } = extract(fixture('article'))
  assert.equal(statistics.textCharacters, text.length)
  assert.equal(statistics.htmlCharacters, fixture('article').length)
  assert.ok(statistics.linkDensity > 0 && statistics.linkDensity < 0.1)
  assert.equal(statistics.textRatio, text.length / statistics.htmlCharacters)
})

test('any markup is extracted without a throw, and well-formed strings stay well-formed', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '<p>',
      '</p>',
      '<div class=nav>',
      '</div>',
      '<article>',
      '<table><tr><td>',
      '</table>',
      '<a href=x>',
      '</a>',
      '<pre>',
      '</pre>',
    ),
    fc.constantFrom(
      '<ul><li>',
      '<ol><li>',
      '</ul>',
      '<h2>',
      '</h2>',
      '<br>',
      '<blockquote>',
      '&#xD800;',
      '&#0;',
      '<script type=application/ld+json>{"@graph":[{',
      '</script>',
    ),
    fc.lorem(),
    fc.string({ unit: 'grapheme', maxLength: 8 }),
  )
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 50 }),
      fc.constantFrom('balanced', 'precision', 'recall'),
      fc.constantFrom('text', 'markdown'),
      (pieces, mode, format) => assert.ok(extract(pieces.join(''), { mode, format, comments: false }).text.isWellFormed()),
    ),
    { numRuns: 500 },
  )
})

test('extraction is the same every time', () => {
  for (const name of ['article', 'forum']) assert.deepEqual(extract(fixture(name)), extract(fixture(name)))
})
