// A forecast of `sluice scaling sizes` held against the run that it is about: models of 0.2 to 0.6 million parameters, each with
// three seeds, foretell one of 3.0 million, which is then trained on as many tokens a parameter. Runs stay in --out: what was
// stopped goes on, what is there is not made again. 200 TFLOP: a quarter of an hour on two idle cores with AVX-512.
// node --conditions=source bench/scaling.ts [--tokens quickstart/tokens] [--threads 2] [--seeds 3] [--out runs/bench-scaling]

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openTokenizer } from '../src/cli/trainer-tokenizer.ts'
import { modelOfSize } from '../src/model/size.ts'
import { openCorpus } from '../src/tokens/corpus.ts'
import { runSize, type SizeRun, sweepSizes } from '../src/train/size-sweep.ts'
import { saveResult } from './lib/harness.ts'

const SIZES = [171e3, 280e3, 422e3, 566e3]
const LARGER = 3e6
/** The larger model then reads the quickstart's documents 2.8 times. */
const TOKENS_PER_PARAMETER = 3
/** Of rows: what `--params` gives. */
const LENGTH = 256

const { values } = parseArgs({
  options: {
    tokens: { type: 'string', default: 'quickstart/tokens' },
    threads: { type: 'string', default: '2' },
    seeds: { type: 'string', default: '3' },
    out: { type: 'string', default: 'runs/bench-scaling' },
  },
})
if (!existsSync(values.tokens)) {
  console.error(`there are no tokens in ${values.tokens}: make quickstart leaves them in quickstart/tokens`)
  process.exit(1)
}

const options = { shards: values.tokens, threads: Number(values.threads), out: values.out }
const start = performance.now()
const lastWords = ({ parameters, seed, tokens, loss }: SizeRun) =>
  console.error(`${minutes()} min: ${parameters} parameters, seed ${seed}, ${tokens} tokens: ${loss.toFixed(4)}`)
const sweep = await sweepSizes(
  { sizes: SIZES, tokensPerParameter: TOKENS_PER_PARAMETER, seeds: Number(values.seeds), forecast: [LARGER] },
  options,
  { openTokenizer, onRun: lastWords },
)
const [forecast] = sweep.forecasts
console.error(`foretold ${forecast.loss.toFixed(3)}, nine times in ten ${forecast.low.toFixed(3)} to ${forecast.high.toFixed(3)}`)

const { vocabulary } = await openCorpus(values.tokens)
const config = modelOfSize(LARGER, { vocabularySize: vocabulary.size, contextLength: LENGTH })
const larger = { ...options, params: LARGER, out: join(values.out, `size-${forecast.parameters}`) }
const reached = await runSize(config, TOKENS_PER_PARAMETER, larger, { openTokenizer })
lastWords(reached)
const { low, high } = forecast
saveResult('scaling', {
  tokensPerParameter: TOKENS_PER_PARAMETER,
  runs: sweep.runs.map(({ folder, ...run }) => run),
  law: sweep.law,
  forecast,
  reached: { loss: reached.loss, bitsPerByte: reached.bitsPerByte, epochs: reached.epochs, tokens: reached.tokens },
  differenceShare: reached.loss / forecast.loss - 1,
  isInInterval: low <= reached.loss && reached.loss <= high,
})

function minutes(): number {
  return Math.round((performance.now() - start) / 6e3) / 10
}
