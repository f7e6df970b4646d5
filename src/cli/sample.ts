// `sluice sample`: texts from a trained model, printed as they come.

import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import type { z } from 'zod'
import { TOKENIZER_FILE } from '../../schemas/tokens.ts'
import { SluiceError } from '../core/errors.ts'
import { generateOptions, generateTexts } from '../model/generate.ts'
import { loadTokenizer, type Tokenizer } from '../tokenizer/tokenizer.ts'
import { type LoadedModel, loadModel } from '../train/sample.ts'

interface Flags {
  readonly prompt: readonly string[]
  readonly samples: number
  readonly tokens: number
  readonly temperature: number
  readonly topK: number
  readonly topP: number
  readonly minP: number
  readonly repetitionPenalty: number
  readonly seed: number
  readonly batch: number
  readonly threads: number
  readonly tokenizer?: string
  readonly json?: boolean
}

/** One text: what was asked, and what the model has written. */
interface Text {
  readonly prompt: string
  readonly tokens: number[]
  end?: 'stop' | 'length'
}

const { maxTokens, temperature, topK, topP, minP, repetitionPenalty, seed, batch, threads } = generateOptions.shape

export const command = new Command()
  .argument('<model>', 'folder that sluice train wrote to, or one step-N folder in it')
  .option('--prompt <text...>', 'text to go on from, or several; nothing begins a new document', [''])
  .option('--samples <n>', 'texts for each prompt', number('a whole number from 1', maxTokens), 1)
  .option('--tokens <n>', 'tokens to write at most', number('a whole number from 1', maxTokens), 200)
  .option('--temperature <t>', '0 takes the likeliest token, 1 samples as the model says', number('a number from 0', temperature), 0.8)
  .option('--top-k <k>', 'sample among the k likeliest tokens; 0: all', number('a whole number from 0', topK), 0)
  .option(
    '--top-p <p>',
    'sample among the likeliest tokens with this much probability together',
    number('a number above 0, up to 1', topP),
    0.95,
  )
  .option('--min-p <p>', 'leave out tokens less likely than this share of the likeliest', number('a number from 0 to 1', minP), 0)
  .option(
    '--repetition-penalty <r>',
    'make tokens that are there already less likely; 1: not',
    number('a number from 1 to 10', repetitionPenalty),
    1,
  )
  .option('--seed <n>', 'same seed, same text', number('a whole number from 0 to 4294967295', seed), 1)
  .option('--batch <n>', 'texts that are written at once, where there are several', number('a whole number from 1', batch), 8)
  .option('--threads <n>', 'threads that compute', number('a whole number from 1', threads), availableParallelism())
  .option('--tokenizer <file>', 'tokenizer.json, where it does not lie beside the model')
  .option('--json', 'a line of JSON a text instead: prompt, text, tokens, end (stop or length)')
  .addHelpText(
    'after',
    `
A text ends where the model ends its document, or after --tokens. Several texts are written at once, and printed in the
order of their prompts with a line of --- between them.

Examples:
  sluice sample models/quickstart --prompt "Call me"
  sluice sample models/quickstart/step-400 --temperature 0 --tokens 50
  sluice sample models/quickstart --prompt "To install" "To remove" --samples 4 --min-p 0.05 --json`,
  )
  .action(async (folder: string, flags: Flags) => {
    const model = await loadModel(folder)
    const tokenizer = await tokenizerOf(model, flags.tokenizer)
    const texts = flags.prompt.flatMap((prompt) => Array.from({ length: flags.samples }, (): Text => ({ prompt, tokens: [] })))
    const print = flags.json ? jsonPrinter(model, tokenizer, texts) : textPrinter(tokenizer, texts)
    const begin = performance.now()
    for await (const event of eventsOf(model, tokenizer, texts, flags)) {
      const text = texts[event.text]
      if ('token' in event) text.tokens.push(event.token)
      else text.end = event.end
      print()
    }
    report(texts, performance.now() - begin, flags)
  })

