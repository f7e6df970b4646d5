// The engine through the command: order, resume, incremental runs, refusals.

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { contents, killAll, runWords, scratch, sluice, start } from './sluice.ts'

const pipelineFile = fileURLToPath(new URL('./pipelines/texts.ts', import.meta.url))

/** Files of `count` documents; every tenth text repeats in all files. */
function writeInput(folder: string, files: number, count: number): void {
  mkdirSync(folder, { recursive: true })
  for (let file = 0; file < files; file++)
    writeFileSync(
      join(folder, `${file}.jsonl`),
      texts(file, count)
        .map((text) => `${JSON.stringify({ text })}\n`)
        .join(''),
    )
}

function texts(file: number, count: number): string[] {
  return Array.from({ length: count }, (_, i) =>
    i % 10 === 0 ? `shared text number ${i}` : i % 10 === 1 ? 'tiny' : `text ${i} of file ${file}, long enough to be kept`,
  )
}

const run = (folder: string, ...more: string[]) => runWords(pipelineFile, folder, ...more)

function keptTexts(folder: string): string[] {
  const shards = readdirSync(join(folder, 'out')).filter((name) => name.endsWith('.jsonl'))
  return shards
    .flatMap((name) =>
      readFileSync(join(folder, 'out', name), 'utf8')
        .trimEnd()
        .split('\n'),
    )
    .map((line) => JSON.parse(line).text)
}

test('a run keeps what it should, counts everything, and says so', async (t) => {
  const folder = scratch(t)
  writeInput(join(folder, 'in'), 3, 100)
  const { code, stdout, stderr } = await sluice(run(folder))
  assert.equal(code, 0, stderr)
  const result = JSON.parse(stdout)
  // 300 documents; 30 tiny; 30 shared of which 10 stay
  assert.deepEqual([result.records, result.documents, result.kept, result.dropped], [300, 300, 250, 50])
  assert.equal(keptTexts(folder).length, 250)
  assert.equal(new Set(keptTexts(folder)).size, 250)
})

test('one thread and three write the same bytes', async (t) => {
  const folder = scratch(t)
  writeInput(join(folder, 'in'), 5, 200)
  const shards = async (threads: string) => {
    const out = join(folder, `out-${threads}`)
    const { code, stderr } = await sluice(run(folder, '--threads', threads, '--run', join(folder, `run-${threads}`), '--output', out))
    assert.equal(code, 0, stderr)
    return Object.entries(contents(out)).filter(([name]) => name.endsWith('.jsonl'))
  }
  assert.deepEqual(await shards('3'), await shards('1'))
})

test('killed at random moments and started again, the output is that of an undisturbed run', async (t) => {
  const folder = scratch(t)
  writeInput(join(folder, 'in'), 4, 60)
  assert.equal((await sluice(run(folder, '--run', join(folder, 'calm'), '--output', join(folder, 'calm-out')))).code, 0)
  const expected = contents(join(folder, 'calm-out'))
  let kills = 0
  for (let moment = 300; ; moment += 250) {
    const { child, ended } = start(run(folder, '--slow-ms', '5'))
    const timer = setTimeout(() => {
      kills++
      killAll(child)
    }, moment)
    const { code, stderr } = await ended
    clearTimeout(timer)
    if (code === 0) break
    assert.equal(code, null, stderr)
  }
  assert.ok(kills >= 2, `killed ${kills} times`)
  const shards = Object.entries(contents(join(folder, 'out'))).filter(([name]) => name.endsWith('.jsonl'))
  assert.deepEqual(
    shards,
    Object.entries(expected).filter(([name]) => name.endsWith('.jsonl')),
  )
})

