import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { coveredRanges, eachWindow, withoutRanges } from '../../src/dedup/token-windows.ts'
import { loadTokenizer } from '../../src/tokenizer/tokenizer.ts'
import { type SubstringDedupOptions, substringDedup } from '../../stages/substring-dedup.ts'
import { cutAt, documentsOf } from '../dedup/documents.ts'
import { runBarrier } from '../dedup/run-barrier.ts'

async function results(texts: readonly string[], options: SubstringDedupOptions = {}, cuts: readonly number[] = []) {
  const { kept, dropped } = await runBarrier(substringDedup(options), cutAt(documentsOf(texts), cuts))
  const byId = new Map(kept.flat().map(({ id, text }) => [id, text]))
  return texts.map((_, i) => byId.get(String(i)) ?? dropped.get(String(i)))
}

const legalese =
  ' By using this site you agree that all of it is offered as it is, without any warranty, and that whoever wrote it owes nobody anything.'

test('a stretch stays where it comes first and is cut elsewhere, within a document too', async () => {
  const texts = [`One.${legalese}`, `Two.${legalese} Its end.`, `Three.${legalese}${legalese}`, legalese]
  assert.deepEqual(await results(texts, { tokens: 20 }), [texts[0], 'Two Its end.', 'Three', 'substring_dedup_too_short'])
})

test('of a stretch no copy stays, or no document that holds it, where that is asked for', async () => {
  const texts = [`One.${legalese}`, `Two.${legalese} Its end.`, 'Nothing.']
  assert.deepEqual(await results(texts, { tokens: 20, keep: 'none' }), ['One', 'Two Its end.', 'Nothing.'])
  assert.deepEqual(await results(texts, { tokens: 20, action: 'drop' }), [texts[0], 'substring_duplicate', 'Nothing.'])
  assert.deepEqual(await results(texts, { tokens: 200 }), texts)
})

test('what goes is just what windows cover that occur elsewhere, however the input is cut', async () => {
  const tokenizer = await loadTokenizer('gpt2')
  const word = fc.constantFrom(' a', ' b', ' c', 'é', '😀', '\n')
  const text = fc.array(word, { maxLength: 12 }).map((words) => words.join(''))
  await fc.assert(
    fc.asyncProperty(fc.array(text, { maxLength: 5 }), fc.array(fc.nat(5), { maxLength: 2 }), async (texts, cuts) => {
      const length = 3
      const seen = new Set<string>()
      const expected = texts.map((text) => {
        const tokens = [...tokenizer.encode(text)]
        const covered = new Set<number>()
        for (let first = 0; first + length <= tokens.length; first++) {
          const window = tokens.slice(first, first + length).join()
          if (seen.has(window)) for (let i = first; i < first + length; i++) covered.add(i)
          seen.add(window)
        }
        return { tokens, covered }
      })
      const got = await results(texts, { tokens: length }, cuts)
      for (const [i, { tokens, covered }] of expected.entries()) {
        if (covered.size === 0) assert.equal(got[i], texts[i])
        const left = Buffer.from(tokenizer.decodeBytes(tokens.filter((_, at) => !covered.has(at)))).toString()
        // Where a range ends within a character, the character stays.
        if (covered.size > 0 && !left.includes('\ufffd') && !texts[i].includes('😀') && !texts[i].includes('é'))
          assert.equal(got[i], left.trim() === '' ? 'substring_dedup_too_short' : left)
      }
    }),
    { numRuns: 40 },
  )
})

test('windows are hashed alike wherever they stand', () => {
  const hashesOf = (tokens: number[]) => {
    const hashes: string[] = []
    eachWindow(tokens, 3, (high, low) => hashes.push(`${high} ${low}`))
    return hashes
  }
  fc.assert(
    fc.property(fc.array(fc.nat(3), { maxLength: 30 }), (tokens) => {
      const hashes = hashesOf(tokens)
      assert.equal(hashes.length, Math.max(0, tokens.length - 2))
      for (const [first, hash] of hashes.entries()) assert.deepEqual(hashesOf(tokens.slice(first, first + 3)), [hash])
      assert.equal(new Set(hashes).size, new Set(hashes.map((_, first) => tokens.slice(first, first + 3).join())).size)
    }),
  )
})

test('cuts leave characters whole', () => {
  const utf8 = new TextEncoder().encode('aé😀b')
  assert.deepEqual(coveredRanges([0, 1, 5], 2), [
    [0, 3],
    [5, 7],
  ])
  assert.equal(withoutRanges(utf8, [[2, 5]]), 'aé😀b')
  assert.equal(withoutRanges(utf8, [[1, 3]]), 'a😀b')
  assert.equal(withoutRanges(utf8, [[0, 8]]), '')
  assert.equal(withoutRanges(utf8, [[2, 7]]), 'aéb')
})
