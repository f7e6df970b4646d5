import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { loadNgramScorer } from '../../src/ngram/model.ts'
import { type NgramTraining, trainNgram } from '../../src/ngram/train.ts'

const fixtures = fileURLToPath(new URL('../../fixtures/ngram/', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'sluice-ngram-train-'))
after(() => rmSync(root, { recursive: true }))

const FALLBACK = [0.5, 1, 1.5] as const
const text = readFileSync(join(fixtures, 'text.txt'), 'utf8').trimEnd()

let files = 0
async function train(texts: readonly string[], options: Partial<NgramTraining>, extension = 'arpa') {
  const path = join(root, `model-${files++}.${extension}`)
  const standard = { order: 3, prune: [0], fallback: FALLBACK, memoryBytes: 1 << 26, signal: new AbortController().signal, comments: [] }
  const summary = await trainNgram(
    (async function* () {
      yield* texts
    })(),
    path,
    { ...standard, ...options },
  )
  return { path, summary }
}

type Weights = readonly [probability: number, backoff: number | undefined]

function readWeights(arpa: string): Map<string, Weights> {
  const lines = arpa.split('\n').map((line) => line.split('\t'))
  return new Map(
    lines
      .filter((parts) => parts.length > 1)
      .map(([probability, words, backoff]) => [words, [Number(probability), backoff === undefined ? undefined : Number(backoff)]]),
  )
}

/** Equal but for the last digits of a float: the logarithms of two libraries differ there. */
function assertSameModel(got: Map<string, Weights>, expected: Map<string, Weights>): void {
  assert.deepEqual([...got.keys()].sort(), [...expected.keys()].sort())
  for (const [words, [probability, backoff]] of expected) {
    const [gotProbability, gotBackoff] = got.get(words) ?? [Number.NaN, undefined]
    assert.ok(Math.abs(gotProbability - probability) < 1e-6, `${words}: ${gotProbability}, ${probability} expected`)
    assert.ok(Math.abs((gotBackoff ?? 0) - (backoff ?? 0)) < 1e-6, `${words}: backoff ${gotBackoff}, ${backoff} expected`)
  }
}

test('a model is that of lmplz on the same text, pruned or not', async () => {
  const cases: [name: string, options: Partial<NgramTraining>][] = [
    ['model.arpa', { order: 3 }],
    ['pruned.arpa', { order: 4, prune: [0, 0, 1, 2] }],
    ['unigrams.arpa', { order: 1 }],
  ]
  for (const [name, options] of cases) {
    const { path } = await train([text], options)
    assertSameModel(readWeights(readFileSync(path, 'utf8')), readWeights(readFileSync(join(fixtures, name), 'utf8')))
  }
})

/** Modified Kneser-Ney as Chen & Goodman write it, over maps and in double precision. */
function plainModel(lines: readonly string[], order: number, discounts: readonly (readonly [number, number, number])[]) {
  const counts = new Map<string, number>()
  const vocabulary = new Set(['<unk>'])
  for (const line of lines) {
    const words = [...Array<string>(order - 1).fill('<s>'), ...line.split(' ').filter((word) => word !== ''), '</s>']
    for (let i = order - 1; i < words.length; i++) {
      vocabulary.add(words[i])
      const ngram = words.slice(i - order + 1, i + 1).join(' ')
      counts.set(ngram, (counts.get(ngram) ?? 0) + 1)
    }
  }
  const levels: Map<string, number>[] = []
  levels[order] = new Map([...counts].filter(([ngram]) => ngram.split(' ')[1] !== '<s>' || order === 1))
  for (let n = order - 1; n >= 1; n--) {
    const before = new Map<string, Set<string>>()
    const level = new Map<string, number>()
    for (const [ngram, count] of counts) {
      const words = ngram.split(' ')
      const end = words.slice(-n)
      const key = end.join(' ')
      if (end.includes('<s>', 1)) continue
      if (end[0] === '<s>') level.set(key, (level.get(key) ?? 0) + count)
      else before.set(key, (before.get(key) ?? new Set()).add(words[order - n - 1]))
    }
    for (const [key, words] of before) level.set(key, words.size)
    levels[n] = level
  }
  const probability = (ngram: readonly string[]): number => {
    if (ngram.length === 0) return 1 / vocabulary.size
    const n = ngram.length
    const discount = (count: number) => discounts[n - 1][Math.min(count, 3) - 1]
    const context = ngram.slice(0, -1).join(' ')
    const seen = [...levels[n]].filter(([key]) => key.split(' ').slice(0, -1).join(' ') === context && key !== '<s>')
    const total = seen.reduce((sum, [, count]) => sum + count, 0)
    if (total === 0) return probability(ngram.slice(1))
    const gamma = seen.reduce((sum, [, count]) => sum + discount(count), 0) / total
    const count = levels[n].get(ngram.join(' ')) ?? 0
    return (count === 0 ? 0 : (count - discount(count)) / total) + gamma * probability(ngram.slice(1))
  }
  return { probability, vocabulary }
}

