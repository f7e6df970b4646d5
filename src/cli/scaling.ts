// `sluice scaling`: what is worth knowing before a long training run. `rates` finds the learning rate, `sizes` says from small
// models what a larger one would reach.

import { readdir, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { Command, Option } from 'commander'
import type { Json } from '../core/document.ts'
import { SluiceError } from '../core/errors.ts'
import { formatCount } from '../core/format.ts'
import { makeFolder } from '../io/make-folder.ts'
import { findLearningRate, type RateSearch } from '../train/rate-search.ts'
import { type SizeForecast, type SizeRun, type SizeSweep, sweepSizes } from '../train/size-sweep.ts'
import type { TrainHooks, TrainOptions } from '../train/train-options.ts'
import { exitCodes } from './exit-codes.ts'
import { stopOnInterrupt } from './interrupt.ts'
import { numberIn, numbersIn, wholeNumber } from './numbers.ts'
import { settingFlags } from './train-flags.ts'
import { trainProgress } from './train-progress.ts'
import { openTokenizer } from './trainer-tokenizer.ts'

const RESULT_FILE = 'scaling.json'
const parameterCounts = numbersIn({ from: 1000, to: 1e12 })
const SHARDS = 'folders or URLs of token shards, as for sluice train'
const outOption = (kind: string) =>
  new Option('--out <folder>', `folder of all runs; scaling/<name of the shards folder>-${kind} where not given`)

export const command = new Command().addHelpText(
  'after',
  `
Each run stands in a folder of its own: a command that was stopped goes on with the same command, and runs that are there
already are not made again. Settings of sluice train may be given to both.

Examples:
  sluice scaling rates corpora/quickstart --params 1M
  sluice scaling sizes corpora/quickstart --sizes 250k,500k,1M,2M --forecast 20M`,
)

// ---- rates ----

command
  .command('rates')
  .description('the learning rate with the lowest loss, by short runs with rates a factor of two apart')
  .argument('<shards...>', SHARDS)
  .option('--json', 'the result as JSON on standard output')
  .addOption(
    new Option('--lr, --learning-rate <n>', 'the middle of the rates that are tried first').argParser(numberIn({ above: 0 })).default(1e-3),
  )
  .addOption(outOption('rates'))
  .addHelpText(
    'after',
    `
Five rates are tried, more where the lowest loss lies at an edge. Runs have 200 steps unless --steps, --tokens or --epochs says
otherwise: the best rate falls a little with the length of a run.`,
  )
  .action(async (shards: string[], { json, out = folderFor(shards, 'rates'), ...flags }: Flags & { learningRate: number }) => {
    const asked = flags.steps ?? flags.tokens ?? flags.epochs
    const options = { ...(asked === undefined ? { steps: 200 } : {}), ...flags, shards, out }
    await withHooks(out, async (hooks, say) => {
      const onTrial = ({ learningRate, loss }: RateSearch['trials'][number]) => say(`learning rate ${learningRate}: ${lossOf(loss)}`)
      const search = await findLearningRate(options, { ...hooks, onTrial })
      await report(
        out,
        { trials: search.trials.map((trial) => ({ ...trial })), best: search.best, isBracketed: search.isBracketed },
        json,
        () => describeRates(search),
      )
    })
  })

function describeRates({ trials, best, isBracketed }: RateSearch): string {
  const rows = trials.map(({ learningRate, loss }) => `${String(learningRate).padStart(13)}   ${lossOf(loss)}`)
  const edge = isBracketed ? '' : ' (at the edge of what was tried: give it as --lr and try again)'
  return `learning rate   validation loss, nats a token\n${rows.join('\n')}\nbest            ${best}${edge}\nnext            sluice train … --lr ${best}\n`
}

const lossOf = (loss: number | null) => (loss === null ? 'diverged' : loss.toFixed(4))

// ---- sizes ----

interface SizeFlags extends Flags {
  readonly sizes: readonly number[]
  readonly seeds: number
  readonly forecast?: readonly number[]
  readonly tokensPerParameter: number
}

command
  .command('sizes')
  .description('a law of scale from models of several sizes, and the loss that it foretells for larger ones')
  .argument('<shards...>', SHARDS)
  .option('--json', 'the result as JSON on standard output')
  .addOption(new Option('--sizes <n,n,…>', 'parameters of the models, four or more').argParser(parameterCounts).makeOptionMandatory())
  .addOption(
    new Option('--forecast <n,n,…>', 'parameters of models to foretell; ten times the largest where not given').argParser(parameterCounts),
  )
  .addOption(new Option('--tokens-per-parameter <n>', 'tokens that each model is trained on').argParser(numberIn({ above: 0 })).default(20))
  .addOption(new Option('--seeds <n>', 'runs of each size, with --seed and the seeds after it').argParser(wholeNumber(1, 100)).default(1))
  .addOption(outOption('sizes'))
  .addHelpText(
    'after',
    `
The law is loss = floor + scale · compute^−exponent (Hoffmann et al. 2022), fitted to the validation losses at the end of each
run. Nine in ten larger runs end in the interval that is given, where they follow the law; more sizes and --seeds make it
narrower, and from eight runs on one that got stuck is left out. It holds for one tokenizer and one corpus, read at most about four times.

Runs that see a few documents only say little: give so many --tokens-per-parameter that the smallest model reads some hundred
thousand tokens of what is mixed well, and several hundred steps.`,
  )
  .action(
    async (
      shards: string[],
      { json, sizes, seeds, forecast, tokensPerParameter, out = folderFor(shards, 'sizes'), ...flags }: SizeFlags,
    ) => {
      const sweep = { sizes, tokensPerParameter, seeds, forecast: forecast ?? [10 * Math.max(...sizes)] }
      await withHooks(out, async (hooks, say) => {
        const onRun = ({ parameters, loss }: SizeRun) => say(`${formatCount(parameters)} parameters: ${loss.toFixed(4)}`)
        const result = await sweepSizes(sweep, { ...flags, shards, out }, { ...hooks, onRun })
        const { runs, law, forecasts } = result
        await report(
          out,
          { runs: runs.map((run) => ({ ...run })), law: { ...law }, forecasts: forecasts.map((row) => ({ ...row })) },
          json,
          () => describeSizes(result),
        )
      })
    },
  )

/** Of a run that the law hardly heeds. */
const LITTLE_WEIGHT = 0.1

function describeSizes({ runs, law, forecasts }: SizeSweep): string {
  const row = (parameters: number, tokens: number, flops: number, loss: string) =>
    `${formatCount(parameters).padStart(14)}${formatCount(tokens).padStart(18)}${flops.toExponential(2).padStart(12)}   ${loss}`
  const lines = [
    `    parameters            tokens       FLOPs   validation loss, nats a token`,
    ...runs.map(({ parameters, tokens, flops, loss, bitsPerByte, epochs, weight }) =>
      row(
        parameters,
        tokens,
        flops,
        `${loss.toFixed(4)}${bitsPerByte === null ? '' : ` (${bitsPerByte.toFixed(3)} bits a byte)`}${epochs > 4 ? `, ${epochs} epochs` : ''}${weight < LITTLE_WEIGHT ? ', left out: far from all others' : ''}`,
      ),
    ),
    `law             ${law.floor.toFixed(3)} + scale · FLOPs^−${law.exponent.toFixed(3)}, off by ${(100 * law.misfit).toFixed(2)} % on these runs`,
    ...forecasts.map(({ parameters, tokens, flops, loss, low, high }) =>
      row(parameters, tokens, flops, `${loss.toFixed(3)} foretold, ${low.toFixed(3)} to ${high.toFixed(3)} nine times in ten`),
    ),
    ...forecasts.filter(({ epochs }) => epochs > 1).map(describeRepeats),
  ]
  if (runs.some(({ epochs }) => epochs > 4))
    lines.push('Runs that read their documents more than four times learn less than new ones would teach: the law is then too dark.')
  return `${lines.join('\n')}\n`
}

/** Of a larger model that the documents do not suffice for. */
function describeRepeats({ parameters, tokens, epochs }: SizeForecast): string {
  const have = `${formatCount(tokens)} tokens for ${formatCount(parameters)} parameters are ${epochs.toFixed(1)} times what there is to train on`
  return epochs > 4
    ? `${have}: the law speaks of documents that are new or read up to about four times, such a run will end above it. Give more documents.`
    : `${have}: documents that are read again teach nearly as much as new ones up to about four times (Muennighoff et al. 2023).`
}

// ---- both ----

type Flags = Omit<TrainOptions, 'shards'> & { readonly json?: boolean }

for (const sub of command.commands) {
  const isSizes = sub.name() === 'sizes'
  const own = isSizes ? ['params', 'model', 'tokens', 'steps', 'epochs', 'init'] : ['learningRate']
  for (const option of settingFlags(['out', ...own])) sub.addOption(option)
}

const folderFor = (shards: readonly string[], kind: string) =>
  join('scaling', `${basename(resolve(shards[0])).replace(/=[\d.]+$/, '')}-${kind}`)

/** Runs with a bar or log lines on standard error; what was stopped says so. @param out may hold runs of such a search only */
async function withHooks(out: string, work: (hooks: TrainHooks, say: (line: string) => void) => Promise<void>): Promise<void> {
  const names = await readdir(out).catch(() => []) // what is wrong with it shows with the first run
  const other = names.find((name) => name !== RESULT_FILE && !/^(rate|size)-/.test(name))
  if (other !== undefined)
    throw new SluiceError('SLUICE_TRAIN_FOLDER', 'the output folder holds something else than runs of sluice scaling', {
      where: { folder: out, example: other },
      fix: 'give an empty or new folder with --out',
    })
  using interrupt = stopOnInterrupt()
  using progress = trainProgress(false)
  try {
    await work({ openTokenizer, signal: interrupt.signal, onFolder: interrupt.begin, onReport: progress.report }, progress.notice)
  } catch (error) {
    if (!interrupt.signal.aborted) throw error
    process.stderr.write('stopped; what was trained is saved. The same command goes on.\n')
    process.exitCode = exitCodes.interrupted
  }
}

async function report(out: string, result: Json, isJson: boolean | undefined, describe: () => string): Promise<void> {
  await makeFolder(out)
  await writeFile(join(out, RESULT_FILE), `${JSON.stringify(result, null, 2)}\n`)
  process.stdout.write(isJson ? `${JSON.stringify(result)}\n` : describe())
}