/** Prints the first text that is not complete as it grows, and then those that are. */
function textPrinter(tokenizer: Tokenizer, texts: readonly Text[]): () => void {
  let at = 0
  let printed = -1 // tokens of texts[at]; −1: not the prompt either
  let decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  return () => {
    for (; at < texts.length; at++) {
      const { prompt, tokens, end } = texts[at]
      if (printed < 0) process.stdout.write(`${at > 0 ? '---\n' : ''}${prompt}`)
      printed = Math.max(printed, 0)
      process.stdout.write(decoder.decode(tokenizer.decodeBytes(tokens.slice(printed)), { stream: true }))
      printed = tokens.length
      if (!end) return
      process.stdout.write(`${decoder.decode()}\n`)
      decoder = new TextDecoder('utf-8', { ignoreBOM: true })
      printed = -1
    }
  }
}

/** Prints each text as soon as it and those before it are complete. */
function jsonPrinter({ folder }: LoadedModel, tokenizer: Tokenizer, texts: readonly Text[]): () => void {
  let at = 0
  return () => {
    for (; at < texts.length && texts[at].end; at++) {
      const { prompt, tokens, end } = texts[at]
      process.stdout.write(`${JSON.stringify({ checkpoint: folder, prompt, text: tokenizer.decode(tokens), tokens, end })}\n`)
    }
  }
}

function report(texts: readonly Text[], ms: number, flags: Flags): void {
  if (texts.some(({ tokens }) => tokens.length === 0))
    process.stderr.write(`the model ends its document here: ${isGreedy(flags) ? 'a --temperature above 0' : 'another --seed'} may go on\n`)
  const count = texts.reduce((sum, { tokens }) => sum + tokens.length, 0)
  process.stderr.write(`${count} tokens in ${(ms / 1000).toFixed(1)} s: ${((1000 * count) / ms).toFixed(0)} a second\n`)
}

/** Where the draw decides nothing. */
const isGreedy = ({ temperature, topK }: Flags) => temperature === 0 || topK === 1

function eventsOf(model: LoadedModel, tokenizer: Tokenizer, texts: readonly Text[], flags: Flags) {
  const { contextLength } = model.config
  const prompts = texts.map(({ prompt }) => (prompt === '' ? [tokenizer.endOfText] : [...tokenizer.encode(prompt)]))
  const longest = prompts.reduce((most, { length }) => Math.max(most, length), 0)
  if (longest > contextLength) process.stderr.write(`a prompt has ${longest} tokens: the model sees the last ${contextLength} of them\n`)
  const { tokens, temperature, topK, topP, minP, repetitionPenalty, seed, batch, threads } = flags
  const choice = { temperature, topK, topP, minP, repetitionPenalty, seed, stop: [tokenizer.endOfText] }
  return generateTexts(model, prompts, { maxTokens: tokens, batch, threads, ...choice })
}
/** The tokenizer beside the checkpoints, which must be the one that the model was trained with. */
async function tokenizerOf({ folder, state }: LoadedModel, given: string | undefined): Promise<Tokenizer> {
  const places = [join(folder, TOKENIZER_FILE), join(dirname(resolve(folder)), TOKENIZER_FILE)]
  const file = given ?? places.find((place) => existsSync(place))
  if (file === undefined)
    throw new SluiceError('SLUICE_SAMPLE_TOKENIZER', 'no tokenizer.json beside the model', {
      where: { folder },
      fix: 'give the one that made its shards with --tokenizer',
    })
  const tokenizer = await loadTokenizer(file)
  if (tokenizer.hash === state.vocabularyHash) return tokenizer
  throw new SluiceError('SLUICE_SAMPLE_TOKENIZER', 'the model was trained with another tokenizer: its ids would not mean the same', {
    where: { file, hash: tokenizer.hash.slice(0, 12), expected: state.vocabularyHash.slice(0, 12) },
    fix: 'give the tokenizer.json that made its shards with --tokenizer',
  })
}

function number(what: string, schema: z.ZodType): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text)
    if (!schema.safeParse(value).success) throw new InvalidArgumentError(`give ${what}`)
    return value
  }
}
