import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Document } from '../../src/core/document.ts'
import { asTransform } from '../../src/engine/standalone.ts'
import { trainFastText } from '../../src/lang/fasttext-train.ts'
import { trainingOptions } from '../../src/lang/training-options.ts'
import { saveFastTextModel } from '../../src/lang/write-fasttext.ts'
import { type ClassifyOptions, classify } from '../../stages/classify.ts'
import { jsonl } from '../../stages/jsonl.ts'
import { keepTop } from '../../stages/keep-top.ts'
import { type QualityClassifierOptions, qualityClassifier } from '../../stages/quality-classifier.ts'
import { toxicityClassifier } from '../../stages/toxicity-classifier.ts'
import { cutAt, documentsOf } from '../dedup/documents.ts'
import { runBarrier } from '../dedup/run-barrier.ts'
import { labelledLines } from '../lang/labelled-text.ts'

// inside the checkout, where ids of documents do not depend on its place: they decide which examples are held out
const folder = join('build', 'classifiers-under-test')
mkdirSync(folder, { recursive: true })
after(() => rmSync(folder, { recursive: true }))

const isGood = (text: string) => text.includes('éown')
const texts = labelledLines(1200, 5).map((line) => line.replace(/__label__\S+ /g, ''))
const good = join(folder, 'good.jsonl')
writeFileSync(
  good,
  texts
    .filter((text, i) => i < 600 && isGood(text))
    .map((text) => `${JSON.stringify({ text })}\n`)
    .join(''),
)
const documents = documentsOf(texts.slice(600))
const training = { dim: 10, bucket: 5000, epoch: 25, lr: 0.5 }

const quality = (options: Partial<QualityClassifierOptions> = {}) =>
  qualityClassifier({ positives: jsonl({ path: good }), training, ...options })

test('a quality classifier keeps the share asked for, the documents most like the examples', async () => {
  const { kept, dropped } = await runBarrier(quality({ keep: 0.1 }), [documents])
  const share = kept.flat().length / documents.length
  assert.ok(Math.abs(share - 0.1) < 0.01, `kept ${share}`)
  assert.deepEqual(new Set(dropped.values()), new Set(['low_quality_score']))
  const right = kept.flat().filter(({ text }) => isGood(text)).length / kept.flat().length
  assert.ok(
    right > 0.8,
    `${right} of the kept are good, of all are ${documents.filter(({ text }) => isGood(text)).length / documents.length}`,
  )
  assert.ok(kept.flat().every(({ annotations }) => typeof annotations?.quality_score === 'number'))
})

test('more is kept as the share grows, and what was kept before stays', async () => {
  let before: string[] = []
  for (const keep of [0.1, 0.3, 0.9, 1]) {
    const { kept } = await runBarrier(quality({ keep }), [documents])
    const ids = kept.flat().map(({ id }) => id)
    assert.ok(before.every((id) => ids.includes(id)))
    before = ids
  }
  assert.equal(before.length, documents.length)
})

test('model, threshold and verdicts do not depend on how the input is cut into partitions', async () => {
  const outcome = async (partitions: Document[][]) => {
    let report = ''
    const inspect = async (merged: string) => void (report = readFileSync(join(merged, 'report.json'), 'utf8'))
    const { kept } = await runBarrier(quality({ keep: 0.2 }), partitions, { inspect })
    return { report, kept: kept.flat().map(({ id, annotations }) => [id, annotations]) }
  }
  assert.deepEqual(await outcome(cutAt(documents, [0, 100, 101, 400])), await outcome([documents]))
})

test('the report is about examples that were not trained on, each text once', async () => {
  const twice = [...documents, ...documents.map((document) => ({ ...document, id: `again ${document.id}` }))]
  await runBarrier(quality({ keep: 0.2, heldOut: 0.3 }), [twice], {
    inspect: async (merged) => {
      const { trained, heldOut, calibration } = JSON.parse(readFileSync(join(merged, 'report.json'), 'utf8'))
      const positives = new Set(texts.slice(0, 600).filter(isGood)).size
      assert.ok(trained.positive + heldOut.positive <= positives)
      assert.ok(trained.negative + heldOut.negative <= positives)
      assert.ok(Math.abs(heldOut.positive / positives - 0.3) < 0.1)
      assert.ok(heldOut.areaUnderCurve > 0.7 && heldOut.areaUnderCurve <= 1)
      const { truePositives, falseNegatives, falsePositives, trueNegatives } = heldOut.atThreshold
      assert.equal(truePositives + falseNegatives, heldOut.positive)
      assert.equal(falsePositives + trueNegatives, heldOut.negative)
      assert.equal(calibration.documents, twice.length)
    },
  })
})

test('without keep and minScore a quality classifier only annotates; minScore is a threshold of its own', async () => {
  const all = await runBarrier(quality(), [documents])
  assert.equal(all.dropped.size, 0)
  const scores = new Map(all.kept.flat().map(({ id, annotations }) => [id, Number(annotations?.quality_score)]))
  const some = await runBarrier(quality({ minScore: 0.5 }), [documents])
  assert.deepEqual(
    some.kept.flat().map(({ id }) => id),
    documents.filter(({ id }) => (scores.get(id) ?? 0) >= 0.5).map(({ id }) => id),
  )
})

