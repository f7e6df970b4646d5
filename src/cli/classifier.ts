// `sluice classifier`: trains, tests, asks and shrinks linear classifiers in fastText's format.

import { createReadStream, globSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { Command, Option } from 'commander'
import { z } from 'zod'
import { SluiceError } from '../core/errors.ts'
import { autotune } from '../lang/autotune.ts'
import { type Evaluation, evaluate, f1, type LabelCounts, precision, recall } from '../lang/evaluate.ts'
import type { FastTextModel } from '../lang/fasttext-model.ts'
import { type TrainingProgress, trainFastText } from '../lang/fasttext-train.ts'
import { createPredictor } from '../lang/kernel-predict.ts'
import { quantizeModel, quantizeOptions } from '../lang/quantize.ts'
import { loadFastTextModel } from '../lang/read-fasttext.ts'
import { trainingOptions } from '../lang/training-options.ts'
import { saveFastTextModel } from '../lang/write-fasttext.ts'
import { numberIn, size, wholeNumber } from './numbers.ts'
import { threadCount } from './run-options.ts'
import { optionsOf, optionValues } from './schema-options.ts'

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

interface TrainWords {
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
  .action(async (file: string, words: TrainWords, called: Command) => {
    const options = optionValues(trainingOptions, called)
    checkFolder(words.output)
    const context = { threads: words.threads, report: showProgress }
    if (words.validation === undefined) {
      if (words.modelSize !== undefined)
        throw new SluiceError('SLUICE_CLI_OPTIONS', '--model-size needs --validation: the size is tuned for', {
          fix: 'or use sluice classifier quantize',
        })
      const { model, loss } = await trainFastText(file, options, context)
      finish(words.output, model, `mean loss ${loss.toFixed(4)}`)
      return
    }
    const fixed = new Set(Object.keys(options).filter((name) => called.getOptionValueSource(name) === 'cli'))
    const { validation: validationFile, duration: seconds, metric, predictions, modelSize: modelBytes } = words
    const validation = readLines(validationFile)
    const { model, best, trials } = await autotune(file, options, { validation, seconds, metric, predictions, modelBytes, fixed }, context)
    finish(
      words.output,
      model,
      `best of ${trials.length} trials: ${metric} ${best.score?.toFixed(4)} with ${JSON.stringify({ ...best.options, dsub: modelBytes && best.dsub })}`,
    )
  })

function finish(output: string, model: FastTextModel, result: string): void {
  saveFastTextModel(output, model)
  clearProgress()
  const { wordCount, labels, tokens } = model
  process.stderr.write(`${tokens} tokens, ${wordCount} words, ${labels.length} labels; ${result}\nwrote ${output}\n`)
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
  .action((modelFile: string, file: string, words: { most: number; threshold: number; labels: boolean; json: boolean }) => {
    const lines = readLines(file)
    const result = evaluate(loadFastTextModel(modelFile), lines, words.most, words.threshold)
    if (result.examples === 0)
      throw new SluiceError('SLUICE_LANG_NO_EXAMPLES', 'no line has a label and a word that the model knows', {
        where: { file },
        fix: 'begin each line with its label',
      })
    process.stdout.write(words.json ? `${JSON.stringify(figuresOf(result))}\n` : tableOf(result, words.most, words.labels))
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
  .action(async (modelFile: string, file: string | undefined, words: { most: number; threshold: number; json: boolean }) => {
    const predictor = createPredictor(loadFastTextModel(modelFile))
    if (file !== undefined) checkFile(file)
    const input = file === undefined ? process.stdin : createReadStream(file)
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      const found = predictor.predict(line, words.most, words.threshold)
      const text = words.json
        ? JSON.stringify({ labels: found.map(({ label }) => label), scores: found.map(({ score }) => score) })
        : found.map(({ label, score }) => `${label} ${Number(score.toPrecision(6))}`).join(' ')
      if (!process.stdout.write(`${text}\n`)) await new Promise((resolve) => process.stdout.once('drain', resolve))
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
quantize.action(async (modelFile: string, words: { output: string; retrain?: string; threads: number }, called: Command) => {
  const options = optionValues(quantizeOptions, called)
  checkFolder(words.output)
  if (words.retrain !== undefined && options.cutoff === 0)
    throw new SluiceError('SLUICE_CLI_OPTIONS', '--retrain has an effect after a --cutoff only', {
      fix: 'give a --cutoff, or leave --retrain out',
    })
  const { retrain: file, threads } = words
  const retraining =
    file === undefined ? undefined : { ...optionValues(trainingOptions, called), file, context: { threads, report: showProgress } }
  const model = loadFastTextModel(modelFile)
  saveFastTextModel(words.output, await quantizeModel(model, options, retraining))
  clearProgress()
  process.stderr.write(`wrote ${words.output}: ${statSync(words.output).size} bytes, was ${statSync(modelFile).size}\n`)
})

// ---- report ----

const share = z.number().nullable()
const confusion = z.object({ threshold: z.number(), precision: share, recall: z.number(), f1: z.number() })
const report = z.object({
  classifier: z.string(),
  trained: z.object({ positive: z.number(), negative: z.number() }),
  threshold: share,
  calibration: z.object({ documents: z.number(), shareFrom: share }).nullable(),
  heldOut: z.object({
    positive: z.number(),
    negative: z.number(),
    areaUnderCurve: z.number(),
    atHalf: confusion,
    atThreshold: confusion.nullable(),
  }),
})

command
  .command('report')
  .description('how well the classifiers do that a run trained for itself, on examples they never saw')
  .argument('<run>', 'run folder')
  .option('--json', 'as JSON, an object a line', false)
  .action((run: string, words: { json: boolean }) => {
    const files = globSync('phases/*/merged/*/report.json', { cwd: run }).sort()
    if (files.length === 0)
      throw new SluiceError('SLUICE_CLASSIFIER_NO_REPORT', 'this run trained no classifier', {
        where: { folder: run },
        fix: 'name the folder of a run with qualityClassifier or toxicityClassifier',
      })
    for (const file of files) {
      const facts = report.parse(JSON.parse(readFileSync(join(run, file), 'utf8')))
      process.stdout.write(words.json ? `${JSON.stringify({ file, ...facts })}\n` : reportText(facts, join(run, file)))
    }
  })

function reportText({ classifier, trained, calibration, heldOut }: z.output<typeof report>, file: string): string {
  const row = (name: string, { threshold, precision, recall, f1 }: z.output<typeof confusion>) =>
    `  ${name.padEnd(14)}${[threshold, precision, recall, f1].map((value) => (value === null ? '-' : value.toFixed(4)).padStart(11)).join('')}\n`
  const { positive, negative, areaUnderCurve, atHalf, atThreshold } = heldOut
  const lines = [
    `${classifier}: trained on ${trained.positive} positives and ${trained.negative} negatives (model.bin beside ${file})\n`,
    `  never trained on: ${positive} positives, ${negative} negatives; area under the ROC curve ${areaUnderCurve.toFixed(4)}\n`,
    `  ${''.padEnd(14)}${['threshold', 'precision', 'recall', 'F1'].map((name) => name.padStart(11)).join('')}\n`,
    row('at one half', atHalf),
    atThreshold === null ? '' : row('as applied', atThreshold),
    calibration?.shareFrom == null
      ? ''
      : `  ${(100 * calibration.shareFrom).toFixed(2)} % of the documents score at least the threshold, by a sample of ${calibration.documents}\n`,
  ]
  return lines.join('')
}

// ---- what they share ----

function readLines(file: string): string[] {
  checkFile(file)
  const lines = readFileSync(file, 'utf8').split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}

function checkFile(file: string): void {
  if (statSync(file, { throwIfNoEntry: false })?.isFile()) return
  throw new SluiceError('SLUICE_FILE_MISSING', `there is no such file: ${file}`, { where: { file }, fix: 'check the path' })
}

/** Before hours of training. */
function checkFolder(output: string): void {
  if (statSync(dirname(output), { throwIfNoEntry: false })?.isDirectory()) return
  throw new SluiceError('SLUICE_FILE_MISSING', `there is no such folder: ${dirname(output)}`, {
    where: { file: output },
    fix: 'make it first',
  })
}

function countOrAll(text: string): number {
  return text === 'all' ? Number.POSITIVE_INFINITY : wholeNumber(1)(text)
}

let shownMs = 0

/** One line, in place on a terminal, every few seconds elsewhere. */
function showProgress({ done, tokensPerSecond }: TrainingProgress): void {
  const now = performance.now()
  if (!process.stderr.isTTY && now - shownMs < 5000) return
  shownMs = now
  const text = `${(100 * done).toFixed(1)} %, ${Math.round(tokensPerSecond)} tokens/s`
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${text}` : `${text}\n`)
}

function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
}
