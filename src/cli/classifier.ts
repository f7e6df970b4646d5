// `sluice classifier`: trains, tests, asks and shrinks linear classifiers in fastText's format.

import { createReadStream, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { Command, Option } from 'commander'
import { SluiceError } from '../core/errors.ts'
import { autotune } from '../lang/autotune.ts'
import { type Evaluation, evaluate, f1, type LabelCounts, precision, recall } from '../lang/evaluate.ts'
import type { FastTextModel } from '../lang/fasttext-model.ts'
import { type TrainingContext, trainFastText } from '../lang/fasttext-train.ts'
import { createPredictor } from '../lang/kernel-predict.ts'
import { quantizeModel, quantizeOptions } from '../lang/quantize.ts'
import { loadFastTextModel } from '../lang/read-fasttext.ts'
import { type TrainingOptions, trainingOptions } from '../lang/training-options.ts'
import { saveFastTextModel } from '../lang/write-fasttext.ts'
import { reportCommand } from './classifier-report.ts'
import { numberIn, size, wholeNumber } from './numbers.ts'
import { ProgressLine } from './progress-line.ts'
import { threadCount } from './run-options.ts'
import { optionsOf, optionValues } from './schema-options.ts'
import { checkFolderOf, checkReadable, printLine } from './text-input.ts'

export const command = new Command('classifier').addHelpText(
  'after',
  `
Texts hold one example a line, with its labels in it, as fastText has them:
  __label__good A text worth reading.

Examples:
  sluice classifier train train.txt -o model.bin --word-ngrams 2 --epoch 25 --lr 0.5
  sluice classifier test model.bin test.txt
  echo 'Is this one worth reading?' | sluice classifier predict model.bin
  sluice classifier quantize model.bin -o model.ftz --cutoff 100000 --retrain train.txt`,
)

const threadsOption = () =>
  new Option('--threads <n>', 'threads; with one, the same seed gives the same model').argParser(threadCount).default(2)

// ---- train ----

interface TrainFlags {
  readonly output: string
  readonly threads: number
  readonly validation?: string
  readonly duration: number
  readonly metric: string
  readonly predictions: number
  readonly modelSize?: number
}

const train = command
  .command('train')
  .description('train a classifier')
  .argument('<file>', 'training text')
  .requiredOption('-o, --output <file>', 'model to write: .bin, or .ftz with --model-size')
  .addOption(threadsOption())
for (const option of optionsOf(trainingOptions)) train.addOption(option)
train
  .option('--validation <file>', 'look for the options that do best on this text, instead of training once')
  .addOption(new Option('--duration <seconds>', 'how long to look').argParser(numberIn({ above: 0 })).default(300))
  .option('--metric <f1|f1:label>', 'what counts there', 'f1')
  .addOption(new Option('--predictions <k>', 'labels predicted for each line').argParser(wholeNumber(1)).default(1))
  .addOption(new Option('--model-size <bytes>', 'quantize to at most this: 500kB, 2MB').argParser(size()))
  .action(async (file: string, flags: TrainFlags, called: Command) => {
    const options = optionValues(trainingOptions, called)
    await checkFolderOf(flags.output)
    const progress = new ProgressLine()
    const context = { threads: flags.threads, report: reportTo(progress) }
    const { model, result } =
      flags.validation === undefined
        ? await trainOnce(file, options, flags, context)
        : await tune(file, options, { ...flags, validation: flags.validation }, called, context)
    saveFastTextModel(flags.output, model)
    const { wordCount, labels, tokens } = model
    progress.done(`${tokens} tokens, ${wordCount} words, ${labels.length} labels; ${result}\nwrote ${flags.output}`)
  })

interface Trained {
  readonly model: FastTextModel
  /** How good it is, for the person. */
  readonly result: string
}

async function trainOnce(file: string, options: TrainingOptions, flags: TrainFlags, context: TrainingContext): Promise<Trained> {
  if (flags.modelSize !== undefined)
    throw new SluiceError('SLUICE_CLI_OPTIONS', '--model-size needs --validation: the size is tuned for', {
      fix: 'or use sluice classifier quantize',
    })
  const { model, loss } = await trainFastText(file, options, context)
  return { model, result: `mean loss ${loss.toFixed(4)}` }
}

/** Looks for the options that were not given. */
async function tune(
  file: string,
  options: TrainingOptions,
  { validation, duration: seconds, metric, predictions, modelSize: modelBytes }: TrainFlags & { readonly validation: string },
  called: Command,
  context: TrainingContext,
): Promise<Trained> {
  const fixed = new Set(Object.keys(options).filter((name) => called.getOptionValueSource(name) === 'cli'))
  const goal = { validation: await linesIn(validation), seconds, metric, predictions, modelBytes, fixed }
  const { model, best, trials } = await autotune(file, options, goal, context)
  const found = JSON.stringify({ ...best.options, dsub: modelBytes && best.dsub })
  return { model, result: `best of ${trials.length} trials: ${metric} ${best.score?.toFixed(4)} with ${found}` }
}

// ---- test ----

command
  .command('test')
  .description('precision and recall on a labelled text')
  .argument('<model>', '.bin or .ftz')
  .argument('<file>', 'labelled text')
  .addOption(new Option('-k, --most <n>', 'labels predicted for each line').argParser(wholeNumber(1)).default(1))
  .addOption(new Option('--threshold <score>', 'labels below it are not predicted').argParser(numberIn({ from: 0, to: 1 })).default(0))
  .option('--labels', 'a line for each label', false)
  .option('--json', 'as JSON', false)
  .action(async (modelFile: string, file: string, flags: { most: number; threshold: number; labels: boolean; json: boolean }) => {
    const lines = await linesIn(file)
    const result = evaluate(loadFastTextModel(modelFile), lines, flags.most, flags.threshold)
    if (result.examples === 0)
      throw new SluiceError('SLUICE_LANG_NO_EXAMPLES', 'no line has a label and a word that the model knows', {
        where: { file },
        fix: 'begin each line with its label',
      })
    process.stdout.write(flags.json ? `${JSON.stringify(figuresOf(result))}\n` : tableOf(result, flags.most, flags.labels))
  })

function figuresOf({ examples, all, labels }: Evaluation) {
  const figures = (counts: LabelCounts) => ({ ...counts, precision: precision(counts), recall: recall(counts), f1: f1(counts) })
  return { examples, ...figures(all), labels: Object.fromEntries([...labels].map(([label, counts]) => [label, figures(counts)])) }
}

/** The first three lines are the C++ program's. */
function tableOf({ examples, all, labels }: Evaluation, most: number, withLabels: boolean): string {
  const share = (value: number) => (Number.isNaN(value) ? '-' : value.toFixed(3)).padStart(9)
  const head = `N\t${examples}\nP@${most}\t${precision(all).toFixed(3)}\nR@${most}\t${recall(all).toFixed(3)}\n`
  if (!withLabels) return head
  const rows = [...labels].map(([label, counts]) => `${share(f1(counts))}${share(precision(counts))}${share(recall(counts))}  ${label}`)
  return `${head}${['       F1', 'precision', '   recall'].join('')}  label\n${rows.join('\n')}\n`
}

// ---- predict ----

command
  .command('predict')
  .description('labels of lines, best first, each with its probability')
  .argument('<model>', '.bin or .ftz')
  .argument('[file]', 'text, a line for each prediction; standard input where left out')
  .addOption(new Option('-k, --most <n|all>', 'labels for each line').argParser(countOrAll).default(1))
  .addOption(new Option('--threshold <score>', 'labels below it are left out').argParser(numberIn({ from: 0, to: 1 })).default(0))
  .option('--json', 'a JSON object a line: {"labels":[…],"scores":[…]}', false)
  .action(async (modelFile: string, file: string | undefined, flags: { most: number; threshold: number; json: boolean }) => {
    const predictor = createPredictor(loadFastTextModel(modelFile))
    if (file !== undefined) await checkReadable(file)
    const input = file === undefined ? process.stdin : createReadStream(file)
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      const found = predictor.predict(line, flags.most, flags.threshold)
      const text = flags.json
        ? JSON.stringify({ labels: found.map(({ label }) => label), scores: found.map(({ score }) => score) })
        : found.map(({ label, score }) => `${label} ${Number(score.toPrecision(6))}`).join(' ')
      await printLine(text)
    }
  })

