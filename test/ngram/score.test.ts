import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { z } from 'zod'
import { keepShares } from '../../src/core/share.ts'
import { loadNgramScorer, perplexityOf } from '../../src/ngram/model.ts'

const fixtures = fileURLToPath(new URL('../../fixtures/ngram/', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'sluice-ngram-'))
after(() => rmSync(root, { recursive: true }))

/** What KenLM itself gives for each model: fixtures/ngram/make.ts. */
const recorded = z
  .record(z.string(), z.array(z.object({ text: z.string(), score: z.number(), tokens: z.array(z.tuple([z.number(), z.boolean()])) })))
  .parse(JSON.parse(readFileSync(join(fixtures, 'scores.json'), 'utf8')))

for (const [name, cases] of Object.entries(recorded)) {
  test(`${name} gives KenLM's scores, to the last bit`, async () => {
    const scorer = await loadNgramScorer(join(fixtures, name))
    for (const { text, score, tokens } of cases) {
      const got = scorer.scoreTokens(text)
      assert.deepEqual(
        got.map(({ logProbability, isUnknown }) => [logProbability, isUnknown]),
        tokens,
        text,
      )
      const unknown = tokens.filter(([, isUnknown]) => isUnknown).length
      assert.deepEqual(scorer.scoreText(text), { logProbability: score, tokens: tokens.length, unknown }, text)
    }
  })
}

test('a compressed ARPA file is the same model', async () => {
  const plain = readFileSync(join(fixtures, 'model.arpa'))
  writeFileSync(join(root, 'model.arpa.gz'), gzipSync(plain))
  writeFileSync(join(root, 'model.arpa.zst'), zstdCompressSync(plain))
  const expected = (await loadNgramScorer(join(fixtures, 'model.arpa'))).scoreText('the heron sees the moon')
  for (const name of ['model.arpa.gz', 'model.arpa.zst'])
    assert.deepEqual((await loadNgramScorer(join(root, name))).scoreText('the heron sees the moon'), expected)
})

test('lines are sentences: the score of a text is the sum of its lines’, however long it is', async () => {
  const scorer = await loadNgramScorer(join(fixtures, 'model.arpa'))
  const words = fc.array(fc.constantFrom('the', 'heron', 'sees', 'moon', 'zzz', 'a', 'red', 'boat', ''), { maxLength: 12 })
  fc.assert(
    fc.property(fc.array(words, { minLength: 1, maxLength: 8 }), fc.constantFrom(1, 400), (lines, repeats) => {
      const texts = Array.from({ length: repeats }, () => lines.map((line) => line.join(' '))).flat()
      const sums = { logProbability: 0, tokens: 0, unknown: 0 }
      for (const text of texts) {
        const score = scorer.scoreText(text)
        sums.logProbability += score.logProbability
        sums.tokens += score.tokens
        sums.unknown += score.unknown
      }
      assert.deepEqual(scorer.scoreText(texts.join('\n')), sums)
    }),
    { numRuns: 30 },
  )
})

test('a line longer than the kernel takes at once is one sentence', async () => {
  const scorer = await loadNgramScorer(join(fixtures, 'model.arpa'))
  const words = Array.from({ length: 30_000 }, (_, i) => ['the', 'heron', 'sees', 'a', 'letter'][i % 5])
  const tokens = scorer.scoreTokens(words.join(' '))
  assert.equal(tokens.length, words.length + 1)
  // Behind the first words, the sentence repeats itself: each period costs the same.
  for (let i = 10; i < words.length; i++) assert.equal(tokens[i].logProbability, tokens[i - 5].logProbability)
  assert.equal(scorer.scoreText(words.join(' ')).tokens, words.length + 1)
})

test('perplexity counts the ends of lines as tokens', () => {
  assert.equal(perplexityOf({ logProbability: -6, tokens: 3 }), 100)
})

