import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { bert } from '../tokenizer/small-tokenizers.ts'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'sluice-cli-tokenizer-'))
after(() => rmSync(root, { recursive: true }))

function sluice(words: readonly string[], input = '') {
  return spawnSync(process.execPath, ['--conditions=source', main, 'tokenizer', ...words], { input, encoding: 'utf8', cwd: root })
}

test('what encode prints decodes to what it was given, ids kept', () => {
  const input = '{"id":"a","text":"Hello world"}\n\n{"text":"naïve 😀\\n"}\n{"id":7,"text":""}\n'
  const encoded = sluice(['encode', '-t', 'gpt2'], input)
  assert.equal(encoded.stdout.split('\n')[0], '{"id":"a","tokens":[15496,995]}')
  const decoded = sluice(['decode', '-t', 'gpt2'], encoded.stdout)
  assert.equal(decoded.stdout, input.replace('\n\n', '\n'))
})

test('special tokens are ordinary text unless allowed, and the end is appended when asked', () => {
  const line = '{"text":"a<|endoftext|>"}\n'
  assert.equal(sluice(['encode', '-t', 'gpt2', '--allow-special'], line).stdout, '{"tokens":[64,50256]}\n')
  assert.equal(sluice(['encode', '-t', 'gpt2', '--append-end'], '{"text":"a"}\n').stdout, '{"tokens":[64,50256]}\n')
  writeFileSync(join(root, 'framed.json'), JSON.stringify(bert))
  const framed = sluice(['encode', '-t', 'framed.json', '--model-frame', '--append-end'], '{"text":"the"}\n')
  assert.equal(framed.stdout, '{"tokens":[2,57,3]}\n')
  assert.notEqual(sluice(['encode', '-t', 'gpt2'], line).stdout, '{"tokens":[64,50256]}\n')
})

test('train gives the same tokenizer from a file, from JSON lines, and whatever else is in between', () => {
  const text = 'low lower lowest, new newer newest; wide wider widest. '.repeat(20)
  writeFileSync(join(root, 'text.txt'), text)
  const fromFile = sluice(['train', '-n', '300', '-o', 'file.json', 'text.txt'])
  assert.equal(fromFile.status, 0, fromFile.stderr)
  assert.match(fromFile.stderr, /written to file\.json/)
  sluice(['train', '--vocab-size', '300', '--output', 'lines.json'], `${JSON.stringify({ text })}\n`)
  assert.equal(readFileSync(join(root, 'file.json'), 'utf8'), readFileSync(join(root, 'lines.json'), 'utf8'))
  writeFileSync(join(root, 'lines.jsonl.gz'), gzipSync(`${JSON.stringify({ text })}\n`))
  writeFileSync(join(root, 'text.txt.zst'), zstdCompressSync(text))
  for (const packed of ['lines.jsonl.gz', 'text.txt.zst']) {
    sluice(['train', '-n', '300', '-o', 'packed.json', packed])
    assert.equal(readFileSync(join(root, 'packed.json'), 'utf8'), readFileSync(join(root, 'file.json'), 'utf8'), packed)
  }
  const info = JSON.parse(sluice(['info', 'file.json', '--json']).stdout)
  assert.deepEqual([info.endOfText, info.patterns], [0, ['gpt4']])
})

test('conversations are rendered by the template beside the tokenizer, with ids and a mask', () => {
  const tokenizer = { ...bert, pre_tokenizer: { type: 'WhitespaceSplit' }, normalizer: null, decoder: null }
  writeFileSync(join(root, 'tokenizer.json'), JSON.stringify(tokenizer))
  const template =
    "{% for m in messages %}{{ m.role[0] + ' ' + m.content + ' [SEP]' }}{% if not loop.last %}{{ ' ' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ ' a' }}{% endif %}"
  writeFileSync(join(root, 'tokenizer_config.json'), JSON.stringify({ chat_template: template }))
  const input = '{"id":1,"messages":[{"role":"user","content":"the"},{"role":"assistant","content":"un"}]}\n'
  const chat = sluice(['chat', '-t', 'tokenizer.json', '--mask'], input)
  assert.deepEqual(JSON.parse(chat.stdout), {
    id: 1,
    text: 'u the [SEP] a un [SEP]',
    tokens: [25, 57, 3, 5, 58, 3],
    mask: [0, 0, 0, 0, 1, 1],
  })
  assert.match(sluice(['chat', '-t', 'tokenizer.json'], '{"messages":[]}\n').stderr, /SLUICE_JSONL_LINE/)
  assert.match(sluice(['chat', '-t', 'gpt2'], input).stderr, /SLUICE_CHAT_TEMPLATE/)
})

test('compare says bytes per token and tokens per word, by language and by domain', () => {
  const lines = [
    { text: 'the cat sat', language: 'en', subset: 'news' },
    { text: 'die Katze saß', language: 'de', subset: 'news' },
    { text: '', language: 'de' },
  ]
  writeFileSync(join(root, 'mixed.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
  writeFileSync(join(root, 'bert.json'), JSON.stringify(bert))
  const { rows } = JSON.parse(sluice(['compare', 'gpt2', 'bert.json', '--texts', 'mixed.jsonl', '--json']).stdout)
  assert.deepEqual(
    rows.map(({ label, texts }: { label: string; texts: number }) => [label, texts]),
    [
      ['all', 3],
      ['domain mixed', 1],
      ['domain news', 2],
      ['language de', 2],
      ['language en', 1],
    ],
  )
  const [english] = rows.at(-1).tokenizers
  assert.deepEqual(english, { tokens: 3, bytesPerToken: 11 / 3, tokensPerWord: 1, unknownShare: 0 })
  assert.match(
    sluice(['compare', 'gpt2', '--texts', 'mixed.jsonl']).stdout,
    /^ +texts +bytes +gpt2 bytes\/token +tokens\/word +unknown %\nall/,
  )
})

test('a user’s mistakes end in a message with a code and no stack', () => {
  const refusals: [words: string[], input: string, code: string][] = [
    [['info', 'nowhere'], '', 'SLUICE_TOKENIZER_UNKNOWN'],
    [['encode', '-t', 'gpt2'], '{"text":', 'SLUICE_JSONL_LINE'],
    [['encode', '-t', 'gpt2'], '{"text":1}', 'SLUICE_JSONL_LINE'],
    [['decode', '-t', 'gpt2'], '{"tokens":[99999999]}', 'SLUICE_TOKENIZER_ID'],
    [['train', '-o', 'x.json'], '', 'SLUICE_TOKENIZER_NO_TEXT'],
    [['train', '-n', '10', '-o', 'x.json'], '', 'SLUICE_TOKENIZER_OPTIONS'],
    [['train', '-o', 'x.json', '--special', '<|endoftext|>', '<|endoftext|>'], '', 'SLUICE_TOKENIZER_OPTIONS'],
    [['train', '-o', 'x.json', '--special', '<|endoftext|>', ''], '', 'SLUICE_TOKENIZER_OPTIONS'],
    [['train', '-o', 'x.json', 'missing.txt'], '', 'SLUICE_FILE_MISSING'],
  ]
  for (const [words, input, code] of refusals) {
    const { status, stderr, stdout } = sluice(words, input)
    assert.equal(status, 1, words.join(' '))
    assert.match(stderr, new RegExp(`\\[${code}\\]`))
    assert.doesNotMatch(stderr, /\n\s+at /)
    assert.equal(stdout, '')
  }
})
