// Two pipelines on one sample: which documents they disagree on, and by which rule.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { lineDifference } from '../../src/audit/diff.ts'
import { scratch, sluice } from './sluice.ts'

const pipelineAt = (name: string) => fileURLToPath(new URL(`./pipelines/${name}.ts`, import.meta.url))
const rules = pipelineAt('rules')

const sentence = (i: number) => `The people of town number ${'abcdefghij'[i % 10]} have gone to the market with their baskets.\n`
const prose = (sentences: number, seed = 0) => Array.from({ length: sentences }, (_, i) => sentence(i + seed)).join('')

/** Long, short (28 words), long with a line that has no end mark, long without any. */
function writeDocuments(folder: string): string {
  const file = join(folder, 'in.jsonl')
  const texts = {
    long: prose(9),
    short: prose(5).split('\n').slice(0, 2).join('\n'),
    headed: `Some heading of this page\n${prose(8)}`,
    listed: prose(9).replaceAll('.\n', '\n'),
    'mail@example.org': prose(3),
  }
  const lines = Object.entries(texts).map(([name, text]) => JSON.stringify({ text, url: `https://example.com/${name}` }))
  writeFileSync(file, `${lines.join('\n')}\n`)
  return file
}

test('documents on which two pipelines disagree are shown with the statistic and the limits of both', async (t) => {
  const input = writeDocuments(scratch(t))
  const { code, stdout, stderr } = await sluice([
    'diff',
    rules,
    rules,
    '--input',
    input,
    '--b-min-words',
    '20',
    '--b-no-end-marks',
    '--json',
  ])
  assert.equal(code, 0, stderr)
  const { a, b, cells, examples, transitions, sample, differing } = JSON.parse(stdout)
  assert.deepEqual([sample.documents, sample.read, a.arguments.minWords, b.arguments.minWords], [5, 5, undefined, 20])
  assert.deepEqual(
    [a.stages, a.notRun],
    [
      ['gopherQuality', 'c4Quality'],
      ['exactDedup', 'redactPii'],
    ],
  )
  assert.deepEqual(cells, { same: 1, text: 1, onlyA: 0, onlyB: 1, dropped: 0, reason: 2, failed: 0 })
  assert.equal(differing, 4)
  assert.deepEqual(transitions.map((row: { a: string; b: string }) => [row.a, row.b]).sort(), [
    ['c4Quality: too_few_sentences', 'kept'],
    ['gopherQuality: gopher_short_doc', 'c4Quality: too_few_sentences'],
    ['kept', 'kept'],
  ])
  const [listed] = examples.onlyB
  assert.equal(listed.url, 'https://example.com/listed')
  assert.partialDeepStrictEqual(listed.a, {
    verdict: 'dropped',
    stage: 'c4Quality',
    reason: 'too_few_sentences',
    decided: { statistic: 'n_sentences', value: 0, option: 'minNumSentences', limit: 5 },
  })
  const short = examples.reason.find(({ url }: { url: string }) => url.endsWith('/short'))
  assert.deepEqual([short.a.decided.option, short.a.decided.limit, short.a.inOther.limit], ['minDocWords', 50, 20])
  const [headed] = examples.text
  assert.deepEqual(headed.changes, { onlyA: { lines: 0, first: [] }, onlyB: { lines: 1, first: ['Some heading of this page'] } })
})

test('personal data are replaced unless raw texts are asked for; --exit-code tells whether they agree', async (t) => {
  const input = writeDocuments(scratch(t))
  const diff = (...more: string[]) => sluice(['diff', rules, rules, '--input', input, '--a-min-words', '20', ...more])
  const shown = await diff('--exit-code')
  assert.equal(shown.code, 3)
  assert.match(shown.stdout, /not run, from the first barrier on: exactDedup → redactPii/)
  assert.match(shown.stdout, /minDocWords 50/)
  assert.doesNotMatch(shown.stdout, /mail@example\.org/)
  assert.match((await diff('--text', 'raw')).stdout, /mail@example\.org/)
  assert.doesNotMatch((await diff('--text', 'off')).stdout, /baskets/)
  const same = await sluice(['diff', rules, rules, '--input', input, '--exit-code'])
  assert.equal(same.code, 0, same.stderr)
})

