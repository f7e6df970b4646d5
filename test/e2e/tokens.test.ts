// A token corpus from a pipeline, looked into, checked, shuffled, mixed and exported by the commands.

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { contents, runWords, scratch, sluice } from './sluice.ts'

const pipelineFile = fileURLToPath(new URL('./pipelines/tokens.ts', import.meta.url))

test('shards of a pipeline are inspected, verified, shuffled, mixed and exported', async (t) => {
  const folder = scratch(t)
  mkdirSync(join(folder, 'in'))
  const texts = Array.from({ length: 40 }, (_, i) => `Document ${i}: ${'again and again '.repeat(i)}`)
  for (const [file, from, to] of [
    ['a', 0, 25],
    ['b', 25, 40],
  ] as const)
    writeFileSync(
      join(folder, 'in', `${file}.jsonl`),
      texts
        .slice(from, to)
        .map((text) => `${JSON.stringify({ text })}\n`)
        .join(''),
    )
  const ran = await sluice(runWords(pipelineFile, folder))
  assert.equal(ran.code, 0, ran.stderr)
  const corpus = join(folder, 'out')

  const inspected = await sluice(['tokens', 'inspect', corpus, '--show', '1'])
  assert.match(inspected.stdout, /^40 documents, /m)
  assert.match(inspected.stdout, /^Document \d+: .*<\|endoftext\|>$/m)
  const verified = await sluice(['tokens', 'verify', corpus])
  assert.equal(verified.code, 0, verified.stdout)
  assert.equal(verified.stdout.match(/ ok$/gm)?.length, 2)

  for (const name of ['once', 'twice']) {
    const { code, stderr } = await sluice(['tokens', 'shuffle', corpus, '-o', `${join(folder, name)}/`, '--seed', '7'])
    assert.equal(code, 0, stderr)
  }
  assert.deepEqual(contents(join(folder, 'once')), contents(join(folder, 'twice')))
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.includes('working')),
    [],
  )
  const stats = async (name: string) => JSON.parse((await sluice(['tokens', 'stats', join(folder, name), '--json'])).stdout)
  const [before, after] = [await stats('out'), await stats('once')]
  assert.deepEqual([after.documents, after.tokens, after.length, after.top], [before.documents, before.tokens, before.length, before.top])
  const mixed = await sluice(['tokens', 'mix', `${corpus}=2`, '-o', join(folder, 'mixed')])
  assert.equal(mixed.code, 0, mixed.stderr)
  assert.equal((await stats('mixed')).tokens, 2 * before.tokens)
  const weightless = await sluice(['tokens', 'mix', `${corpus}=0`, '-o', join(folder, 'none')])
  assert.match(weightless.stderr, /weight of .* is 0 \[SLUICE_CLI_OPTIONS\]/)
  const taken = await sluice(['tokens', 'shuffle', corpus, '-o', join(folder, 'once')])
  assert.match(taken.stderr, /SLUICE_OUTPUT_TAKEN/)

  const exported = await sluice(['export', join(folder, 'once'), '--format', 'llmc', '-o', join(folder, 'llmc')])
  assert.equal(exported.stdout, `${join(folder, 'llmc', 'once_train_000000.bin')}\n`)
  assert.equal(statSync(join(folder, 'llmc', 'once_train_000000.bin')).size, 1024 + 2 * before.tokens)
  assert.equal((await sluice(['export', corpus, '--format', 'megatron', '-o', join(folder, 'megatron')])).code, 0)
  assert.equal((await sluice(['export', corpus, '--format', 'datatrove', '-o', join(folder, 'datatrove')])).code, 0)
  assert.equal(readFileSync(join(folder, 'datatrove', '00000_unshuffled.ds')).length, 2 * before.tokens)
})

test('a damaged shard is named', async (t) => {
  const folder = scratch(t)
  mkdirSync(join(folder, 'in'))
  writeFileSync(join(folder, 'in', 'a.jsonl'), `${JSON.stringify({ text: 'Call me Ishmael. '.repeat(200) })}\n`)
  assert.equal((await sluice(runWords(pipelineFile, folder))).code, 0)
  const [name] = readdirSync(join(folder, 'out')).filter((file) => file.endsWith('.parquet'))
  const file = join(folder, 'out', name)
  const bytes = readFileSync(file)
  bytes.fill(0xff, 60, 120)
  writeFileSync(file, bytes)
  const { code, stdout } = await sluice(['tokens', 'verify', join(folder, 'out')])
  assert.equal(code, 1)
  assert.match(stdout, new RegExp(`^${name} .*DAMAGED: `, 'm'))
})