// ---- quantize ----

const quantize = command
  .command('quantize')
  .description('make a model small: .bin in, .ftz out')
  .argument('<model>', '.bin')
  .requiredOption('-o, --output <file>', '.ftz to write')
  .option('--retrain <file>', 'train again on this text after a cutoff')
  .addOption(threadsOption())
for (const option of optionsOf(quantizeOptions)) quantize.addOption(option)
for (const option of optionsOf(trainingOptions, ['lr', 'epoch', 'seed', 'label'])) quantize.addOption(option)
quantize.action(async (modelFile: string, flags: { output: string; retrain?: string; threads: number }, called: Command) => {
  const { output, retrain: file, threads } = flags
  const options = optionValues(quantizeOptions, called)
  await checkFolderOf(output)
  if (file !== undefined && options.cutoff === 0)
    throw new SluiceError('SLUICE_CLI_OPTIONS', '--retrain has an effect after a --cutoff only', {
      fix: 'give a --cutoff, or leave --retrain out',
    })
  const progress = new ProgressLine()
  const context = { threads, report: reportTo(progress) }
  const retraining = file === undefined ? undefined : { ...optionValues(trainingOptions, called), file, context }
  saveFastTextModel(output, await quantizeModel(loadFastTextModel(modelFile), options, retraining))
  progress.done(`wrote ${output}: ${statSync(output).size} bytes, was ${statSync(modelFile).size}`)
})

command.addCommand(reportCommand)

// ---- what they share ----

async function linesIn(file: string): Promise<string[]> {
  await checkReadable(file)
  const lines = (await readFile(file, 'utf8')).split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}

function reportTo(progress: ProgressLine): TrainingContext['report'] {
  return ({ done, tokensPerSecond }) => progress.show(() => `${(100 * done).toFixed(1)} %, ${Math.round(tokensPerSecond)} tokens/s`)
}

function countOrAll(text: string): number {
  return text === 'all' ? Number.POSITIVE_INFINITY : wholeNumber(1)(text)
}