test('text of strangers cannot steer a terminal, and colours are there on one', async (t) => {
  const folder = scratch(t)
  const input = join(folder, 'in.jsonl')
  writeFileSync(input, `${JSON.stringify({ text: `\x1b[2J${prose(3)}`, url: 'https://example.com/\x1b[31m' })}\n`)
  const words = ['diff', rules, rules, '--input', input, '--a-min-words', '1']
  const { stdout } = await sluice(words, { env: { FORCE_COLOR: '1' } })
  assert.ok(stdout.includes('\x1b[1m'), 'bold titles')
  assert.match(stdout, /\ufffd\[2J.*baskets/)
  assert.doesNotMatch(stdout, /\x1b\[(?:2J|31m)/)
})

test('the sample is the same in every call, whatever else the pipelines do', async (t) => {
  const folder = scratch(t)
  const file = join(folder, 'many.jsonl')
  writeFileSync(file, Array.from({ length: 400 }, (_, i) => `${JSON.stringify({ text: prose(4, i) })}\n`).join(''))
  const ids = async (...more: string[]) => {
    const { stdout } = await sluice([
      'diff',
      rules,
      rules,
      '--input',
      file,
      '--sample',
      '30',
      '--b-min-words',
      '1000',
      '--a-min-words',
      '1',
      '--examples',
      '100',
      '--json',
      ...more,
    ])
    const { cells, examples } = JSON.parse(stdout)
    assert.equal(cells.onlyA + cells.reason, 30)
    return [...examples.onlyA, ...examples.reason].map(({ id }: { id: string }) => id).sort()
  }
  assert.deepEqual(await ids(), await ids('--text', 'off'))
})

test('what cannot be compared is refused with what to do', async (t) => {
  const folder = scratch(t)
  const input = writeDocuments(folder)
  const refusal = async (...words: string[]) => {
    const { code, stderr } = await sluice(['diff', ...words])
    assert.equal(code, 1, stderr)
    assert.doesNotMatch(stderr, /\n {4}at /)
    return stderr
  }
  const pages = pipelineAt('pages')
  const warc = fileURLToPath(new URL('../../fixtures/warc/good.warc.gz', import.meta.url))
  const inputs = ['--a-input', input, '--b-input', warc, '--output', join(folder, 'out')]
  assert.match(await refusal(rules, pages, ...inputs), /SLUICE_DIFF_SOURCE[\s\S]*A jsonl, B warc/)
  assert.match(
    await refusal(rules, pages, ...inputs, '--source', 'b'),
    /"gopherQuality" fails on every document.*has no text.*SLUICE_DIFF_TYPES/,
  )
  assert.match(await refusal(rules, join(folder, 'nothing.ts'), '--input', input), /SLUICE_PIPELINE_FILE/)
  assert.match(await refusal(rules, rules, '--input', join(folder, 'nothing.jsonl')), /SLUICE_INPUT_MISSING/)
  assert.match(
    await refusal(rules, rules, '--input', input, '--c-min-words', '3'),
    /neither sluice diff nor the pipeline knows --c-min-words/,
  )
  assert.match(await refusal(rules, rules, '--input', input, '--a-min-words', 'few'), /SLUICE_ARGUMENTS/)
  writeFileSync(join(folder, 'empty.jsonl'), '')
  assert.match(await refusal(rules, rules, '--input', join(folder, 'empty.jsonl')), /SLUICE_NO_INPUT/)
})

test('--documents stands for the input of both', async (t) => {
  const folder = scratch(t)
  const input = writeDocuments(folder)
  const words = ['--a-input', 'nowhere.jsonl', '--b-input', 'elsewhere.jsonl', '--documents', input]
  const { code, stdout, stderr } = await sluice(['diff', rules, rules, ...words, '--json'])
  assert.equal(code, 0, stderr)
  assert.deepEqual([JSON.parse(stdout).sample.documents, JSON.parse(stdout).differing], [5, 0])
})

test('a line counts as often as it is there more', () => {
  assert.deepEqual(lineDifference('a\nb\na\nc', 'a\nd\nb'), { onlyA: ['a', 'c'], onlyB: ['d'] })
  assert.deepEqual(lineDifference('a\n\n\nb', 'a\nb'), { onlyA: [], onlyB: [] })
  assert.deepEqual(lineDifference('a\nb', 'b\na'), { onlyA: [], onlyB: [] })
})
