import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { findLibrary } from '../../src/tensor/cuda/libraries.ts'
import { sluice, start as startSluice } from '../e2e/sluice.ts'
import { temporaryFolder, writeShard } from '../train/corpora.ts'
import { byteTokenizer } from './byte-tokenizer.ts'

const folder = await temporaryFolder()
const shards = join(folder.path, 'shards')
const model = join(folder.path, 'model')
const words = ['--steps', '20', '--batch-tokens', '512', '--lr', '0.01', '--validation-share', '0.2', '--threads', '1']
const options = ['--model', join(folder.path, 'model.json'), '--out', model, ...words]

after(async () => await folder[Symbol.asyncDispose]())
before(async () => {
  const tokenizer = byteTokenizer()
  const vocabularyHash = createHash('sha256').update(tokenizer).digest('hex')
  const documents = Array.from({ length: 80 }, (_, i) => ({
    tokens: [...Buffer.from(`Call me Ishmaël. ${'Some years ago '.repeat(1 + (i % 4))}`)].map((byte) => byte + 1),
  }))
  await mkdir(shards)
  await writeShard(join(shards, 'a.parquet'), documents, { vocabularyHash, vocabularySize: 257 })
  await writeFile(join(shards, 'tokenizer.json'), tokenizer)
  await writeFile(join(folder.path, 'model.json'), JSON.stringify({ contextLength: 64, layers: 1, width: 32, heads: 2 }))
})

test('sluice train ends with losses, bits per byte, and where everything is', async () => {
  const { code, stdout, stderr } = await sluice(['train', shards, ...options])
  assert.equal(code, 0, stderr)
  assert.match(stdout, /step 20 of 20: [\d,]+ parameters, 10,240 tokens/)
  assert.match(stdout, /validation loss [\d.]+ nats a token, [\d.]+ bits per byte/)
  assert.match(stdout, /checkpoint +\S+step-20/)
  assert.match(stdout, /sluice sample /)
  assert.match(await readFile(join(model, 'curves.html'), 'utf8'), /<title>model · training<\/title>[\s\S]*<svg/)
  for (const line of stderr.trim().split('\n')) JSON.parse(line) // no terminal: a log
})

test('a run is told to have learnt by heart only what it has read more than once', async () => {
  const vocabularyHash = createHash('sha256').update(byteTokenizer()).digest('hex')
  const shard = async (name: string, count: number, tokenAt: (i: number) => number) => {
    const documents = Array.from({ length: count }, () => ({ tokens: Array.from({ length: 100 }, (_, i) => tokenAt(i)) }))
    const file = join(folder.path, name)
    await writeShard(file, documents, { vocabularyHash, vocabularySize: 257 })
    return file
  }
  const easy = await shard('easy.parquet', 150, (i) => 1 + (i % 4)) // 15,000 tokens: 30 steps
  const hard = await shard('hard.parquet', 5, (i) => 100 + ((i * 37) % 101))
  const end = async (steps: number) => {
    const out = join(folder.path, `apart-${steps}`)
    const size = ['--model', join(folder.path, 'model.json'), '--batch-tokens', '512', '--lr', '0.01', '--threads', '1']
    return (await sluice(['train', easy, '--validation', hard, '--steps', `${steps}`, '--out', out, ...size])).stdout
  }
  assert.match(await end(20), /it has read few documents/)
  assert.match(await end(40), /it learns its documents by heart/)
})

test('sluice train --json tells a program everything, also that nothing is left to do', async () => {
  const { code, stdout } = await sluice(['train', shards, ...options, '--json'])
  assert.equal(code, 0)
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const result = lines[lines.length - 1]
  assert.equal(result.event, 'result')
  assert.deepEqual([result.step, result.steps, result.isInterrupted], [20, 20, false])
  // One token a byte, and the ends of documents, which have none.
  assert.ok(result.evaluation.bitsPerByte > result.evaluation.loss / Math.LN2)
})

test('sluice sample streams what --json gives at once, the same for a seed', async () => {
  const words = ['sample', model, '--prompt', 'Call me Ishmaë', '--tokens', '30', '--seed', '5']
  const streamed = await sluice(words)
  assert.equal(streamed.code, 0, streamed.stderr)
  const { stdout } = await sluice([...words, '--json'])
  const { prompt, text, tokens } = JSON.parse(stdout)
  assert.equal(streamed.stdout, `${prompt}${text}\n`)
  assert.ok(tokens.length <= 30)
})

