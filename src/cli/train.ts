// `sluice train`: a model from token shards. Started again after anything, it goes on where its last checkpoint stands.

import { join } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { z } from 'zod'
import { type TrainOptions, type TrainResult, train, trainOptions } from '../train/train.ts'
import { exitCodes } from './exit-codes.ts'
import { trainProgress } from './train-progress.ts'
import { openTokenizer } from './trainer-tokenizer.ts'

const property = z.looseObject({
  type: z.string().optional(),
  enum: z.array(z.string()).optional(),
  description: z.string().optional(),
})

export const command = new Command()
  .argument(
    '<shards...>',
    'folders or URLs of token shards, as parquetShards writes them; several are mixed: web=0.7 code=0.3; or a file of examples',
  )
  .option('--json', 'progress and result as JSON lines on standard output')
  .addOption(new Option('--peak-gflops <n>', 'what the machine could compute, for the share of it that is used').argParser(count))
  .addHelpText(
    'after',
    `
What is not given is derived from the model and the data, and said with its reason. A run that was stopped or killed goes on
with the same command, bit for bit as if it had never stopped. Numbers may end in k, M or B.

Examples:
  sluice train corpora/quickstart
  sluice train corpora/quickstart --params 3M --epochs 2 --out models/small
  sluice train corpora/fineweb --model gpt2-124m --tokens 2.5B --batch-tokens 512k --schedule wsd
  sluice train corpora/web=0.7 s3://bucket/code/=0.3 --optimizer muon --z-loss 1e-4
  sluice train corpora/quickstart --objective masked --params 3M --out models/encoder
  sluice train reviews.jsonl --init models/encoder --validation test.jsonl --epochs 3
  sluice train corpora/quickstart --objective spans --params 3M --out models/t5
  sluice train pairs.jsonl --init models/t5

Examples are JSON lines or Parquet: {"text": "…", "label": "good"} for an encoder, {"input": "…", "target": "…"} for an
encoder-decoder.

The output folder gets step-N/ (model.safetensors, optimizer.safetensors, config.json, state.json), latest, tokenizer.json and
log.jsonl: a line a step with its loss and the rows of the shards that it was made of.

Exit codes: 0 done, 1 failed, 130 interrupted (run the same command to go on).`,
  )
  .action(async (shards: string[], { json, peakGflops, ...settings }: Flags) => {
    const result = await run({ shards, ...settings }, { isJson: json ?? false, peakGflops })
    if (json) process.stdout.write(`${JSON.stringify(resultLine(result))}\n`)
    else process.stdout.write(describeResult(result))
    if (!result.isInterrupted) return
    if (!json) process.stderr.write('stopped; the last whole step is saved. The same command goes on.\n')
    process.exitCode = exitCodes.interrupted
  })

for (const option of settingFlags()) command.addOption(option)

interface Flags extends Omit<TrainOptions, 'shards'> {
  readonly json?: boolean
  readonly peakGflops?: number
}

async function run(options: TrainOptions, { isJson, peakGflops }: { isJson: boolean; peakGflops?: number }): Promise<TrainResult> {
  const controller = new AbortController()
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(exitCodes.interrupted) // a second Ctrl-C does not wait for the save
    controller.abort()
  }
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt)
  using progress = trainProgress(isJson)
  try {
    return await train(options, {
      openTokenizer,
      peakFlops: peakGflops === undefined ? undefined : peakGflops * 1e9,
      signal: controller.signal,
      onReport: progress.report,
      onNotice: progress.notice,
    })
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
  }
}

// ---- the end ----

function resultLine({ checkpoint, state, isInterrupted, tokensPerSecond, settings }: TrainResult) {
  const { step, seenTokens, loss, smoothedLoss, evaluation, parameterCount } = state
  const { steps } = settings
  return {
    event: 'result',
    checkpoint,
    step,
    steps,
    isInterrupted,
    parameterCount,
    seenTokens,
    loss,
    smoothedLoss,
    evaluation,
    tokensPerSecond,
  }
}