test('probabilities are those of the definition, computed plainly', async () => {
  const lines = ['a b a c', 'a b', 'c a b b', '', 'b a c a b', 'a b a c']
  const { path, summary } = await train([lines.join('\n')], { order: 3 })
  const { probability } = plainModel(lines, 3, summary.discounts)
  const weights = readWeights(readFileSync(path, 'utf8'))
  for (const [words, [logProbability]] of weights) {
    if (words === '<s>') continue
    assert.ok(Math.abs(logProbability - Math.log10(probability(words.split(' ')))) < 1e-5, words)
  }
})

test('what can follow a context has probability 1 in all, whether the context was seen or not', async () => {
  const { path, summary } = await train([text], { order: 4, prune: [0, 1, 1, 2] })
  const scorer = await loadNgramScorer(path)
  const vocabulary = [...readWeights(readFileSync(path, 'utf8')).keys()].filter((words) => !words.includes(' ') && words !== '<s>')
  assert.equal(vocabulary.length, summary.ngrams[0] - 1)
  for (const context of ['', 'the heron', 'the heron sees', 'lamps two', 'nobody hears the', 'zzz']) {
    let sum = 0
    for (const word of vocabulary) {
      const tokens = scorer.scoreTokens(word === '</s>' ? context : `${context} ${word}`)
      sum += 10 ** (tokens.at(word === '</s>' ? -1 : -2)?.logProbability ?? Number.NaN)
    }
    assert.ok(Math.abs(sum - 1) < 1e-4, `"${context}": ${sum}`)
  }
})

test('the memory given, the cut of the text and compression change no byte', async () => {
  const words = Array.from({ length: 40_000 }, (_, i) => `w${(Math.imul(i, 2654435761) >>> 7) % (1 + (i % 900))}`)
  const lines = Array.from({ length: 4000 }, (_, i) => words.slice(10 * i, 10 * i + 10).join(' '))
  const whole = await train([lines.join('\n')], { order: 5 })
  const spilled = await train([lines.slice(0, 100).join('\n'), ...lines.slice(100)], { order: 5, memoryBytes: 1 << 20 }, 'arpa.gz')
  assert.equal(gunzipSync(readFileSync(spilled.path)).toString(), readFileSync(whole.path, 'utf8'))
  assert.deepEqual(spilled.summary, whole.summary)
  assert.equal(whole.summary.tokens, 40_000)
})

test('words that mean something to a model count as blanks', async () => {
  const plain = await train(['a b\nc'], {})
  const marked = await train(['<s> a <unk>\tb </s>\n c \r'], {})
  assert.equal(readFileSync(marked.path, 'utf8'), readFileSync(plain.path, 'utf8'))
})

test('what cannot be trained is refused, and leaves nothing behind', async () => {
  const stopped = AbortSignal.abort()
  await assert.rejects(train(['a b c'], { fallback: undefined }), { code: 'SLUICE_NGRAM_DISCOUNT' })
  await assert.rejects(train([''], {}), { code: 'SLUICE_NGRAM_NO_TEXT' })
  await assert.rejects(train([text], { prune: [0, 2, 1] }), { code: 'SLUICE_NGRAM_PRUNE' })
  await assert.rejects(train([text], { prune: [0, 0, 0, 0] }), { code: 'SLUICE_NGRAM_PRUNE' })
  await assert.rejects(train([text], { signal: stopped }), { name: 'AbortError' })
  assert.deepEqual(
    readdirSync(root).filter((name) => name.endsWith('.tmp')),
    [],
  )
})
