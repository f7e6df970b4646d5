// The smaller commands from outside: stage, plan, task, clean, doctor, and what `--help` and mistakes say.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { scratch, sluice } from './sluice.ts'

const pipelineFile = fileURLToPath(new URL('./pipelines/texts.ts', import.meta.url))
const lines = (values: readonly unknown[]) => values.map((value) => `${JSON.stringify(value)}\n`).join('')
const parsed = (stdout: string) =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))

// ---- stage ----

test('stage answers each line in order, with verdict, reason and statistics', async () => {
  const input = lines([
    { id: 'x', text: 'Too short.' },
    { id: 7, text: 'the be to of and that have with '.repeat(20) },
  ])
  const { code, stdout } = await sluice(['stage', 'gopherQuality'], { input })
  assert.equal(code, 0)
  const [short, long] = parsed(stdout)
  assert.deepEqual([short.id, short.verdict, short.reason], ['x', 'drop', 'gopher_short_doc'])
  assert.deepEqual([long.id, long.verdict, long.statistics.n_words], [7, 'keep', 160])
})

test('stage runs barriers over the whole input, and two lines may carry one id', async () => {
  const words = 'one two three four five six seven eight nine ten eleven twelve'
  const { code, stdout, stderr } = await sluice(['stage', 'minhashDedup'], {
    input: lines([
      { id: 'a', text: words },
      { id: 'b', text: 'another text' },
      { id: 'a', text: words },
    ]),
  })
  assert.equal(code, 0, stderr)
  assert.deepEqual(
    parsed(stdout).map(({ id, verdict }) => [id, verdict]),
    [
      ['a', 'keep'],
      ['b', 'keep'],
      ['a', 'drop'],
    ],
  )
})

test('stage extracts from html and from bytes in their own encoding', async () => {
  const article = `<article><p>A caf\u00e9 begins the text of this page, which is about coffee.</p>${'<p>A paragraph that is long enough to be the content of this page, certainly.</p>'.repeat(5)}</article>`
  const latin1 = Buffer.from(`<meta charset=iso-8859-1>${article}`, 'latin1').toString('base64')
  const { stdout } = await sluice(['stage', 'extractText'], {
    input: lines([
      { id: 1, html: article, url: 'https://a.example/' },
      { id: 2, html_base64: latin1 },
    ]),
  })
  for (const { verdict, text } of parsed(stdout)) {
    assert.equal(verdict, 'keep')
    assert.match(text, /A caf\u00e9 begins[\s\S]*A paragraph that is long enough/)
  }
})

test('stage says what is wrong with a line and goes on; the exit code tells', async () => {
  const { code, stdout } = await sluice(['stage', 'redactPii'], {
    input: `{"id":"a","text":1}\nno json\n${lines([{ id: 'c', text: 'fine' }])}`,
  })
  assert.equal(code, 1)
  assert.deepEqual(
    parsed(stdout).map(({ id, verdict }) => [id, verdict]),
    [
      ['a', 'error'],
      [1, 'error'],
      ['c', 'keep'],
    ],
  )
})

test('stage refuses lines without content, and says where a stage lacked the text; an id may be null', async () => {
  const { stdout } = await sluice(['stage', 'gopherQuality'], {
    input: lines([{ id: 'a' }, { id: 'b', html: '<p>Hello' }, { id: null, text: 'Hello' }]),
  })
  const [bare, page, anonymous] = parsed(stdout)
  assert.match(bare.message, /there is no text/)
  assert.match(page.message, /^the line has no "text"/)
  assert.deepEqual([anonymous.id, anonymous.verdict], [2, 'drop'])
})

test('stage refuses what takes functions, names of no stage, and seeds that are no numbers', async () => {
  for (const name of ['filter', 'map', 'toString']) assert.match((await sluice(['stage', name])).stderr, /SLUICE_STAGE_UNKNOWN/, name)
  assert.match((await sluice(['stage', 'sample', '--seed', 'abc'])).stderr, /give a whole number from 0/)
})

test('stage refuses unknown stages and options with advice, and lists both on demand', async () => {
  const unknown = await sluice(['stage', 'gopherQualty'])
  assert.equal(unknown.code, 1)
  assert.match(unknown.stderr, /SLUICE_STAGE_UNKNOWN/)
  const option = await sluice(['stage', 'gopherQuality', '--options', '{"minDocWord":3}'])
  assert.match(option.stderr, /Unrecognized key: "minDocWord"/)
  assert.doesNotMatch(option.stderr, /\n {4}at /)
  const list = await sluice(['stage'])
  const [one, all] = list.stdout.split('Over all documents')
  assert.ok(one.includes('\n  gopherQuality\n') && all.includes('\n  minhashDedup\n'), list.stdout)
  assert.doesNotMatch(list.stdout, /^ *(?:warc|parquetShards|mixture|filter)$/m, 'what cannot be run alone')
  const help = await sluice(['stage', 'gopherQuality', '--help'])
  assert.match(help.stdout, /minDocWords \(.*\).*\(default: 50\)/)
})

test('an empty input is an empty answer', async () => {
  for (const stage of ['gopherQuality', 'exactDedup'])
    assert.deepEqual(await sluice(['stage', stage], { input: '' }), { code: 0, signal: null, stdout: '', stderr: '' })
})

// ---- plan, task, clean ----