test('sluice train --json says how each step went: loss, speed, use of the machine, memory, time left', async () => {
  const out = join(folder.path, 'telling')
  const { stdout, stderr } = await sluice(['train', shards, '--model', join(folder.path, 'model.json'), '--out', out, ...words, '--json'])
  const steps = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ event }) => event === 'step')
  assert.equal(steps.length, 20, stderr)
  for (const name of [
    'loss',
    'smoothedLoss',
    'gradientNorm',
    'learningRate',
    'tokensPerSecond',
    'utilization',
    'memoryBytes',
    'seenTokens',
  ])
    assert.ok(
      steps.every((step) => step[name] > 0),
      name,
    )
  assert.ok(steps[0].secondsLeft > 0)
  assert.equal(steps[19].secondsLeft, 0)
})

test('sluice curves writes the page where it is told, sluice trace leads from a step to its documents and back', async () => {
  const page = join(folder.path, 'page.html')
  const drawn = await sluice(['curves', model, '--out', page])
  assert.equal(drawn.stdout, `${page}\n`)
  assert.match(await readFile(page, 'utf8'), /Tokens a second/)

  const { stdout, stderr } = await sluice(['trace', model, '--step', '3', '--characters', '7'])
  assert.match(stdout, /^step 3, loss [\d.]+, gradient norm [\d.]+, learning rate [\d.]+, \d+ documents?\n/, stderr)
  assert.match(stdout, /a\.parquet row \d+\n {2}Call me\n/)
  const traced = JSON.parse((await sluice(['trace', model, '--step', '3', '--json'])).stdout)
  const back = await sluice(['trace', model, '--document', traced.documents[0].id])
  assert.match(back.stdout, /\nstep 3, loss/)

  const vain = await sluice(['trace', model])
  assert.equal(vain.code, 1)
  assert.match(vain.stderr, /SLUICE_TRACE_QUESTION/)
  const missing = await sluice(['curves', folder.path])
  assert.match(missing.stderr, /SLUICE_TRAIN_LOG_MISSING/)
  const begun = join(folder.path, 'begun')
  await mkdir(begun)
  await writeFile(join(begun, 'log.jsonl'), '')
  const empty = await sluice(['curves', begun])
  assert.match(empty.stderr, /log\.jsonl in this folder is empty.*SLUICE_TRAIN_LOG_EMPTY[\s\S]*wait for its first step/)
})

test('sluice curves --serve draws the page as the log stands, for this machine alone', async () => {
  const run = join(folder.path, 'served')
  await mkdir(run)
  const [start, ...steps] = (await readFile(join(model, 'log.jsonl'), 'utf8')).trim().split('\n')
  await writeFile(join(run, 'log.jsonl'), `${start}\n${steps[0]}\n`)
  const port = 20_000 + (process.pid % 20_000)
  const { child, ended } = startSluice(['curves', run, '--serve', String(port)])
  const address = await new Promise<string>((resolve) => child.stdout?.once('data', (data) => resolve(String(data).trim())))
  assert.equal(address, `http://localhost:${port}/`)
  const stepShown = async () => /<dt>Step<\/dt><dd>(\d+)/.exec(await (await fetch(`http://127.0.0.1:${port}/`)).text())?.[1]
  assert.equal(await stepShown(), '1')
  await appendFile(join(run, 'log.jsonl'), `${steps[1]}\n`)
  assert.equal(await stepShown(), '2')
  assert.equal((await fetch(`http://127.0.0.1:${port}/log.jsonl`)).status, 404)
  const taken = await sluice(['curves', run, '--serve', String(port)])
  assert.match(taken.stderr, /SLUICE_PORT_TAKEN/)
  const beyond = await sluice(['curves', run, '--serve', '99999'])
  assert.match(beyond.stderr, /--serve.*give a whole number from 1 to 65535/)
  child.kill()
  await ended
})

