import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { labelledLines, labelledText } from '../lang/labelled-text.ts'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'sluice-cli-classifier-'))
after(() => rmSync(root, { recursive: true }))
writeFileSync(join(root, 'train.txt'), labelledText(1500, 1))
writeFileSync(join(root, 'test.txt'), labelledText(200, 2))
const small = ['--dim', '10', '--bucket', '3000', '--word-ngrams', '2', '--lr', '0.5', '--epoch', '10', '--threads', '1']

function sluice(words: readonly string[], input = '') {
  return spawnSync(process.execPath, ['--conditions=source', main, 'classifier', ...words], { input, encoding: 'utf8', cwd: root })
}

function done(words: readonly string[], input = ''): string {
  const { status, stdout, stderr } = sluice(words, input)
  assert.equal(status, 0, stderr)
  return stdout
}

test('a classifier is trained, tested, made small, tested again and asked', () => {
  done(['train', 'train.txt', '-o', 'model.bin', ...small])
  const figures = JSON.parse(done(['test', 'model.bin', 'test.txt', '--json']))
  assert.ok(figures.examples === 200 && figures.precision > 0.85, JSON.stringify(figures))
  assert.match(done(['test', 'model.bin', 'test.txt', '--labels']), /^N\t200\nP@1\t0\.\d+\nR@1\t0\.\d+\n.*label\n.*__label__sea\n/s)
  done([
    'quantize',
    'model.bin',
    '-o',
    'model.ftz',
    '--cutoff',
    '500',
    '--qnorm',
    '--retrain',
    'train.txt',
    '--epoch',
    '3',
    '--threads',
    '1',
  ])
  assert.ok(statSync(join(root, 'model.ftz')).size < statSync(join(root, 'model.bin')).size / 3)
  assert.ok(JSON.parse(done(['test', 'model.ftz', 'test.txt', '--json'])).precision > figures.precision - 0.05)
  const questions = `${labelledLines(3, 7).join('\n')}\n`
  for (const line of done(['predict', 'model.ftz', '-k', '2'], questions).trimEnd().split('\n'))
    assert.match(line, /^__label__\S+ [\d.e-]+ __label__\S+ [\d.e-]+$/)
  writeFileSync(join(root, 'questions.txt'), questions)
  const answers = done(['predict', 'model.bin', 'questions.txt', '-k', 'all', '--json']).trimEnd().split('\n')
  for (const { labels, scores } of answers.map((line) => JSON.parse(line))) {
    assert.equal(labels.length, 4)
    assert.ok(Math.abs(scores.reduce((sum: number, score: number) => sum + score) - 1) < 1e-3)
  }
})

test('one thread writes the same file each time', () => {
  done(['train', 'train.txt', '-o', 'a.bin', ...small])
  done(['train', 'train.txt', '-o', 'b.bin', ...small])
  assert.ok(readFileSync(join(root, 'a.bin')).equals(readFileSync(join(root, 'b.bin'))))
})

test('options are looked for on a validation text, down to a size', () => {
  const tuning = [
    '--validation',
    'test.txt',
    '--duration',
    '2',
    '--model-size',
    '40kB',
    '--bucket',
    '3000',
    '--dim',
    '10',
    '--threads',
    '1',
  ]
  done(['train', 'train.txt', '-o', 'tuned.ftz', ...tuning])
  assert.ok(statSync(join(root, 'tuned.ftz')).size <= 40_000)
  assert.ok(JSON.parse(done(['test', 'tuned.ftz', 'test.txt', '--json'])).examples === 200)
})

test('a user’s mistakes end in a message with a code and no stack', () => {
  writeFileSync(join(root, 'broken.bin'), 'this is no model')
  writeFileSync(join(root, 'plain.txt'), 'no label here\n')
  const refusals: [words: string[], says: string][] = [
    [['train', 'nowhere.txt', '-o', 'x.bin'], 'SLUICE_FILE_MISSING'],
    [['train', 'train.txt', '-o', 'nowhere/x.bin'], 'SLUICE_FILE_MISSING'],
    [['train', 'train.txt', '-o', 'test.txt/x.bin'], 'SLUICE_FILE_MISSING'],
    [['train', 'plain.txt', '-o', 'x.bin'], 'SLUICE_LANG_NO_LABELS'],
    [['train', 'train.txt', '-o', 'x.bin', '--lr', '-1'], 'give a number above 0, up to 100'],
    [['train', 'train.txt', '-o', 'x.bin', '--dim', '2.5'], 'give a whole number from 1 to 4096'],
    [['train', 'train.txt', '-o', 'x.bin', '--minn', '4', '--maxn', '2'], 'SLUICE_CLI_OPTIONS'],
    [['train', 'train.txt', '-o', 'x.bin', '--model-size', '1MB'], 'SLUICE_CLI_OPTIONS'],
    [['train', 'train.txt', '-o', 'x.bin', '--loss', 'hinge'], 'Allowed choices'],
    [['train', 'train.txt', '-o', 'x.bin', '--epoch', 'many'], 'give a whole number from 1'],
    [['test', 'broken.bin', 'test.txt'], 'SLUICE_LANG_NOT_FASTTEXT'],
    [['predict', 'nowhere.bin'], 'SLUICE_FILE_MISSING'],
    [['quantize', 'broken.bin', '-o', 'x.ftz'], 'SLUICE_LANG_NOT_FASTTEXT'],
    [['quantize', 'broken.bin', '-o', 'x.ftz', '--retrain', 'train.txt'], 'SLUICE_CLI_OPTIONS'],
    [['report', '.'], 'SLUICE_CLASSIFIER_NO_REPORT'],
  ]
  for (const [words, says] of refusals) {
    const { status, stderr } = sluice(words)
    assert.notEqual(status, 0, words.join(' '))
    assert.ok(stderr.includes(says), `${words.join(' ')}: ${stderr}`)
    assert.doesNotMatch(stderr, /\n\s+at |fault in sluice/, words.join(' '))
  }
})