function writeInput(folder: string): void {
  mkdirSync(join(folder, 'in'))
  for (let file = 0; file < 2; file++)
    writeFileSync(join(folder, 'in', `${file}.jsonl`), lines(Array.from({ length: 20 }, (_, i) => ({ text: `text ${i} of file ${file}` }))))
}

const words = (folder: string) => ['--run', join(folder, 'run'), '--input', join(folder, 'in'), '--output', join(folder, 'out')]

test('plan lists phases and partitions and forecasts, and leaves nothing behind', async (t) => {
  const folder = scratch(t)
  writeInput(folder)
  const { code, stdout, stderr } = await sluice(['plan', pipelineFile, ...words(folder)])
  assert.equal(code, 0, stderr)
  assert.match(stdout, /phase: jsonl → not-poisonous → checkpoint/)
  assert.match(stdout, /phase: apply exactDedup → jsonlShards/)
  assert.match(stdout, /2 partitions/)
  assert.match(stdout, /forecast from 40 documents/)
  assert.deepEqual(readdirSync(folder), ['in'])
})

test('task does one partition of a frozen run, says when it is done, and refuses what does not exist', async (t) => {
  const folder = scratch(t)
  writeInput(folder)
  assert.equal((await sluice(['run', pipelineFile, ...words(folder)])).code, 0)
  const task = (...more: string[]) => sluice(['task', '--run', join(folder, 'run'), ...more])
  assert.match((await task('--phase', '0', '--index', '1')).stderr, /was done before/)
  assert.equal((await sluice(['task', '--run', join(folder, 'run'), '--phase', '1'], { env: { SLURM_ARRAY_TASK_ID: '0' } })).code, 0)
  assert.equal((await task('--phase', '0', '--index', '9')).code, 64)
  assert.equal((await task('--phase', '7', '--index', '0')).code, 64)
  assert.match((await task('--index', '0', '--of', '0')).stderr, /--of.*give a whole number from 1/)
  assert.equal((await sluice(['task', '--run', join(folder, 'nowhere'), '--index', '0'])).code, 64)
})

test('task does again what rests on an attempt that was made anew since', async (t) => {
  const folder = scratch(t)
  writeInput(folder)
  assert.equal((await sluice(['run', pipelineFile, ...words(folder)])).code, 0)
  const task = () => sluice(['task', '--run', join(folder, 'run'), '--phase', '1', '--index', '0'])
  assert.match((await task()).stderr, /was done before/)
  const [phase] = readdirSync(join(folder, 'run', 'phases')).filter((name) => name.startsWith('01-'))
  const tasks = join(folder, 'run', 'phases', phase, 'tasks')
  for (const name of readdirSync(tasks)) {
    const marker = JSON.parse(readFileSync(join(tasks, name), 'utf8'))
    writeFileSync(join(tasks, name), JSON.stringify({ ...marker, basis: 'another attempt' }))
  }
  const again = await task()
  assert.deepEqual([again.code, again.stderr], [0, ''])
})

test('clean removes what lies between phases and keeps what the audit reads; a run that is done stays done', async (t) => {
  const folder = scratch(t)
  writeInput(folder)
  const run = () => sluice(['run', pipelineFile, '--json', ...words(folder)])
  assert.equal((await run()).code, 0)
  const { code, stdout } = await sluice(['clean', join(folder, 'run')])
  assert.equal(code, 0)
  assert.match(stdout, /removed/)
  const phases = readdirSync(join(folder, 'run', 'phases')).map((name) => readdirSync(join(folder, 'run', 'phases', name)).sort())
  assert.deepEqual(phases, Array(3).fill(['rejected', 'seal.json', 'statistics']))
  const again = await run()
  assert.equal(again.code, 0, again.stderr)
  assert.equal(JSON.parse(again.stdout).kept, 40)
  assert.equal((await sluice(['audit', join(folder, 'run')])).code, 0)
  const own = join(folder, 'run', 'my-notes.txt')
  writeFileSync(own, 'not a run’s')
  assert.equal((await sluice(['clean', '--all', join(folder, 'run')])).code, 0)
  assert.deepEqual(readdirSync(join(folder, 'run')), ['my-notes.txt'])
  rmSync(own)
  assert.equal((await run()).code, 0)
  assert.equal((await sluice(['clean', '--all', join(folder, 'run')])).code, 0)
  assert.ok(!existsSync(join(folder, 'run')))
  assert.match((await sluice(['clean', join(folder, 'run')])).stderr, /SLUICE_RUN_MISSING/)
})

// ---- help and mistakes ----

test('every command has help with an example or an exit code in it', async () => {
  const { stdout } = await sluice(['--help'])
  const commands = [...stdout.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name).filter((name) => name !== 'help')
  assert.ok(commands.length >= 11, commands.join())
  for (const command of commands) {
    const help = await sluice([command, '--help'])
    assert.equal(help.code, 0)
    assert.match(help.stdout, /Example|Exit code/, command)
  }
})

test('an unknown command or option is an error with a hint, not a stack', async () => {
  for (const mistake of [['rnu'], ['doctor', '--jsn'], ['run'], ['audit', '/nowhere']]) {
    const { code, stderr } = await sluice(mistake)
    assert.notEqual(code, 0, mistake.join(' '))
    assert.notEqual(stderr, '')
    assert.doesNotMatch(stderr, /\n {4}at /)
  }
})

test('doctor finds what it needs here', async () => {
  const { code, stdout } = await sluice(['doctor', '--json'])
  assert.equal(code, 0, stdout)
})
