// Decontamination on real evaluation sets: what is found of their examples verbatim, rephrased and translated, what is found in
// texts that hold none of them, and the speed on clean prose.
//
//   npm run bench decontaminate

import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { z } from 'zod'
import { ContaminationFinder } from '../src/dedup/contamination.ts'
import { EvaluationIndex, readExamples } from '../src/dedup/evaluation-sets.ts'
import { documentTokens } from '../src/text/analysis.ts'
import { saveResult } from './lib/harness.ts'

const data = new URL('../../shared/data/', import.meta.url)
const sets = { gsm8k: 'eval/gsm8k-test-first500.jsonl.gz', humaneval: 'eval/HumanEval.jsonl.gz' }
const rules = [
  { ngramWords: 13, minShare: 0 },
  { ngramWords: 8, minShare: 0 },
  { ngramWords: 8, minShare: 0.7 },
]

const gsm8k = z.object({ question: z.string(), answer: z.string() })
const rephrased = z.object({ text: z.string() })
const verbatim = readLines(sets.gsm8k, gsm8k).map(({ question }) => `Q: ${question}`)
const training = readLines('eval/gsm8k-train-first2000.jsonl.gz', gsm8k).map(({ question, answer }) => `${question} ${answer}`)
const otherWords = readLines('decontamination/rephrase_gsm8k.jsonl.gz', rephrased).map(({ text }) => text)
const otherLanguage = readLines('decontamination/humaneval_c.jsonl.gz', rephrased).map(({ text }) => text)
const prose = readText('text/sherlock-holmes-adventures.txt.gz').match(/.{1,4000}/gs) ?? []

const table: Record<string, Record<string, string>> = {}
for (const { ngramWords, minShare } of rules) {
  const index = new EvaluationIndex()
  for (const [name, file] of Object.entries(sets)) {
    const files = new URL(file, data).pathname
    index.addSet(name, await Array.fromAsync(readExamples(name, { files })), { ngramWords, minNgramWords: 8 })
  }
  const finder = new ContaminationFinder(index)
  const found = (texts: readonly string[]) => {
    const hits = texts.filter((text) => finder.examplesOf(finder.find({ text }), minShare).length > 0)
    return `${hits.length} of ${texts.length}`
  }
  table[`${ngramWords} words, share ${minShare}`] = {
    'GSM8K questions, verbatim': found(verbatim),
    'GSM8K, rephrased': found(otherWords),
    'HumanEval, in C': found(otherLanguage),
    'GSM8K training part': found(training),
    'a novel': found(prose),
    'MB/s of prose, words split before': rate(finder).toFixed(0),
  }
}
saveResult('decontaminate', { examples: 'GSM8K test (500), HumanEval (164)', table })

/** Median of nine rounds over fresh documents. */
function rate(finder: ContaminationFinder): number {
  const bytes = prose.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  const rates = Array.from({ length: 9 }, () => {
    const documents = prose.map((text) => ({ text }))
    for (const document of documents) documentTokens(document)
    const start = performance.now()
    for (const document of documents) finder.find(document)
    return bytes / (performance.now() - start) / 1e3
  })
  return rates.sort((a, b) => a - b)[4]
}

function readText(file: string): string {
  return gunzipSync(readFileSync(new URL(file, data))).toString('utf8')
}

function readLines<T>(file: string, schema: z.ZodType<T>): T[] {
  const lines = readText(file).trim().split('\n')
  return lines.map((line) => schema.parse(JSON.parse(line)))
}
