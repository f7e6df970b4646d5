import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from '../train/corpora.ts'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const fixtures = fileURLToPath(new URL('../../fixtures', import.meta.url))
const run = (...words: string[]) => spawnSync(process.execPath, ['--conditions=source', main, 'model', ...words], { encoding: 'utf8' })

test('a GGUF file is imported as a folder that is a model, once', async () => {
  await using folder = await temporaryFolder()
  const out = join(folder.path, 'llama')
  const file = join(fixtures, 'gguf/llama.gguf')
  const imported = run('import', file, '--out', out)
  assert.equal(imported.status, 0, imported.stderr)
  assert.equal(imported.stdout, `${out}\n`)
  assert.match(imported.stderr, /tokenizer/)
  const facts = (model: string) => JSON.parse(run('inspect', model, '--json').stdout)
  const { parameters, config } = facts(join(fixtures, 'models/llama'))
  assert.deepEqual([facts(out).parameters, facts(out).config], [parameters, config])
  const again = run('import', file, '--out', out)
  assert.equal(again.status, 1)
  assert.match(again.stderr, /SLUICE_MODEL_FOLDER/)
})

test('what is no GGUF file is refused in a sentence', () => {
  for (const [path, wanted] of [
    ['models/llama/config.json', /SLUICE_GGUF_DAMAGED/],
    ['models/llama', /SLUICE_FILE_MISSING/],
    ['none.gguf', /SLUICE_FILE_MISSING/],
  ] as const) {
    const { status, stderr } = run('import', join(fixtures, path), '--out', join(fixtures, 'never'))
    assert.equal(status, 1)
    assert.match(stderr, wanted)
    assert.doesNotMatch(stderr, /\n\s+at /)
  }
})

test('a file in the place of an exported folder is refused in a sentence', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'taken')
  await writeFile(file, '')
  const { status, stderr } = run('export', join(fixtures, 'models/llama'), '--out', file)
  assert.equal(status, 1)
  assert.match(stderr, /something else has this name.*SLUICE_FOLDER_REFUSED/)
  assert.doesNotMatch(stderr, /\n\s+at /)
})