test('sluice scaling finds a rate and forecasts a loss, the same in the terminal, as JSON and in its file', async () => {
  const out = join(folder.path, 'rates')
  const search = ['scaling', 'rates', shards, '--model', join(folder.path, 'model.json'), '--out', out, '--steps', '4', '--lr', '0.01']
  const more = ['--batch-tokens', '256', '--validation-share', '0.2', '--threads', '1']
  const told = await sluice([...search, ...more])
  assert.match(told.stdout, /best +[\d.]+.*\nnext +sluice train … --lr [\d.]+\n$/, told.stderr)
  const again = JSON.parse((await sluice([...search, ...more, '--json'])).stdout)
  assert.deepEqual(JSON.parse(await readFile(join(out, 'scaling.json'), 'utf8')), again)
  assert.ok(again.trials.length >= 5 && told.stdout.includes(`--lr ${again.best}\n`))

  const sweep = [
    'scaling',
    'sizes',
    shards,
    '--length',
    '32',
    '--tokens-per-parameter',
    '0.002',
    '--out',
    join(folder.path, 'sizes'),
    ...more,
  ]
  const sizes = await sluice([...sweep, '--sizes', '50k,200k,500k,800k', '--forecast', '2M', '--lr', '0.001'])
  assert.match(
    sizes.stdout,
    /law +[\d.]+ \+ scale · FLOPs\^−[\d.]+, off by [\d.]+ % on these runs\n.* foretold, [\d.]+ to [\d.]+ nine times in ten\n/,
    sizes.stderr,
  )
  const few = await sluice([...sweep, '--sizes', '50k,50k,51k,800k'])
  assert.match(few.stderr, /SLUICE_TRAIN_SIZES/)
  const intoRun = await sluice(['scaling', 'rates', shards, '--out', model])
  assert.match(intoRun.stderr, /something else than runs of sluice scaling.*SLUICE_TRAIN_FOLDER/)
  assert.doesNotMatch(few.stderr, / {4}at /)
})

test('a run that is refused leaves nothing behind', async () => {
  const out = join(folder.path, 'refused', 'run')
  const refusals: [words: string[], code: RegExp][] = [
    [['--memory', '1000'], /SLUICE_TENSOR_MEMORY/],
    [['--precision', 'f16'], /SLUICE_TRAIN_PRECISION/],
  ]
  if (!findLibrary('driver')) refusals.push([['--device', 'cuda'], /SLUICE_CUDA_LIBRARY/])
  for (const [words, code] of refusals) {
    const { stderr } = await sluice(['train', shards, ...options, '--out', out, ...words])
    assert.match(stderr, code)
    assert.equal(existsSync(dirname(out)), false, words.join(' '))
  }
  if (!existsSync('/proc/self')) return
  const { code, stderr } = await sluice(['train', shards, ...options, '--out', '/proc/x'])
  assert.equal(code, 1)
  assert.match(stderr, /SLUICE_FOLDER_REFUSED/)
})

test('an interrupt before there is something to save ends the command at once', async () => {
  await using silent = createServer()
  const asked = once(silent, 'connection')
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const address = silent.address()
  assert.ok(address && typeof address === 'object')
  const { child, ended } = startSluice(['train', `http://127.0.0.1:${address.port}/a.parquet`, '--out', join(folder.path, 'silent')])
  const [socket] = await asked
  child.kill('SIGINT')
  assert.equal((await ended).code, 130)
  socket.destroy()
})

test('a run that holds nothing out says so once, of how many documents', async () => {
  const few = join(folder.path, 'few')
  await mkdir(few)
  await writeShard(
    join(few, 'a.parquet'),
    Array.from({ length: 4 }, () => ({ tokens: [1, 2, 3] })),
  )
  const { stderr } = await sluice(['train', few, '--model', join(folder.path, 'model.json'), '--steps', '1', '--out', join(few, 'out')])
  assert.match(stderr, /about 10 % of 4 documents/)
  assert.match(stderr, /no validation: of 4 documents, --validation-share 0\.1 holds out none/)
  assert.match(stderr, /: 1 layer of width 32, 2 heads/)
  assert.doesNotMatch(stderr, /held out/)
})

