import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const text = readFileSync(new URL('../../fixtures/ngram/text.txt', import.meta.url), 'utf8')
const root = mkdtempSync(join(tmpdir(), 'sluice-cli-ngram-'))
after(() => rmSync(root, { recursive: true }))
writeFileSync(join(root, 'text.txt'), text)

function sluice(words: readonly string[], input = '') {
  return spawnSync(process.execPath, ['--conditions=source', main, 'ngram', ...words], { input, encoding: 'utf8', cwd: root })
}

const FALLBACK = ['--discount-fallback', '0.5,1,1.5']

test('a model is trained on a file or on JSON lines, scores documents, and shows what each word costs', () => {
  const trained = sluice(['train', '-n', '3', '-o', 'model.arpa.gz', ...FALLBACK, 'text.txt'])
  assert.equal(trained.status, 0, trained.stderr)
  assert.match(trained.stderr, /\d+ words gave 48 1-grams, .* written to model\.arpa\.gz/)
  sluice(['train', '-n', '3', '-o', 'lines.arpa', ...FALLBACK], `${JSON.stringify({ text: text.trimEnd() })}\n`)
  assert.equal(gunzipSync(readFileSync(join(root, 'model.arpa.gz'))).toString(), readFileSync(join(root, 'lines.arpa'), 'utf8'))

  const scored = sluice(['score', '-m', 'model.arpa.gz'], '{"id":"a","text":"The Heron sees\\nzzz"}\n{"text":""}\n')
  const [first, second] = scored.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual([first.id, first.tokens, first.unknown, second.tokens], ['a', 6, 1, 1])
  assert.equal(first.perplexity, 10 ** (-first.logProbability / 6))

  const [shown] = sluice(['query', '-m', 'lines.arpa', '--json'], 'the heron  zzz\n')
    .stdout.trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    shown.tokens.map(({ word, isUnknown }: { word: string; isUnknown: boolean }) => [word, isUnknown]),
    [
      ['the', false],
      ['heron', false],
      ['zzz', true],
      ['</s>', false],
    ],
  )
  assert.match(
    sluice(['query', '-m', 'lines.arpa'], 'the heron zzz\n').stdout,
    /^ +-\d\.\d{4} {2}the\n.*heron\n.*\* zzz\n.*<\/s>\n.*in all, perplexity \d/s,
  )
})

test('a model says how its text was made, and is asked in no other way', () => {
  assert.equal(
    sluice(['train', '-n', '2', '-o', 'tokens.arpa', '--tokens', 'gpt2', '--normalize', 'none', ...FALLBACK, 'text.txt']).status,
    0,
  )
  const input = '{"text":"the heron sees"}\n'
  const scored = sluice(['score', '-m', 'tokens.arpa', '--tokens', 'gpt2'], input)
  assert.equal(JSON.parse(scored.stdout).unknown, 0)
  for (const words of [[], ['--tokens', 'cl100k'], ['--tokens', 'blanks'], ['--tokens', 'gpt2', '--normalize', 'ccnet']]) {
    const { status, stderr } = sluice(['score', '-m', 'tokens.arpa', ...words], input)
    assert.equal(status, 1, words.join(' '))
    assert.match(stderr, /\[SLUICE_NGRAM_TEXT\]/)
  }
})

test('a user’s mistakes end in a message and no stack', () => {
  const refusals: [words: string[], input: string, message: RegExp][] = [
    [['train', '-o', 'x.arpa', 'text.txt'], '', /\[SLUICE_NGRAM_DISCOUNT\]/],
    [['train', '-o', 'x.arpa'], '', /\[SLUICE_NGRAM_NO_TEXT\]/],
    [['train', '-o', 'nowhere/x.arpa', 'text.txt'], '', /\[SLUICE_FILE_MISSING\]/],
    [['train', '-o', 'text.txt/x.arpa', 'text.txt'], '', /a folder was expected.*\[SLUICE_FILE_MISSING\]/],
    [['train', '-o', 'x.arpa', 'missing.txt'], '', /\[SLUICE_FILE_MISSING\]/],
    [['train', '-o', 'x.arpa', '-n', '7', 'text.txt'], '', /from 1 to 6/],
    [['train', '-o', 'x.arpa', '--prune', '0,2,1', ...FALLBACK, 'text.txt'], '', /\[SLUICE_NGRAM_PRUNE\]/],
    [['train', '-o', 'x.arpa', '--prune', 'some', 'text.txt'], '', /give a whole number from 0.* several with commas/],
    [['train', '-o', 'x.arpa', '--discount-fallback', '2,1,1', 'text.txt'], '', /three numbers/],
    [['train', '-o', 'x.arpa', '--tokens', 'gpt5', 'text.txt'], '', /\[SLUICE_TOKENIZER_UNKNOWN\]/],
    [['score', '-m', 'missing.arpa'], '', /\[SLUICE_FILE_MISSING\]/],
    [['score', '-m', 'text.txt'], '', /\[SLUICE_NGRAM_ARPA\]/],
    [['score', '-m', 'lines.arpa'], 'no JSON\n', /\[SLUICE_JSONL_LINE\]/],
  ]
  for (const [words, input, message] of refusals) {
    const { status, stderr, stdout } = sluice(words, input)
    assert.equal(status, 1, words.join(' '))
    assert.match(stderr, message)
    assert.doesNotMatch(stderr, /\n\s+at /)
    assert.equal(stdout, '')
  }
})
