// `sluice predict`: labels of texts by an encoder that was fine-tuned on labelled ones.

import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { Command } from 'commander'
import { z } from 'zod'
import { SluiceError } from '../core/errors.ts'
import { type Classifier, createClassifier, type Prediction } from '../model/classify.ts'
import { type LoadedModel, loadModel } from '../train/load-model.ts'
import { exampleFrame } from '../train/open-data.ts'
import { tokenizerOf } from './model-tokenizer.ts'
import { wholeNumber } from './numbers.ts'
import { threadCount } from './run-options.ts'
import { isJsonLines, jsonLines, jsonLinesOf, lineId, print } from './text-input.ts'

interface Flags {
  readonly text?: readonly string[]
  readonly all?: boolean
  readonly batch: number
  readonly threads: number
  readonly tokenizer?: string
}

const line = z.object({ id: lineId, text: z.string(), label: z.union([z.string(), z.number(), z.boolean()]).optional() })
type Line = z.output<typeof line>

export const command = new Command()
  .argument('<model>', 'folder that sluice train wrote to, one step-N folder in it, or a folder of transformers')
  .argument('[files...]', 'JSON lines with "text", compressed or not; standard input where there is none')
  .option('--text <text...>', 'texts instead of files: all words behind it, up to the next option')
  .option('--all', 'the probability of each label, not of the likeliest alone')
  .option('--batch <n>', 'texts that are read at once', wholeNumber(1), 16)
  .option('--threads <n>', 'threads that compute', threadCount, availableParallelism())
  .option('--tokenizer <file>', 'tokenizer.json, where it does not lie beside the model')
  .addHelpText(
    'after',
    `
Reads one of three: the "text" of each line of the files, the words behind --text, or, with neither, lines on standard input.
Prints a line of JSON a text: id where there is one, label, probability. Where lines have a "label", the share of right ones
is said at the end. A text longer than the rows that the model was trained on is cut before its end.

Examples:
  sluice predict models/reviews --text "A film to see twice." "I want my evening back."
  sluice predict models/reviews test.jsonl > predicted.jsonl
  zcat more.jsonl.gz | sluice predict models/reviews --all`,
  )
  .action(async (folder: string, files: readonly string[], flags: Flags) => {
    const model = await loadModel(folder, console.error)
    const { labels, settings } = model.state
    const encode = await encoderOf(model, flags.tokenizer)
    const { batch: rows, threads } = flags
    await using classifier = await open(model, { rows, threads, length: Math.min(settings.length, model.config.contextLength) })
    let [known, right] = [0, 0]
    for await (const batch of batchesOf(linesOf(files, flags.text), rows)) {
      const predictions = classifier.predict(batch.map(({ text }) => encode(text)))
      for (const [i, prediction] of predictions.entries()) {
        const { id, label: given } = batch[i]
        const said = sayPrediction(prediction, labels, flags.all ?? false)
        await print({ ...(id === undefined || id === null ? {} : { id }), ...said })
        if (given === undefined) continue
        known++
        if (String(given) === said.label) right++
      }
    }
    if (known > 0)
      process.stderr.write(
        `${right} of ${known} ${known === 1 ? 'label is' : 'labels are'} right, ${((100 * right) / known).toFixed(2)} %\n`,
      )
  })

async function open(model: LoadedModel, options: { rows: number; threads: number; length: number }): Promise<Classifier & AsyncDisposable> {
  const classifier = await createClassifier(model, options)
  return { ...classifier, [Symbol.asyncDispose]: () => classifier.dispose() }
}

/** @param names of the labels; a model without them has numbers */
function sayPrediction({ label, probabilities }: Prediction, names: readonly string[], saysAll: boolean) {
  const nameOf = (index: number) => names[index] ?? String(index)
  if (!saysAll) return { label: nameOf(label), probability: probabilities[label] }
  const all = Object.fromEntries([...probabilities].map((probability, index) => [nameOf(index), probability]))
  return { label: nameOf(label), probabilities: all }
}

/** Tokens of a text with what stood around it in training. */
async function encoderOf(model: LoadedModel, given: string | undefined): Promise<(text: string) => number[]> {
  const tokenizer = await tokenizerOf(model, given)
  const { before, after } = exampleFrame(tokenizer, 'label', model.state.settings.maskToken)
  return (text) => [...before, ...tokenizer.encode(text), ...after]
}

async function* linesOf(files: readonly string[], texts: readonly string[] | undefined): AsyncGenerator<Line> {
  const file = files[0] ?? texts?.find((text) => isJsonLines(text) && existsSync(text))
  if (texts && file !== undefined)
    throw new SluiceError('SLUICE_PREDICT_INPUT', `texts and files are both given: ${file} is a file, and stands beside --text`, {
      fix: 'leave out --text, or the file: all words behind --text are texts',
    })
  if (files.length === 0 && !texts && process.stdin.isTTY)
    process.stderr.write('reading JSON lines from standard input; Ctrl-D ends them\n')
  if (texts) for (const text of texts) yield { text }
  else if (files.length === 0) for await (const { value } of jsonLines(process.stdin, 'standard input', line)) yield value
  for (const file of files) for await (const { value } of jsonLinesOf(file, line)) yield value
}

async function* batchesOf<T>(items: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let batch: T[] = []
  for await (const item of items) {
    if (batch.push(item) < size) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}
