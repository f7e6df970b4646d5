// A pipeline's own arguments, as words of the command line.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { describeArguments, pipelineArguments } from '../../src/cli/pipeline-arguments.ts'
import { withRunOptions } from '../../src/cli/run-options.ts'
import { buildPipeline, importPipeline } from '../../src/engine/pipeline-file.ts'

const file = fileURLToPath(new URL('../e2e/pipelines/arguments.ts', import.meta.url))

function parse(...words: string[]) {
  const command = withRunOptions(new Command('run'))
    .allowUnknownOption()
    .allowExcessArguments()
    .action(() => {})
  command.parse([file, ...words], { from: 'user' })
  return pipelineArguments(file, command)
}

test('arguments of every kind are read as what their schema says', async () => {
  const words = '--color blue --languages en,de --sizes 1,2.5 --no-is-deep --dry --top-url-count 4 --limit-or-none 9 --workers 2'
  const values = {
    color: 'blue',
    languages: ['en', 'de'],
    sizes: [1, 2.5],
    isDeep: false,
    dry: true,
    topURLCount: 4,
    limitOrNone: 9,
    workers: 2,
  }
  assert.deepEqual(await parse(...words.split(' ')), values)
  assert.deepEqual(await parse('--languages=', '--is-deep=false', '--limit-or-none', 'null', '--workers=auto', '--topURLCount', '-1'), {
    languages: [],
    isDeep: false,
    limitOrNone: null,
    workers: 'auto',
    topURLCount: -1,
  })
})

test('an argument without its value is refused, not taken for nothing or for the next word', async () => {
  for (const words of [['--top-url-count'], ['--top-url-count', '--dry'], ['--color'], ['--constructor', '1'], ['--no-color'], ['stray']])
    await assert.rejects(parse(...words), { code: 'SLUICE_ARGUMENTS' }, words.join(' '))
})

test('help names kinds, choices, descriptions and defaults', async () => {
  const help = describeArguments(await importPipeline(file))
  assert.match(help, /--color <red\|blue> +what it looks like \(default: "red"\)/)
  assert.match(help, /--is-deep +\(default: true\)/)
  assert.match(help, /--workers <integer\|string>/)
})

test('a wrong value is the arguments’ mistake, a wrong option inside the factory the file’s', async () => {
  const exported = await importPipeline(file)
  assert.throws(() => buildPipeline(file, exported, { color: 'green' }), { code: 'SLUICE_ARGUMENTS' })
  assert.throws(() => buildPipeline(file, exported, { color: 'blue' }), { code: 'SLUICE_PIPELINE_FILE', message: /shardBytes/ })
})

test('an argument that is also an option of the command is refused', async () => {
  const command = new Command('run')
    .option('--dry')
    .allowUnknownOption()
    .allowExcessArguments()
    .action(() => {})
  command.parse([file], { from: 'user' })
  await assert.rejects(pipelineArguments(file, command), { code: 'SLUICE_ARGUMENTS' })
})
