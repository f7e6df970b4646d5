// Pages made to overflow a stack, to fill memory, or to make a step quadratic. Each is extracted at two sizes: four times the
// page may take four times as long, with room for a garbage collection and a busy machine, but not sixteen times.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeHtml } from '../../src/html/encoding.ts'
import { type ExtractOptions, extract, extractDefaults } from '../../src/html/extract.ts'

const headline = '<div class=x><a href=y>a headline of a story</a><p>text</div>'
const sentence = 'A sentence of some length, with a comma in it, that ends here. '

/** By the number of their repetitions: the smaller page takes some hundredths of a second. */
const HOSTILE: Readonly<Record<string, readonly [repetitions: number, make: (n: number) => string]>> = {
  'nested divs': [83_000, (n) => `${'<div>'.repeat(n)}deep`],
  'nested divs, closed': [50_000, (n) => `${'<div>'.repeat(n)}deep${'</div>'.repeat(n)}`],
  'end tags that match nothing': [50_000, (n) => '<div>'.repeat(n) + '</span>'.repeat(n)],
  'end tags that a table holds back': [33_000, (n) => `<div><table><td>${'<span>'.repeat(n)}${'</div>'.repeat(n)}`],
  'one attribute without end': [1_333_000, (n) => `<a class="${'x'.repeat(n)}" href=y>text</a>`],
  'many attributes': [50_000, (n) => `<a ${Array.from({ length: n }, (_, i) => `a${i}=1`).join(' ')}>text</a>`],
  'an attribute that comes again': [133_000, (n) => `<a ${'class=nav '.repeat(n)}>text</a>`],
  'a class of many words': [133_000, (n) => `<div class="${'nav '.repeat(n)}">text</div>`],
  'classes never met before': [20_000, (n) => Array.from({ length: n }, (_, i) => `<p class="item-${i} navBar${i}">${i}, a</p>`).join('')],
  'unclosed tags': [20_000, (n) => '<p><b><li><a href=x>word '.repeat(n)],
  'unclosed comments': [100_000, (n) => '<!-- '.repeat(n)],
  comments: [66_000, (n) => '<!-- x --><p>'.repeat(n)],
  'unclosed scripts': [100_000, (n) => `<script>${'</scrip'.repeat(n)}`],
  'less-than signs': [333_000, (n) => '<'.repeat(n)],
  references: [100_000, (n) => '&amp;&#8212;&nosuch;'.repeat(n)],
  'references without end': [100_000, (n) => `&#${'1'.repeat(n)}&${'a'.repeat(n)}`],
  'inline styles': [20_000, (n) => `<p style="display ${' '.repeat(40)}; display:block;visibility">a, b</p>`.repeat(n)],
  'a style of blanks': [666_000, (n) => `<p style="display${' '.repeat(n)}">a, b</p>`],
  'a table of many rows': [6_000, (n) => `<table>${`<tr>${'<td>cell'.repeat(10)}`.repeat(n)}`],
  'a row of many cells': [50_000, (n) => `<table><tr>${'<td>cell'.repeat(n)}`],
  'nested tables': [8_000, (n) => '<table><tr><td>a, b. c'.repeat(n)],
  'alike siblings': [8_000, (n) => `<main>${headline.repeat(n)}</main>`],
  'nested lists': [16_000, (n) => '<ul><li>item, with a mark. '.repeat(n)],
  'nested quotes': [16_000, (n) => '<blockquote>said, he. '.repeat(n)],
  'one line of blanks': [1_333_000, (n) => `<p>${' '.repeat(n)}x`],
  'lines of blanks': [66_000, (n) => `<p>${' \t\n'.repeat(n)}x`],
  'blanks in code': [66_000, (n) => `<pre>${' \n'.repeat(n)}x</pre>`],
  'line breaks': [66_000, (n) => '<br>'.repeat(n)],
  'one long line': [20_000, (n) => `<main><p>${sentence.repeat(n)}</p></main>`],
  'one paragraph again and again': [8_000, (n) => `<p>${sentence}${sentence}</p><p>x</p>`.repeat(n)],
  'headings and authors without text': [50_000, (n) => `${'<h1><b class=author>'.repeat(256)}${'<img>'.repeat(n)}`],
  'lines that sign': [13_000, (n) => `<h1>Title</h1>${`<p>By ${'A'.repeat(70)}</p>`.repeat(n)}`],
  'elements named as comments': [8_000, (n) => '<div class="comment share nav">a, b.'.repeat(n)],
  'hidden parts': [10_000, (n) => `<div hidden>${sentence}${sentence}</div>`.repeat(n)],
  'noscript in noscript': [13_000, (n) => `<noscript><p>${sentence}`.repeat(n)],
  'streamed parts': [
    8_000,
    (n) => Array.from({ length: n }, (_, i) => `<template id="B:${i}"></template><div hidden id="S:${i}">${i}, a</div>`).join(''),
  ],
  'streamed parts in each other': [
    8_000,
    (n) => Array.from({ length: n }, (_, i) => `<div hidden id="S:${i}"><template id="P:${i + 1}"></template>x</div>`).join(''),
  ],
  'JSON-LD in one array': [
    10_000,
    (n) => `<script type="application/ld+json">[${'{"@type":"Article","author":[{"name":"A B"}]},'.repeat(n)}1]</script>`,
  ],
}

for (const [name, [repetitions, make]] of Object.entries(HOSTILE)) {
  test(`a hostile page takes time by its length: ${name}`, () => {
    const [small, large] = [make(repetitions), make(4 * repetitions)]
    const [once, fourfold] = [fastest(small, 2), fastest(large, 1)]
    assert.ok(fourfold < 8 * once + 150_000, `${small.length} characters take ${once} µs, ${large.length} take ${fourfold}`)
  })
}

/** µs of processor time of the fastest of some runs, in both formats. */
function fastest(html: string, runs: number): number {
  let best = Number.POSITIVE_INFINITY
  for (let run = 0; run < runs; run++) {
    const start = process.cpuUsage()
    for (const format of ['text', 'markdown'] satisfies ExtractOptions['format'][])
      assert.ok(extract(html, { ...extractDefaults, format }).text.isWellFormed())
    const { user, system } = process.cpuUsage(start)
    best = Math.min(best, user + system)
  }
  return best
}

test('a page of 20 MB in one line is extracted within a few times its size of memory', () => {
  const part = (i: number) => `<div class=a><p>${i}. ${sentence.repeat(8)}</p><ul><li><a href=x>link</a></ul></div>`
  const html = decodeHtml(Buffer.from(`<main>${Array.from({ length: 36_000 }, (_, i) => part(i)).join('')}`)).text
  const before = process.resourceUsage().maxRSS
  const { text } = extract(html)
  const grownBytes = (process.resourceUsage().maxRSS - before) * 1024
  assert.ok(text.length > 18_000_000 && grownBytes < 12 * html.length, `${text.length} characters, ${grownBytes} bytes more`)
})
