// `sluice train`: a model from token shards. Started again after anything, it goes on where its last checkpoint stands.

import { join } from 'node:path'
import { Command, Option } from 'commander'
import { TRAINING_LOG_FILE } from '../../schemas/training-log.ts'
import { formatCount } from '../core/format.ts'
import { measurePeakFlops } from '../tensor/cpu/peak.ts'
import { type TrainResult, train } from '../train/train.ts'
import type { TrainOptions } from '../train/train-options.ts'
import { CURVES_FILE, type CurvesFile, curvesFile } from './curves-file.ts'
import { exitCodes } from './exit-codes.ts'
import { stopOnInterrupt } from './interrupt.ts'
import { numberIn } from './numbers.ts'
import { settingFlags } from './train-flags.ts'
import { trainProgress } from './train-progress.ts'
import { openTokenizer } from './trainer-tokenizer.ts'

export const command = new Command()
  .argument(
    '<shards...>',
    'folders or URLs of token shards, as parquetShards writes them; several are mixed: web=0.7 code=0.3; or a file of examples',
  )
  .option('--json', 'progress and result as JSON lines on standard output')
  .addOption(
    new Option('--peak-gflops <n>', 'what the machine could compute, for the share of it that is used; measured where not given').argParser(
      numberIn({ above: 0 }),
    ),
  )
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

The output folder gets step-N/ (model.safetensors, optimizer.safetensors, config.json, state.json), latest, tokenizer.json,
log.jsonl: a line a step with its loss and the rows of the shards that it was made of, and curves.html: open it in a browser
while the run goes on.

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
  using interrupt = stopOnInterrupt()
  using progress = trainProgress(isJson)
  interrupt.signal.addEventListener('abort', () =>
    progress.notice('stopping, and saving the last whole step; a second time ends it at once'),
  )
  let curves: CurvesFile | undefined
  try {
    return await train(options, {
      openTokenizer,
      peakFlops: async ({ threads, precision }, device) => {
        if (peakGflops !== undefined) return peakGflops * 1e9
        return device === 'cpu' && precision !== 'f16' ? await measurePeakFlops(threads, precision) : undefined
      },
      signal: interrupt.signal,
      onFolder: (folder) => {
        interrupt.begin()
        curves = curvesFile(folder)
      },
      onReport: (report) => {
        progress.report(report)
        curves?.refresh()
      },
      onNotice: progress.notice,
    })
  } finally {
    await curves?.finish().catch((error: Error) => progress.notice(`no page of curves: ${error.message}`))
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
  const speed = tokensPerSecond > 0 ? `, ${formatCount(tokensPerSecond)} tokens/s` : ' (was finished before)'
  const bits = evaluation?.bitsPerByte ? `, ${evaluation.bitsPerByte.toFixed(3)} bits per byte` : ''
  const unit = settings.objective === 'classify' ? 'nats a label' : 'nats a token'
  const right = evaluation && evaluation.accuracy !== null ? `, ${(100 * evaluation.accuracy).toFixed(1)} % right` : ''
  const lines = [
    `step ${formatCount(step)} of ${formatCount(settings.steps)}: ${formatCount(parameterCount)} parameters, ${formatCount(seenTokens)} tokens${speed}`,
    smoothedLoss === null ? undefined : `training loss   ${smoothedLoss.toFixed(4)} ${unit} (average of the last steps)`,
    evaluation
      ? `validation loss ${evaluation.loss.toFixed(4)} ${unit}${bits}${right}, at step ${formatCount(evaluation.step)}`
      : undefined,
    `checkpoint      ${checkpoint}`,
    `log             ${join(folder, TRAINING_LOG_FILE)}`,
    `curves          ${join(folder, CURVES_FILE)}`,
  ]
  if (step >= settings.steps && settings.objective === 'causal')
    lines.push(`next            sluice sample ${folder} --prompt "Once"`, `                ${advice(state)}`)
  return `${lines.filter((line) => line !== undefined).join('\n')}\n`
}

/** What would help most, read off the gap between the two losses. */
function advice({ smoothedLoss, evaluation, cursors }: TrainResult['state']): string {
  if (smoothedLoss === null || !evaluation)
    return 'more documents or a larger --validation-share: some must be held out to see how well it generalizes'
  const isApart = evaluation.loss - smoothedLoss > 0.3
  if (isApart && cursors.every(({ epoch }) => epoch === 0)) return 'it has read few documents, the last of them easy ones: more --tokens'
  if (isApart) return 'it learns its documents by heart: more documents, fewer --epochs or a smaller --params'
  return 'the losses are close: a larger --params or more --tokens would still lower them'
}
