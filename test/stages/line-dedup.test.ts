import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { simplify } from '../../src/text/simplify.ts'
import { type LineDedupOptions, lineDedup } from '../../stages/line-dedup.ts'
import { cutAt, documentsOf } from '../dedup/documents.ts'
import { runBarrier } from '../dedup/run-barrier.ts'

async function results(texts: readonly string[], options: LineDedupOptions = {}, cuts: readonly number[] = []) {
  const { kept, dropped } = await runBarrier(lineDedup(options), cutAt(documentsOf(texts), cuts))
  const byId = new Map(kept.flat().map(({ id, text }) => [id, text]))
  return texts.map((_, i) => byId.get(String(i)) ?? dropped.get(String(i)))
}

test('a line stays where it comes first, whatever its case, numbers and marks, and goes elsewhere', async () => {
  const texts = ['Home | Contact 12\nA story.', 'Another story.\nHOME, contact 7!\nIts end.', 'home contact 0\nA story', '{\n}\n\n{\n}']
  assert.deepEqual(await results(texts), [texts[0], 'Another story.\nIts end.', 'line_dedup_empty', texts[3]])
})

test('of equal lines none stays where that is asked for; a short one always does', async () => {
  const texts = ['menu\nfirst one', 'menu\nsecond one', 'of its own']
  assert.deepEqual(await results(texts, { keep: 'none' }), ['first one', 'second one', texts[2]])
  assert.deepEqual(await results(texts, { minUnitChars: 5 }), texts)
  assert.deepEqual(await results(texts, { minChars: 11 }), [texts[0], 'line_dedup_too_short', texts[2]])
})

test('paragraphs are what blank lines part', async () => {
  const texts = ['A head\nof two lines.\n\nThe body.', 'of two lines.\n \t\n\nA head\nof two lines.\n\nAnother body.']
  assert.deepEqual(await results(texts, { unit: 'paragraph' }), [texts[0], 'of two lines.\n\nAnother body.'])
})

test('as a plain walk over all lines gives it, however the input is cut', async () => {
  const line = fc.constantFrom('', 'a', 'B', 'b!', '12', '3', '…', 'ä', 'a b', '😀')
  const text = fc.array(line, { maxLength: 6 }).map((lines) => lines.join('\n'))
  await fc.assert(
    fc.asyncProperty(fc.array(text, { maxLength: 6 }), fc.array(fc.nat(6), { maxLength: 3 }), async (texts, cuts) => {
      const seen = new Set<string>()
      const expected = texts.map((text) => {
        const lines = text.split('\n')
        const kept = lines.filter((line) => {
          const plain = simplify(line)
          const isRepeat = plain !== '' && seen.has(plain)
          seen.add(plain)
          return !isRepeat
        })
        const isChanged = kept.length < lines.length
        return isChanged && kept.join('').trim() === '' ? 'line_dedup_empty' : kept.join('\n')
      })
      assert.deepEqual(await results(texts, {}, cuts), expected)
    }),
    { numRuns: 25 },
  )
})
