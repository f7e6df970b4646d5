// The tree: where text lies, by the standard's rules of implied tags, and in linear time on hostile pages.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TEXT, tagName } from '../../src/html/tags.ts'
import { type HtmlTree, parseHtml } from '../../src/html/tree.ts'

/** The tree in a short form: `p(a("x"))`. For small trees only. */
function shape(html: string): string {
  const tree = parseHtml(html)
  return childrenOf(tree, 0)
    .map((node) => shapeOf(tree, node))
    .join(' ')
}

function shapeOf(tree: HtmlTree, node: number): string {
  if (tree.tag[node] === TEXT) return JSON.stringify(tree.text[node])
  const inside = childrenOf(tree, node).map((child) => shapeOf(tree, child))
  return inside.length === 0 ? tagName(tree.tag[node]) : `${tagName(tree.tag[node])}(${inside.join(' ')})`
}

function childrenOf(tree: HtmlTree, node: number): number[] {
  const children: number[] = []
  for (let child = node + 1; child < tree.end[node]; child = tree.end[child]) children.push(child)
  return children
}

test('end tags that HTML leaves out are implied', () => {
  assert.equal(shape('<p>a<p>b'), 'p("a") p("b")')
  assert.equal(shape('<p>a<div>b</div>c'), 'p("a") div("b") "c"')
  assert.equal(shape('<ul><li>a<li>b<ul><li>c</ul>d</ul>'), 'ul(li("a") li("b" ul(li("c")) "d"))')
  assert.equal(shape('<dl><dt>a<dd>b<dt>c</dl>'), 'dl(dt("a") dd("b") dt("c"))')
  assert.equal(shape('<table><tr><td>a<td>b<tr><th>c</table>d'), 'table(tr(td("a") td("b")) tr(th("c"))) "d"')
  assert.equal(shape('<head><title>t</title><p>x'), 'head(title) p("x")')
})

test('end tags do not reach out of their table or through a block', () => {
  assert.equal(shape('<div><table><td>a</div>b</table>c</div>'), 'div(table(td("a" "b")) "c")')
  assert.equal(shape('<div><b>a<p>b</b>c</p></div>d'), 'div(b("a" p("b" "c"))) "d"')
  assert.equal(shape('</p></div>a</span>'), '"a"')
  assert.equal(shape('<table><tr><td><table><tr><td>a</table>b</table>c'), 'table(tr(td(table(tr(td("a"))) "b"))) "c"')
})

test('the text of scripts, styles and comments is no text', () => {
  assert.equal(shape('<script>"<p>x</p>"</script>a<style>b{}</style><!-- <p>c --><textarea><p></textarea>'), 'script "a" style textarea')
  assert.equal(shape('<script>x</scripty></SCRIPT >a'), 'script "a"')
  assert.equal(shape('<!-->a<!--->b<!-- c --d-->e<!doctype html>f<?php g ?>h'), '"a" "b" "e" "f" "h"')
})

test('what only looks like markup is text', () => {
  assert.equal(shape('1 < 2 <3 and <'), '"1 < 2 <3 and <"')
  assert.equal(shape('a <b'), '"a "')
  assert.equal(shape('a <p class="x'), '"a "')
})

test('character references are decoded, known and numeric, with and without a semicolon', () => {
  assert.equal(shape('&amp;&lt;&eacute;&#8212;&#x2014;&#150;&nosuch;&copy &notin; &'), JSON.stringify('&<é——–&nosuch;© ∉ &'))
})

test('attributes are read in every notation, the first of a name counts', () => {
  const tree = parseHtml(`<a HREF=/x?a&amp;b class='u v' id="w" class=z data-x=1 hidden>t</a>`)
  assert.deepEqual({ ...tree.attributes[1] }, { href: '/x?a&b', class: 'u v', id: 'w', hidden: '' })
  assert.equal(tree.isLink[2], 1)
})

test('a link ends at its end tag even where the elements inside are not closed', () => {
  const tree = parseHtml('<a href=x><div>in</a>out</div>')
  const texts = Array.from({ length: tree.count }, (_, node) => node).filter((node) => tree.tag[node] === TEXT)
  assert.deepEqual(
    texts.map((node) => [tree.text[node], tree.isLink[node]]),
    [
      ['in', 1],
      ['out', 0],
    ],
  )
})

/** Nodes lie inside their parents, and parents come first. */
function assertSound(tree: HtmlTree): void {
  for (let node = 1; node < tree.count; node++) {
    const parent = tree.parent[node]
    assert.ok(parent >= 0 && parent < node && tree.end[node] > node && tree.end[node] <= tree.end[parent])
  }
}

test('any string gives a sound tree', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '<p>',
      '</p>',
      '<div>',
      '</div>',
      '<table>',
      '<td>',
      '</table>',
      '<a href=x>',
      '</a>',
      '<li>',
      '<ul>',
      '</ul>',
      '<b>',
      '</b>',
    ),
    fc.constantFrom(
      '<!--',
      '-->',
      '<script>',
      '</script>',
      '<',
      '>',
      '"',
      "'",
      '=',
      '/',
      '&',
      '&#',
      '<head>',
      '<body>',
      '</html>',
      '\0',
      '\ud800',
    ),
    fc.string({ maxLength: 8 }),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => assertSound(parseHtml(pieces.join('')))),
    { numRuns: 1000 },
  )
})

test('an element deeper than 512 becomes empty, and its text goes to the element above', () => {
  const tree = parseHtml(`${'<div>'.repeat(2000)}deep${'</div>'.repeat(2000)}<p>after`)
  assertSound(tree)
  const after = Array.from({ length: tree.count }, (_, node) => node).find((node) => tree.text[node] === 'after')
  assert.equal(tree.parent[tree.parent[after ?? 0]], 0)
})