test('too few examples of a kind are refused by name', async () => {
  const none = join(folder, 'none.jsonl')
  writeFileSync(none, '')
  const few = (options: Partial<QualityClassifierOptions>, partitions: Document[][] = [documents]) =>
    assert.rejects(runBarrier(quality(options), partitions), { code: 'SLUICE_CLASSIFIER_FEW_EXAMPLES' })
  await few({ positives: jsonl({ path: none }) })
  await few({ negatives: jsonl({ path: none }) })
  await few({}, [[]])
  assert.throws(() => quality({ keep: 0.1, minScore: 0.5 }), /keep or minScore/)
})

test('a toxicity classifier learns the company that listed words keep, not the words', async () => {
  // A bad word stands in some of the texts of one kind; all texts of that kind are alike otherwise.
  const mixed = documents.map((document) =>
    isGood(document.text) && Number(document.id) % 2 === 0 ? { ...document, text: `${document.text} Vile, vile` } : document,
  )
  const lists = { en: ['vile'] }
  const { kept, dropped } = await runBarrier(toxicityClassifier({ lists, drop: 0.1, training }), [mixed])
  assert.deepEqual(new Set(dropped.values()), new Set(['high_toxicity_score']))
  assert.ok(Math.abs(dropped.size / mixed.length - 0.1) < 0.02)
  const droppedGood = mixed.filter(({ id, text }) => dropped.has(id) && isGood(text))
  assert.ok(droppedGood.length > 0.7 * dropped.size, `${droppedGood.length} of the dropped are of the kind that had the word`)
  assert.ok(
    droppedGood.some(({ text }) => !text.includes('vile')),
    'with the word or without',
  )
  assert.ok(kept.flat().every(({ annotations }) => typeof annotations?.toxicity_score === 'number'))
  assert.throws(() => toxicityClassifier({}), /give toxic, or lists/)
})

// ---- a model that is there already ----

const model = join(folder, 'model.bin')
const graded = join(folder, 'graded.txt')
writeFileSync(graded, labelledLines(800, 6).join('\n').replaceAll('__label__sea', '__label__3').replaceAll('__label__wood', '__label__1'))
saveFastTextModel(
  model,
  (await trainFastText(graded, trainingOptions.parse({ dim: 10, bucket: 0, epoch: 20, lr: 0.5 }), { threads: 1 })).model,
)

async function classified(options: Omit<ClassifyOptions, 'model'>) {
  const dropped = new Map<string, string>()
  const stage = asTransform(classify({ model, ...options }), { dropped: ({ id }, reason) => dropped.set(id, reason) })
  stage.end(documents)
  const kept: Document[] = []
  for await (const batch of stage) kept.push(...batch)
  return { kept, dropped }
}

test('classify annotates a label’s probability, or the expected grade, and drops outside the bounds', async () => {
  const { kept } = await classified({ label: '3', annotation: 'sea' })
  const { kept: grades } = await classified({ label: { 3: 3, __label__1: 1 } })
  assert.ok(kept.every(({ annotations }) => Number(annotations?.sea) >= 0 && Number(annotations?.sea) <= 1))
  assert.ok(grades.every(({ annotations }, i) => Number(annotations?.classifier_score) >= 3 * Number(kept[i].annotations?.sea)))
  const { kept: some, dropped } = await classified({ label: '3', minScore: 0.2, maxScore: 0.9 })
  assert.deepEqual(new Set(dropped.values()), new Set(['low_classifier_score', 'high_classifier_score']))
  assert.deepEqual(
    some.map(({ id }) => id),
    kept.filter(({ annotations }) => Number(annotations?.sea) >= 0.2 && Number(annotations?.sea) < 0.9).map(({ id }) => id),
  )
})

test('a model without the label, a missing and a damaged model are refused by name', async () => {
  await assert.rejects(classified({ label: 'desert' }), { code: 'SLUICE_CLASSIFIER_LABEL' })
  assert.throws(() => classify({ model: join(folder, 'nowhere.bin'), label: 'a' }), { code: 'SLUICE_FILE_MISSING' })
  const damaged = join(folder, 'damaged.bin')
  writeFileSync(damaged, readFileSync(model).subarray(0, 5000))
  const stage = asTransform(classify({ model: damaged, label: '3' }))
  stage.end(documents)
  await assert.rejects(stage.toArray(), { code: 'SLUICE_LANG_MODEL_TRUNCATED' })
})

test('keepTop keeps exactly the share with the highest scores, however the input is cut', async () => {
  const scored = documents.map((document, i) => ({ ...document, annotations: { score: (i * 7919) % 600 } }))
  for (const partitions of [[scored], cutAt(scored, [10, 10, 350])]) {
    const { kept, dropped } = await runBarrier(keepTop({ by: 'score', share: 0.1 }), partitions)
    assert.deepEqual(
      kept.flat().map(({ id }) => id),
      scored.filter(({ annotations }) => annotations.score >= 540).map(({ id }) => id),
    )
    assert.deepEqual(new Set(dropped.values()), new Set(['not_in_top_share']))
  }
  await runBarrier(keepTop({ by: 'score', share: 0.1 }), [[]])
  await assert.rejects(runBarrier(keepTop({ by: 'other', share: 0.1 }), [scored]), { code: 'SLUICE_ANNOTATION_MISSING' })
})
