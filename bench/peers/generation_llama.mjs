// Writes greedily with llama.cpp, by node-llama-cpp: what bench/generation-peers.ts sets beside sluice.
// usage: generation_llama.mjs MODEL.gguf PROMPTS THREADS WRITTEN PASSES
// PROMPTS is a JSON list of lists of token ids. Prints one line of JSON: the tokens of each text, and seconds of the fastest pass:
// of reading the prompts, up to the last text's first token, and, in the mean, of a step that writes a token of each text; by the
// clock and of the processor.

import { readFileSync } from 'node:fs'
import { getLlama } from './installed/llama/node_modules/node-llama-cpp/dist/index.js'

const [file, promptFile, ...numbers] = process.argv.slice(2)
const [threads, written, passes] = numbers.map(Number)
const prompts = JSON.parse(readFileSync(promptFile, 'utf8'))
const llama = await getLlama({ gpu: false, build: 'never', maxThreads: threads, progressLogs: false, logLevel: 'error' })
const model = await llama.loadModel({ modelPath: file, gpuLayers: 0, useMmap: false })
const context = await model.createContext({
  sequences: prompts.length,
  contextSize: prompts[0].length + written,
  batchSize: prompts.length * prompts[0].length,
  threads: { ideal: threads, min: threads },
  // what the texts ask for comes one after another: left alone, the first one's token would be computed by itself
  batching: prompts.length > 1 ? { dispatchSchedule: (dispatch) => setTimeout(dispatch, 2) } : {},
  experimentalKvCacheKeyType: 'F32',
  experimentalKvCacheValueType: 'F32',
})
const sequences = prompts.map(() => context.getSequence())
const fastest = { read: Infinity, step: Infinity, readCpu: Infinity, stepCpu: Infinity }
let texts = []
for (let pass = 0; pass < passes; pass++) {
  await Promise.all(sequences.map((sequence) => sequence.clearHistory()))
  const arrivals = []
  const start = now()
  texts = await Promise.all(sequences.map((sequence, row) => write(sequence, prompts[row], arrivals)))
  const [first, last] = [arrivals[0], arrivals[written - 1]]
  keep('read', first.clock - start.clock)
  keep('readCpu', first.cpu - start.cpu)
  keep('step', (last.clock - first.clock) / (written - 1))
  keep('stepCpu', (last.cpu - first.cpu) / (written - 1))
}
const versions = { nodeLlamaCpp: JSON.parse(readFileSync(new URL('installed/llama/node_modules/node-llama-cpp/package.json', import.meta.url), 'utf8')).version, llamaCpp: llama.llamaCppRelease.release }
process.stdout.write(`${JSON.stringify({ tokens: texts, versions, seconds: fastest })}\n`)
process.exit(0)

function now() {
  const { user, system } = process.cpuUsage()
  return { clock: performance.now() / 1e3, cpu: (user + system) / 1e6 }
}

function keep(what, seconds) {
  fastest[what] = Math.min(fastest[what], seconds)
}

async function write(sequence, prompt, arrivals) {
  const tokens = []
  for await (const token of sequence.evaluate(prompt, { temperature: 0 })) {
    arrivals[tokens.length] = now() // the last text's counts
    tokens.push(token)
    if (tokens.length === written) break
  }
  return tokens
}
