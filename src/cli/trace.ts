// `sluice trace`: the documents in a step of a training run, or the steps that a document was in.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { TOKENIZER_FILE } from '../../schemas/tokens.ts'
import { SluiceError } from '../core/errors.ts'
import { counted, formatCount } from '../core/format.ts'
import { loadTokenizer } from '../tokenizer/tokenizer.ts'
import { createDocumentMeter } from '../train/document-loss.ts'
import { type LoggedStep, type TracedDocument, type TracedStep, type TracedUse, traceDocument, traceStep } from '../train/trace.ts'
import { wholeNumber } from './numbers.ts'
import { printable } from './printable.ts'
import { terminalStyle } from './terminal-style.ts'

interface Flags {
  readonly step?: number
  readonly document?: string
  readonly shards?: readonly string[]
  readonly characters: number
  readonly losses?: boolean
  readonly json?: boolean
}

export const command = new Command()
  .argument('<run>', 'folder that sluice train wrote to')
  .option('--step <n>', 'the documents in the batch of this step', wholeNumber(1))
  .option('--document <id>', 'the steps that the document with this id or URL was in')
  .option('--shards <folder...>', 'where the shards are, if not where the run found them; in its order')
  .option('--characters <n>', 'of the text of each document', wholeNumber(1), 200)
  .option('--losses', 'what each document costs the model of the last checkpoint before the step, and its worst passage; dearest first')
  .option('--json', 'a line of JSON a step, or a document')
  .addHelpText(
    'after',
    `
A spike in the loss has its cause in the pages of its step: sluice curves marks the steps that were left out, this command names
what was in them. After a run has gone back to a checkpoint, a step was there more than once: all of them are shown.

Examples:
  sluice trace models/quickstart --step 700
  sluice trace models/quickstart --step 700 --losses
  sluice trace models/quickstart --step 700 --json | jq -r '.documents[].url'
  sluice trace models/quickstart --document https://example.org/page`,
  )
  .action(async (run: string, { step, document, shards, characters, losses, json }: Flags) => {
    if ((step === undefined) === (document === undefined))
      throw new SluiceError('SLUICE_TRACE_QUESTION', 'say what to trace: a step or a document', {
        fix: 'give --step with a number, or --document with an id or URL',
      })
    await using meter = losses ? await createDocumentMeter(run, step ?? Number.POSITIVE_INFINITY) : undefined
    if (meter) {
      const isLate = step !== undefined && meter.step >= step
      process.stderr.write(
        `measured with step-${meter.step}${isLate ? ': no checkpoint from before the step is left, this one may have learnt its documents' : ''}\n`,
      )
    }
    const options = { inputs: shards, characters, decode: await decoderOf(run), measure: meter?.measure }
    if (step !== undefined) print((await traceStep(run, step, options)).map(dearestFirst), stepText, json)
    else if (document !== undefined) print(await traceDocument(run, document, options), useText, json)
  })

/** Where nothing was measured, in the order of the shards. */
function dearestFirst({ documents, ...step }: TracedStep): TracedStep {
  return { ...step, documents: documents.toSorted((a, b) => (b.loss ?? 0) - (a.loss ?? 0)) }
}

/** Without a tokenizer, the tokens themselves. */
async function decoderOf(run: string): Promise<(tokens: ArrayLike<number>) => string> {
  const file = join(run, TOKENIZER_FILE)
  if (!existsSync(file)) return (tokens) => Array.from(tokens).join(' ')
  const tokenizer = await loadTokenizer(file)
  return (tokens) => tokenizer.decode(tokens)
}

function print<T>(found: readonly T[], textOf: (item: T) => string, isJson = false): void {
  for (const item of found) process.stdout.write(`${isJson ? JSON.stringify(item) : textOf(item)}\n`)
}

function stepText({ documents, ...step }: TracedStep): string {
  return `${stepLine(step)}, ${counted(documents.length, 'document')}\n\n${documents.map(documentText).join('\n')}`
}

function stepLine({ step, loss, gradientNorm, learningRate, skipped, isTakenBack }: LoggedStep): string {
  const facts = [
    skipped === undefined ? undefined : `left out: ${skipped}`,
    isTakenBack ? 'taken back' : undefined,
    loss === null ? undefined : `loss ${loss.toFixed(4)}`,
    gradientNorm === null ? undefined : `gradient norm ${gradientNorm.toPrecision(4)}`,
    learningRate === null ? undefined : `learning rate ${learningRate.toPrecision(3)}`,
  ]
  return [`step ${formatCount(step)}`, ...facts].filter((fact) => fact !== undefined).join(', ')
}

function documentText({ shard, row, id, url, subset, source, offset, tokens, text, loss, worst }: TracedDocument): string {
  const from = source === undefined ? undefined : `${source}${offset === undefined ? '' : ` at ${formatCount(offset)}`}`
  const facts = [subset, from, tokens === undefined ? undefined : `${formatCount(tokens)} tokens`, `${shard} row ${formatCount(row)}`]
  const costs = loss === undefined ? '' : `  loss ${loss.toFixed(4)}`
  const passage = worst === undefined ? '' : `\n  worst passage, ${worst.loss.toFixed(4)}: ${oneLine(worst.text)}`
  return `${terminalStyle.strong(printable(url ?? id))}${costs}
${url === undefined ? '' : `  ${printable(id)}\n`}  ${printable(facts.filter((fact) => fact !== undefined).join(', '))}
  ${oneLine(text)}${passage}
`
}

const oneLine = (text: string) => printable(text).replace(/\s+/g, ' ').trim()

function useText({ document, isHeldOut, steps }: TracedUse): string {
  const none = isHeldOut ? 'held out for validation: no step has it' : 'in no step so far'
  return `${documentText(document)}${steps.length === 0 ? none : steps.map(stepLine).join('\n')}\n`
}