test('what is no corpus is named, with what is wanted in its place', async () => {
  const examples = join(folder.path, 'examples.jsonl')
  await writeFile(examples, '{"text": "x", "label": "a"}\n')
  const notes = join(folder.path, 'notes.txt')
  await writeFile(notes, 'texts')
  const cases: [words: string[], advice: RegExp][] = [
    [[notes], /notes\.txt is no Parquet file.*SLUICE_TRAIN_SHARD_INVALID[\s\S]*sluice run[\s\S]*parquetShards/],
    [[shards, examples], /examples\.jsonl holds examples[\s\S]*--init/],
    [[shards, '--validation', examples], /examples\.jsonl holds examples/],
  ]
  for (const [words, advice] of cases) assert.match((await sluice(['train', ...words])).stderr, advice)
  const inFolder = join(folder.path, 'examples')
  await mkdir(inFolder)
  await writeFile(join(inFolder, 'a.jsonl'), '{"text": "x", "label": "a"}\n{"text": "y", "label": "b"}\n')
  assert.match((await sluice(['train', inFolder])).stderr, /SLUICE_TRAIN_TOKENIZER/) // read as examples
})

test('mistakes end with advice, never with a stack', async () => {
  const cases: [words: string[], code: number, advice: RegExp][] = [
    [['train', join(folder.path, 'nowhere')], 1, /SLUICE_TRAIN_CORPUS_MISSING/],
    [['train', shards, ...options, '--seed', '9'], 1, /--seed 1, now it is 9.*SLUICE_TRAIN_CHANGED/],
    [['train', shards, ...options, '--lr', '0.02'], 1, /--lr 0\.01, now it is 0\.02.*SLUICE_TRAIN_CHANGED/],
    [['train', shards, ...options, '--batch-tokens', '1024'], 1, /--batch-tokens 512, now it is 1024.*SLUICE_TRAIN_CHANGED/],
    [['train', shards, ...options, '--threads', '9999'], 1, /--threads.*give a whole number from 1 to 1024/],
    [['train', shards, '--params', '1e30', '--out', model], 1, /--params.*give a number from 1000 to 1000000000000/],
    [['train', shards, '--epochs', '1e30', '--out', model], 1, /--steps: Too big.*SLUICE_TRAIN_OPTIONS/],
    [['train', shards, '--params', 'many'], 1, /give a number from 1000.*, such as 3000, 3k or 2.5M/],
    [['train', shards, '--steps', '-5'], 1, /--steps.*give a whole number from 1, such as/],
    [['train', shards, '--lr', '0'], 1, /--lr.*give a number above 0/],
    [['train', shards, '--validation-share', 'nan'], 1, /--validation-share.*give a number from 0 to 0\.5/],
    [['train', shards, '--init', ''], 1, /--init.*it is empty/],
    [['scaling', 'sizes', shards, '--sizes', '1M,-2M'], 1, /--sizes.*give a number from 1000/],
    [['predict', model, '--batch', '0'], 1, /--batch.*give a whole number from 1/],
    [['train', shards, '--packing', 'tight'], 1, /Allowed choices are concatenate, documents, best-fit/],
    [['sample', shards], 1, /SLUICE_TRAIN_MODEL_MISSING/],
    [['sample', join(folder.path, 'model.json')], 1, /a model is a folder, this is a file.*SLUICE_TRAIN_MODEL_MISSING/],
    [['sample', model, '--temperature', 'hot'], 1, /give a number from 0/],
    [['sample', model, '--temperature', 'Infinity'], 1, /give a number from 0/],
    [['sample', model, '--tokens', '1e99'], 1, /give a whole number from 1/],
    [['sample', model, '--threads', '2000'], 1, /give a whole number from 1 to 1024/],
    [['sample', model, '--seed', '4294967296'], 1, /give a whole number from 0 to 4294967295/],
  ]
  for (const [words, code, advice] of cases) {
    const result = await sluice(words)
    assert.match(result.stderr, advice)
    assert.equal(result.code, code, words.join(' '))
    assert.doesNotMatch(result.stderr, / {4}at /)
  }
  await writeFile(join(model, 'tokenizer.json'), byteTokenizer().replace('"version":"1.0"', '"version":"1.1"'))
  const { stderr } = await sluice(['sample', model, '--prompt', 'x'])
  assert.match(stderr, /another tokenizer.*SLUICE_SAMPLE_TOKENIZER/)
})
