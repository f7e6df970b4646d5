// RefinedWeb's line-wise corrections as DCLM has them; the expectations follow its modifiers one by one.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Document } from '../../src/core/document.ts'
import { aloneContext } from '../../src/engine/standalone.ts'
import { correctLines, refinedWebLines, refinedWebLinesOptions } from '../../stages/refined-web-lines.ts'

const limits = refinedWebLinesOptions.parse({})
const correct = (text: string) => correctLines(text, limits)

test('lines in capitals, of digits, of one word and counters go; empty lines stay', () => {
  assert.equal(correct('BUY IT NOW\nA line that stays.\n\nAnother LINE here.'), 'A line that stays.\n\nAnother LINE here.')
  assert.equal(correct('A a\nAA b c'), 'A a\nAA b c', 'half of the characters is not more than half')
  assert.equal(correct('12345\n12 345\n²³¹\ntwo words'), '12 345\ntwo words')
  assert.equal(correct('Home\ntwo words\n\nEnd'), 'two words\n\n'.trimEnd())
  const counters = ['3 likes', '• 1,234.5K views!', '12M  followers', '٣ shares']
  assert.equal(correct([...counters, '3 likes more', 'likes 3 of them'].join('\n')), '3 likes more\nlikes 3 of them')
})

test('notices are taken out of short lines, and lines of nothing else with them', () => {
  assert.equal(
    correct('Go to the 3 items in cart\nSign-in to go on\nThe story goes on here. Read more...'),
    'Go to the 3\nto go on\nThe story goes on here.',
  )
  assert.equal(correct('two words\nitems in cart\nread more...'), 'two words')
  const long = 'one two three four five six seven eight nine ten read more...'
  assert.equal(correct(long), long, 'a line of more than ten words keeps it')
  assert.equal(correct('please Sign-in here\nread more... of it'), 'please Sign-in here\nread more... of it', 'only at its place')
  assert.equal(correct('say Read more!!!'), 'say', 'the stops of the pattern are any character')
})

test('a document that loses more than a twentieth of its words is dropped, one of nothing else as well', async () => {
  const judge = async (text: string) => {
    const reasons: string[] = []
    const stage = refinedWebLines<Document>()
    const run = await stage.open(aloneContext({ dropped: (_, reason) => void reasons.push(reason) }))
    const kept = await run.process([{ id: '0', source: 'test', offset: 0, length: 0, metadata: {}, text }])
    return reasons[0] ?? kept[0].text
  }
  const prose = 'these are five good words\n'.repeat(4).trimEnd()
  assert.equal(await judge(`${prose}\nHome`), prose, 'one word of twenty-one')
  assert.equal(await judge(`${prose}\nHome\n+\nNews`), 'refinedweb_words_removed', 'two of twenty-two; a mark is no word')
  assert.equal(await judge('HOME'), 'refinedweb_no_lines')
  assert.equal(await judge('+ -'), 'refinedweb_words_removed', 'nothing to lose')
})

test('what was corrected needs no second correction of its lines, and nothing is added', () => {
  const line = fc.constantFrom(
    'Home',
    'NEWS',
    '12',
    '3 likes',
    'sign-in now',
    'a good line',
    '',
    ' x y ',
    'read more...',
    'one items in cart',
  )
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
      const once = correct(lines.join('\n'))
      assert.ok(once.length <= lines.join('\n').length)
      for (const kept of once.split('\n')) assert.ok(!['NEWS', '12', '3 likes', 'Home'].includes(kept))
    }),
  )
})