test('all threads of a process share one model, whichever asks first', async () => {
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    import(workerData.module).then(async ({ loadNgramScorer }) => {
      const scorer = await loadNgramScorer(workerData.file)
      parentPort.postMessage(scorer.scoreText('the heron sees the moon'))
      setTimeout(() => {}, 300) // long enough for the others to ask
    })`
  keepShares()
  const file = join(root, 'shared.arpa')
  copyFileSync(join(fixtures, 'model.arpa'), file)
  const workerData = { module: new URL('../../src/ngram/model.ts', import.meta.url).href, file }
  const scores = Array.from({ length: 4 }, () => {
    const worker = new Worker(code, { eval: true, workerData, execArgv: ['--conditions=source'] })
    return new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject))
  })
  const expected = (await loadNgramScorer(join(fixtures, 'model.arpa'))).scoreText('the heron sees the moon')
  for (const score of await Promise.all(scores)) assert.deepEqual(score, expected)
})

test('what is no model is refused with its place', async () => {
  const arpa = readFileSync(join(fixtures, 'model.arpa'), 'utf8')
  const lines = arpa.split('\n')
  const first = lines.indexOf('\\2-grams:') + 1
  const changed = (line: number, text: string) => lines.with(line, text).join('\n')
  const damages: [name: string, content: string | Buffer, code: string, message: RegExp][] = [
    ['empty', '', 'SLUICE_NGRAM_ARPA', /no ARPA file/],
    ['text', 'Call me Ishmael.\n', 'SLUICE_NGRAM_ARPA', /no ARPA file/],
    ['cut', arpa.slice(0, arpa.length / 2), 'SLUICE_NGRAM_ARPA', /no n-gram|announced/],
    ['no-end', arpa.replace('\\end\\', ''), 'SLUICE_NGRAM_ARPA', /ends before/],
    ['count', arpa.replace(/ngram 2=\d+/, 'ngram 2=100000'), 'SLUICE_NGRAM_ARPA', /announced/],
    ['counts', arpa.replace('ngram 3=', 'ngram 7='), 'SLUICE_NGRAM_ARPA', /"ngram 3=…" was expected/],
    [
      'order',
      arpa.replace(/ngram 3=\d+/, (line) => `${line}\n${[4, 5, 6, 7, 8, 9, 10].map((n) => `ngram ${n}=1`).join('\n')}`),
      'SLUICE_NGRAM_ARPA',
      /order is 10/,
    ],
    ['number', changed(first, 'minus\tthe heron\t0'), 'SLUICE_NGRAM_ARPA', /no n-gram/],
    ['positive', changed(first, '0.5\tthe heron\t0'), 'SLUICE_NGRAM_ARPA', /above 1/],
    ['word', changed(first, '-1\tthe albatross\t0'), 'SLUICE_NGRAM_ARPA', /none of the 1-grams/],
    ['few-words', changed(first, '-1\tthe\t0'), 'SLUICE_NGRAM_ARPA', /none of the 1-grams/],
    ['twice', changed(first, lines[first + 1]), 'SLUICE_NGRAM_ARPA', /twice/],
    ['no-begin', arpa.replace('\t<s>\t', '\t<begin>\t').replaceAll('<s> ', '<begin> '), 'SLUICE_NGRAM_ARPA', /no <s>/],
    ['old', `mmap lm http://kheafield.com/code format version 4\n${'\0'.repeat(200)}`, 'SLUICE_NGRAM_BINARY', /version 5/],
    ['cut-gzip', gzipSync(arpa).subarray(0, 3000), 'SLUICE_STREAM_TRUNCATED', /cut short/],
    ...['probing', 'trie', 'quantized', 'array'].map((kind): [string, Buffer, string, RegExp] => {
      const binary = readFileSync(join(fixtures, `model.${kind}`))
      return [`cut-${kind}`, binary.subarray(0, binary.length / 3), 'SLUICE_NGRAM_BINARY', /cut short|not where|twice|more than/]
    }),
  ]
  for (const [name, content, code, message] of damages) {
    const file = join(root, `damaged-${name}`)
    writeFileSync(file, content)
    await assert.rejects(loadNgramScorer(file), { name: 'SluiceError', code, message }, name)
  }
  await assert.rejects(loadNgramScorer(join(root, 'missing.arpa')), { code: 'SLUICE_FILE_MISSING' })
})

test('a damaged binary gives scores or its own error, never anything else', async () => {
  const random = (seed: number) => () => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
    return seed >>> 8
  }
  const next = random(7)
  for (const name of ['model.probing', 'model.trie', 'model.quantized', 'model.array', 'model.quantized-array', 'model.arpa']) {
    for (let round = 0; round < 12; round++) {
      const bytes = readFileSync(join(fixtures, name))
      for (let i = 0; i < 4; i++) bytes[next() % bytes.length] = next()
      const file = join(root, `fuzzed-${name}-${round}`)
      writeFileSync(file, bytes)
      try {
        const { tokens } = (await loadNgramScorer(file)).scoreText('the heron sees the moon')
        assert.equal(tokens, 6)
      } catch (error) {
        assert.ok(error instanceof Error && error.name === 'SluiceError', `${name}, round ${round}: ${error}`)
      }
    }
  }
})
