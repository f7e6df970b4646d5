import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { EXAMPLES_PER_ROW, ExampleLoader } from '../../src/train/example-loader.ts'
import { openExamples, splitExamples } from '../../src/train/examples.ts'
import { temporaryFolder } from './corpora.ts'

const encode = (text: string) => [9, ...Buffer.from(text), 0]
const shape = { rows: 3, length: 48, targetLength: 24, startToken: 0, seed: 5 }

async function linesOf(folder: string, lines: readonly unknown[]): Promise<string> {
  const path = join(folder, 'examples.jsonl')
  await writeFile(path, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'))
  return path
}

test('examples are read, what is none is counted, and long ones keep their last token', async () => {
  await using folder = await temporaryFolder()
  const path = await linesOf(folder.path, [
    { text: 'good film', label: 'pos' },
    { text: 'bad', label: 'neg' },
    { text: 'no label' },
    'not json',
    { text: 'x'.repeat(100), label: 'neg' },
  ])
  const { examples, refused, cutTokens } = await openExamples(path, { kind: 'label', encode, length: 20, targetLength: 0 })
  assert.deepEqual(examples.labelNames, ['neg', 'pos'])
  assert.deepEqual([...(examples.labels ?? [])], [1, 0, 0])
  assert.deepEqual(refused, { no_label: 1, not_an_object: 1 })
  assert.equal(cutTokens, 82)
  assert.deepEqual([...examples.source.tokens.subarray(examples.source.starts[2])], [9, ...Buffer.from('x'.repeat(18)), 0])
  assert.deepEqual([...examples.ordinals], [0, 1, 4])
})

test('a file without examples and an unknown label are refused', async () => {
  await using folder = await temporaryFolder()
  const options = { kind: 'label', encode, length: 20, targetLength: 0 } as const
  await assert.rejects(openExamples(await linesOf(folder.path, [{ text: 'a' }]), options), { code: 'SLUICE_TRAIN_EXAMPLES' })
  const path = await linesOf(folder.path, [{ text: 'a', label: 'new' }])
  await assert.rejects(openExamples(path, { ...options, labelNames: ['old'] }), { code: 'SLUICE_TRAIN_EXAMPLES' })
})

test('examples that all have one label are refused before a model is made', async () => {
  await using folder = await temporaryFolder()
  const path = await linesOf(folder.path, [
    { text: 'a', label: 'same' },
    { text: 'b', label: 'same' },
  ])
  const options = { kind: 'label', encode, length: 20, targetLength: 0 } as const
  await assert.rejects(openExamples(path, options), { code: 'SLUICE_TRAIN_EXAMPLES', message: /all 2 examples have the label same/ })
})

test('every example is in a batch once an epoch, alone in what it sees, and a cursor goes on with the next one', async () => {
  await using folder = await temporaryFolder()
  const lines = Array.from({ length: 50 }, (_, i) => ({ input: `q${i}${'x'.repeat(i % 17)}`, target: `${i}` }))
  const { examples } = await openExamples(await linesOf(folder.path, lines), { kind: 'pair', encode, length: 48, targetLength: 24 })
  const loader = new ExampleLoader(examples, { ...shape, epochs: 2 })
  const seen: number[] = []
  for (let batch = loader.next(); batch; batch = loader.next()) {
    seen.push(...batch.documents.filter((_, i) => i % 2 === 1))
    const again = new ExampleLoader(examples, { ...shape, epochs: 2 }, loader.cursor)
    const here = new ExampleLoader(examples, { ...shape, epochs: 2 }, loader.cursor)
    assert.deepEqual(again.next(), here.next())
    if (batch.batch.kind !== 'pairs') assert.fail('pairs are wanted')
    const { source, target } = batch.batch
    for (let i = 0; i < target.targets.length; i++) {
      if (target.targets[i] < 0) continue
      const row = Math.floor(i / 24) * 48
      const read = source.ids.subarray(row + target.crossLo[i], row + target.crossHi[i])
      const start = i - (i % 24) + target.lo[i]
      const written = target.targets.subarray(start, target.targets.indexOf(0, start))
      // the answer to a question is its number
      const question = Buffer.from(read.subarray(2, -1)).toString()
      assert.ok(question.startsWith(Buffer.from(written.subarray(1)).toString()), `${question}`)
    }
  }
  assert.equal(seen.length, 100)
  const sorted = (part: number[]) => [...part].sort((a, b) => a - b)
  for (const epoch of [seen.slice(0, 50), seen.slice(50)])
    assert.deepEqual(
      sorted(epoch),
      lines.map((_, i) => i),
    )
  assert.notDeepEqual(seen.slice(0, 50), seen.slice(50))
})

test('labelled examples are read by their first token, and short ones fill a row up to what the head is planned for', async () => {
  await using folder = await temporaryFolder()
  const lines = Array.from({ length: 80 }, (_, i) => ({ text: 'a', label: i % 2 === 0 }))
  const { examples } = await openExamples(await linesOf(folder.path, lines), { kind: 'label', encode, length: 96, targetLength: 0 })
  const loader = new ExampleLoader(examples, { ...shape, length: 96, rows: 2, epochs: 1 })
  const first = loader.next()
  if (first?.batch.kind !== 'picked') return assert.fail('labels are wanted')
  const { ids, picked, targets } = first.batch
  assert.equal(picked.length, 2 * EXAMPLES_PER_ROW)
  for (const place of picked) assert.equal(ids[place], 9)
  assert.ok(targets.every((target) => target === 0 || target === 1))
})

test('held-out examples are chosen by their ids', async () => {
  await using folder = await temporaryFolder()
  const lines = Array.from({ length: 300 }, (_, i) => ({ id: i, text: `text ${i}`, label: i % 3 }))
  const opened = await openExamples(await linesOf(folder.path, lines), { kind: 'label', encode, length: 20, targetLength: 0 })
  const { train, validation } = splitExamples(opened, 0.2)
  assert.equal(train.ordinals.length + validation.ordinals.length, 300)
  assert.ok(validation.ordinals.length > 35 && validation.ordinals.length < 85)
  assert.deepEqual(
    [...train.ordinals].filter((ordinal) => validation.ordinals.includes(ordinal)),
    [],
  )
})
