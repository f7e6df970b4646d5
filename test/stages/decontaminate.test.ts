import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { CONTAMINATION_FILE, contaminationReport } from '../../schemas/contamination.ts'
import { EvaluationIndex, ngramWordsFor } from '../../src/dedup/evaluation-sets.ts'
import { plainWords } from '../../src/dedup/plain-words.ts'
import { type DecontaminateOptions, decontaminate } from '../../stages/decontaminate.ts'
import { cutAt, documentsOf } from '../dedup/documents.ts'
import { runBarrier } from '../dedup/run-barrier.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-evaluation-'))
after(() => rmSync(folder, { recursive: true }))

let files = 0
function setFile(content: string | Uint8Array, extension = 'txt'): string {
  const path = join(folder, `set-${files++}.${extension}`)
  writeFileSync(path, content)
  return path
}

const question =
  'A farmer counts forty two geese on Monday, loses seven of them to a fox on Tuesday night and buys nine more from the miller on Friday morning.'
const other =
  'The quick survey of lighthouse keepers asked each of them how many ships had passed within sight during the longest night of winter.'

async function results(texts: readonly string[], options: DecontaminateOptions, cuts: readonly number[] = []) {
  const documents = cutAt(documentsOf(texts), cuts)
  let report = ''
  const { kept, dropped } = await runBarrier(decontaminate(options), documents, {
    inspect: async (merged) => {
      report = readFileSync(join(merged, CONTAMINATION_FILE), 'utf8')
    },
  })
  const byId = new Map(kept.flat().map(({ id, text }) => [id, text]))
  return {
    outcome: texts.map((_, i) => byId.get(String(i)) ?? dropped.get(String(i))),
    report: contaminationReport.parse(JSON.parse(report)),
  }
}

test('a document that holds thirteen words of an example is dropped, by the name of the set', async () => {
  const geese = setFile(`${question}\n`)
  const ships = setFile(`${JSON.stringify({ id: 'x', question: other })}\n`, 'jsonl')
  const words = question.split(' ')
  const texts = [
    `Homework: ${words.slice(3, 16).join(' ').toUpperCase().replaceAll(' ', ' — ')}!`,
    words.slice(3, 15).join(' '),
    `${other} And so on.`,
    'Nothing of the sort.',
  ]
  const { outcome, report } = await results(texts, { against: { geese, ships } })
  assert.deepEqual(outcome, ['contaminated_geese', texts[1], 'contaminated_ships', texts[3]])
  assert.deepEqual(
    report.sets.map(({ name, found }) => [name, found.length, found[0].documents]),
    [
      ['geese', 1, 1],
      ['ships', 1, 1],
    ],
  )
  assert.equal(report.sets[1].found[0].share, 1)
  assert.ok(report.sets[0].found[0].share < 0.2)
})

test('by share, a document must hold most of an example', async () => {
  const geese = setFile(question)
  const half = question.split(' ').slice(0, 14).join(' ')
  const options = { against: { geese }, ngramWords: 8, minShare: 0.7 }
  assert.deepEqual((await results([half, `So: ${question}`], options)).outcome, [half, 'contaminated_geese'])
})

test('phrases of many documents count for nothing where that is asked for', async () => {
  const geese = setFile(question)
  const texts = Array.from({ length: 4 }, (_, i) => `${question} ${i}`)
  assert.deepEqual((await results(texts, { against: { geese }, commonDocuments: 3 })).outcome, texts)
  assert.deepEqual((await results(texts.slice(1), { against: { geese }, commonDocuments: 3 })).outcome, Array(3).fill('contaminated_geese'))
})

test('cut out, an example goes with its surroundings; what is too short or too torn goes as a whole', async () => {
  const geese = setFile(question)
  const before = 'Before it. '.repeat(40)
  const behind = ' Behind it.'.repeat(40)
  const options = { against: { geese }, action: 'cut', windowChars: 50, minPieceChars: 100 } as const
  const torn = `${before}${question}`.repeat(3) + before
  const { outcome } = await results([before + question + behind, question, torn], { ...options, maxPieces: 3 })
  assert.deepEqual(outcome, [
    `${before.slice(0, before.length - 50).trim()}\n\n${behind.slice(49).trim()}`,
    'contaminated_rest',
    'contaminated_pieces',
  ])
})

test('an n-gram is found wherever it stands, and only whole: as a plain search over all words finds it', async () => {
  const word = fc.constantFrom('a', 'b', 'c', 'dd', 'B', '7', 'é', '水', '火', "don't", '—', '…')
  const text = fc.array(word, { maxLength: 14 }).map((words) => words.join(' '))
  await fc.assert(
    fc.asyncProperty(
      fc.array(text, { minLength: 1, maxLength: 4 }),
      fc.array(text, { maxLength: 5 }),
      fc.nat(5),
      async (examples, texts, cut) => {
        const path = setFile(examples.map((example) => JSON.stringify({ example })).join('\n'), 'jsonl')
        const { outcome } = await results(texts, { against: { set: path }, ngramWords: 4, minNgramWords: 2 }, [cut])
        const n = ngramWordsFor(
          examples.map((example) => plainWords(example).length),
          { ngramWords: 4, minNgramWords: 2 },
        )
        const ngrams = (of: string) => plainWords(of).flatMap((_, i, all) => (i + n <= all.length ? [all.slice(i, i + n).join(' ')] : []))
        const known = new Set(examples.flatMap(ngrams))
        assert.deepEqual(
          outcome,
          texts.map((of) => (ngrams(of).some((ngram) => known.has(ngram)) ? 'contaminated_set' : of)),
        )
      },
    ),
    { numRuns: 40 },
  )
})

test('plain words leave marks out, and take characters of scripts without blanks one by one', () => {
  assert.deepEqual(plainWords('He said: "2 × 3 = SIX!" 水が 好き'), ['he', 'said', '2', '3', 'six', '水', 'が', '好', 'き'])
})

test('sets of short examples get shorter n-grams, within the rules', () => {
  const rules = { ngramWords: 13, minNgramWords: 8 }
  assert.equal(ngramWordsFor(Array(100).fill(30), rules), 13)
  assert.equal(ngramWordsFor([...Array(10).fill(9), ...Array(90).fill(30)], rules), 9)
  assert.equal(ngramWordsFor(Array(10).fill(3), rules), 8)
  const index = new EvaluationIndex()
  index.addSet('short', [['one two three'], [question]], rules)
  assert.equal(index.sets[0].tooShort, 1)
})

test('fields choose what of an example counts; compressed files and patterns are read', async () => {
  const line = JSON.stringify({ prompt: { question }, answer: other })
  setFile(gzipSync(line), 'q.jsonl.gz')
  const set = { files: join(folder, '*.q.jsonl.gz'), fields: ['answer'] }
  assert.deepEqual((await results([question, other], { against: { set } })).outcome, [question, 'contaminated_set'])
})

test('a set that is not there, or is damaged, is said before anything runs or where it is read', async () => {
  assert.throws(() => decontaminate({ against: { gone: join(folder, 'gone.jsonl') } }), { code: 'SLUICE_EVALUATION_UNREADABLE' })
  assert.throws(() => decontaminate({ against: { gone: join(folder, '*.nothing') } }), { code: 'SLUICE_EVALUATION_UNREADABLE' })
  const damaged = setFile('{"a": "b"}\n{"a":', 'jsonl')
  await assert.rejects(results(['x'], { against: { damaged } }), { code: 'SLUICE_EVALUATION_UNREADABLE' })
})