test('a changed option redoes what follows the last cut before it, and nothing else', async (t) => {
  const folder = scratch(t)
  writeInput(join(folder, 'in'), 2, 50)
  assert.equal((await sluice(run(folder))).code, 0)
  const { code, stderr, stdout } = await sluice(run(folder, '--minimum', '2'))
  assert.equal(code, 0, stderr)
  assert.equal(JSON.parse(stdout).kept, 86) // 100 - 5 shared - 9 of 10 "tiny"
  const phases = stderr
    .split('\n')
    .filter((line) => /"phase (was )?done/.test(line))
    .map((line) => JSON.parse(line).isNew)
  assert.deepEqual(phases, [false, true, true])
})

test('a new input file is all that a run over grown inputs reads', async (t) => {
  const folder = scratch(t)
  writeInput(join(folder, 'in'), 2, 50)
  assert.equal((await sluice(run(folder))).code, 0)
  writeFileSync(join(folder, 'in', '9.jsonl'), `${JSON.stringify({ text: 'one more text' })}\n`)
  const { code, stderr, stdout } = await sluice(run(folder))
  assert.equal(code, 0, stderr)
  assert.equal(JSON.parse(stdout).records, 101)
  const started = stderr
    .split('\n')
    .filter((line) => line.includes('"phase started"'))
    .map((line) => JSON.parse(line).done)
  assert.equal(started[0], 2)
  assert.ok(keptTexts(folder).includes('one more text'))
})

test('--limit takes documents evenly, --sample the same ones each time', async (t) => {
  const folder = scratch(t)
  writeInput(join(folder, 'in'), 2, 100)
  const limited = await sluice(run(folder, '--limit', '20'))
  assert.equal(JSON.parse(limited.stdout).documents, 20)
  const sampled = [
    await sluice(run(folder, '--sample', '20%')),
    await sluice(run(folder, '--sample', '20%', '--run', join(folder, 'again'))),
  ]
  const counts = sampled.map(({ stdout }) => JSON.parse(stdout).documents)
  assert.equal(counts[0], counts[1])
  assert.ok(counts[0] > 15 && counts[0] < 70, `${counts[0]} of 200`)
})

test('Ctrl-C ends with 130 and advice, and the same command goes on', async (t) => {
  const folder = scratch(t)
  writeInput(join(folder, 'in'), 4, 40)
  const { child, ended } = start(run(folder, '--slow-ms', '20'))
  child.stderr?.on('data', (data) => /phase started/.test(String(data)) && process.kill(-(child.pid ?? 0), 'SIGINT'))
  const stopped = await ended
  assert.equal(stopped.code, 130, stopped.stderr)
  assert.match(stopped.stderr, /same command goes on/)
  assert.equal((await sluice(run(folder, '--slow-ms', '20'))).code, 0)
})

// ---- refusals: a code, the place, advice; never a stack ----

async function refused(words: string[], code: RegExp): Promise<string> {
  const result = await sluice(words)
  assert.equal(result.code, 1, result.stderr)
  assert.match(result.stderr, code)
  assert.doesNotMatch(result.stderr, /\n {4}at /)
  assert.equal(result.stdout, '')
  return result.stderr
}

test('an output folder with other files is refused before any work', async (t) => {
  const folder = scratch(t)
  writeInput(join(folder, 'in'), 1, 10)
  mkdirSync(join(folder, 'out'))
  writeFileSync(join(folder, 'out', 'thesis.txt'), 'mine')
  assert.match(await refused(run(folder), /SLUICE_OUTPUT_TAKEN/), /thesis\.txt/)
})

test('an output folder of another pipeline is refused, naming it', async (t) => {
  const folder = scratch(t)
  writeInput(join(folder, 'in'), 1, 10)
  mkdirSync(join(folder, 'out'))
  writeFileSync(join(folder, 'out', 'manifest.json'), JSON.stringify({ pipeline: 'other', shards: [] }))
  assert.match(await refused(run(folder), /SLUICE_OUTPUT_OTHER/), /"other"/)
})

test('a pipeline file with an error, or none, is refused with the line', async (t) => {
  const folder = scratch(t)
  const file = join(folder, 'broken.ts')
  writeFileSync(file, 'const a = 1\nthrow new Error("made by the test")\n')
  assert.match(await refused(['run', file], /SLUICE_PIPELINE_FILE/), /line 2/)
  writeFileSync(join(folder, 'syntax.ts'), 'export default pipeline(\n')
  await refused(['run', join(folder, 'syntax.ts')], /SLUICE_PIPELINE_FILE/)
  writeFileSync(join(folder, 'empty.ts'), 'export const a = 1\n')
  await refused(['run', join(folder, 'empty.ts')], /no pipeline as its default export/)
  await refused(['run', join(folder, 'missing.ts')], /does not exist/)
})

test('arguments that do not fit, and options nobody knows, are refused with what there is', async (t) => {
  const folder = scratch(t)
  assert.match(await refused(run(folder, '--minimun', '3'), /SLUICE_ARGUMENTS/), /--minimum/)
  await refused(run(folder, '--minimum', 'many'), /SLUICE_ARGUMENTS/)
})

test('inputs that are missing are refused, naming the path', async (t) => {
  const folder = scratch(t)
  mkdirSync(join(folder, 'in'))
  const { code, stderr } = await sluice(run(folder))
  assert.equal(code, 1)
  assert.match(stderr, /in\/\*\.jsonl|no input/)
})

test('a second run in the same folder is refused while the first works', async (t) => {
  const folder = scratch(t)
  writeInput(join(folder, 'in'), 2, 100)
  const first = start(run(folder, '--slow-ms', '20'))
  await new Promise<void>((resolve) => first.child.stderr?.on('data', (data) => /phase started/.test(String(data)) && resolve()))
  await refused(run(folder, '--slow-ms', '20'), /SLUICE_RUN_LOCKED/)
  killAll(first.child)
  await first.ended
})

test('--help of a pipeline lists its arguments', async () => {
  const { stdout } = await sluice(['run', pipelineFile, '--help'])
  assert.match(stdout, /--minimum <integer> +fewest characters of a text \(default: 5\)/)
})