function describeResult({ checkpoint, folder, state, tokensPerSecond, settings }: TrainResult): string {
  const { step, seenTokens, smoothedLoss, evaluation, parameterCount } = state
  const number = (value: number) => value.toLocaleString('en-US', { maximumFractionDigits: 0 })
  const speed = tokensPerSecond > 0 ? `, ${number(tokensPerSecond)} tokens/s` : ' (was finished before)'
  const bits = evaluation?.bitsPerByte ? `, ${evaluation.bitsPerByte.toFixed(3)} bits per byte` : ''
  const right = evaluation && evaluation.accuracy !== null ? `, ${(100 * evaluation.accuracy).toFixed(1)} % right` : ''
  const lines = [
    `step ${number(step)} of ${number(settings.steps)}: ${number(parameterCount)} parameters, ${number(seenTokens)} tokens${speed}`,
    smoothedLoss === null ? undefined : `training loss   ${smoothedLoss.toFixed(4)} nats a token (average of the last steps)`,
    evaluation
      ? `validation loss ${evaluation.loss.toFixed(4)} nats a token${bits}${right}, at step ${number(evaluation.step)}`
      : undefined,
    `checkpoint      ${checkpoint}`,
    `log             ${join(folder, 'log.jsonl')}`,
  ]
  if (step >= settings.steps && settings.objective === 'causal')
    lines.push(`next            sluice sample ${folder} --prompt "Once"`, `                ${advice(smoothedLoss, evaluation?.loss)}`)
  return `${lines.filter((line) => line !== undefined).join('\n')}\n`
}

/** What would help most, read off the gap between the two losses. */
function advice(trainingLoss: number | null, validationLoss: number | undefined): string {
  if (trainingLoss === null || validationLoss === undefined)
    return 'more documents or a larger --validation-share: some must be held out to see how well it generalizes'
  if (validationLoss - trainingLoss > 0.3) return 'it learns its documents by heart: more documents, fewer --epochs or a smaller --params'
  return 'the losses are close: a larger --params or more --tokens would still lower them'
}

// ---- flags from the schema ----

function settingFlags(): Option[] {
  const { properties } = z
    .looseObject({ properties: z.record(z.string(), property) })
    .parse(z.toJSONSchema(trainOptions, { io: 'input', unrepresentable: 'any' }))
  return Object.entries(properties)
    .filter(([name]) => name !== 'shards')
    .map(([name, { type, enum: choices, description }]) => {
      if (type === 'boolean') return new Option(`--${kebab(name)} <yes|no>`, description).choices(['yes', 'no']).argParser(yesNo)
      const isNumber = type === 'number' || type === 'integer'
      const flag = `--${kebab(name)}`
      const option = new Option(
        `${name === 'learningRate' ? `--lr, ${flag}` : flag} <${isNumber ? 'n' : choices ? 'kind' : name === 'out' ? 'folder' : 'name'}>`,
        description,
      )
      if (choices) return option.choices(choices)
      return isNumber ? option.argParser(count) : option
    })
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

function yesNo(text: string): boolean {
  if (text === 'yes' || text === 'no') return text === 'yes'
  throw new InvalidArgumentError('give yes or no')
}

/** 3000, 3k, 2.5M, 1B, 1e-3. */
function count(text: string): number {
  const match = /^([\d.]+(?:e[+-]?\d+)?)\s*([kmb]?)$/i.exec(text)
  const value = match ? Number(match[1]) * 1000 ** ['', 'k', 'm', 'b'].indexOf(match[2].toLowerCase()) : Number.NaN
  if (!Number.isFinite(value)) throw new InvalidArgumentError('give a number, such as 3000, 3k or 2.5M')
  return Number.isInteger(value) ? value : Number(value.toPrecision(15))
}
