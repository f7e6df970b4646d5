// `sluice sample`: texts from a trained model, printed as they come.

import { availableParallelism } from 'node:os'
import { Command } from 'commander'
import { counted } from '../core/format.ts'
import { generateOptions, generateTexts, type TextEvent } from '../model/generate.ts'
import type { LoadedTokenizer, TokenStream } from '../tokenizer/tokenizer.ts'
import { type LoadedModel, loadModel } from '../train/load-model.ts'
import { exampleFrame } from '../train/open-data.ts'
import { rangeOf } from './describe-options.ts'
import { tokenizerOf } from './model-tokenizer.ts'
import { numberIn } from './numbers.ts'

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
  readonly stream: TokenStream
  written: string
  end?: 'stop' | 'length'
}

const { maxTokens, temperature, topK, topP, minP, repetitionPenalty, seed, batch, threads } = generateOptions.shape

export const command = new Command()
  .argument('<model>', 'folder that sluice train wrote to, one step-N folder in it, or a folder of transformers')
  .option('--prompt <text...>', 'text to go on from, or to write from, or several; nothing begins a new document', [''])
  .option('--samples <n>', 'texts for each prompt', numberIn(rangeOf(maxTokens)), 1)
  .option('--tokens <n>', 'tokens to write at most', numberIn(rangeOf(maxTokens)), 200)
  .option('--temperature <t>', '0 takes the likeliest token, 1 samples as the model says', numberIn(rangeOf(temperature)), 0.8)
  .option('--top-k <k>', 'sample among the k likeliest tokens; 0: all', numberIn(rangeOf(topK)), 0)
  .option('--top-p <p>', 'sample among the likeliest tokens with this much probability together', numberIn(rangeOf(topP)), 0.95)
  .option('--min-p <p>', 'leave out tokens less likely than this share of the likeliest', numberIn(rangeOf(minP)), 0)
  .option('--repetition-penalty <r>', 'make tokens that are there already less likely; 1: not', numberIn(rangeOf(repetitionPenalty)), 1)
  .option('--seed <n>', 'same seed, same text', numberIn(rangeOf(seed)), 1)
  .option('--batch <n>', 'texts that are written at once, where there are several', numberIn(rangeOf(batch)), 8)
  .option('--threads <n>', 'threads that compute', numberIn(rangeOf(threads)), availableParallelism())
  .option('--tokenizer <file>', 'tokenizer.json, where it does not lie beside the model')
  .option('--json', 'a line of JSON a text instead: prompt, text, tokens, end (stop or length)')
  .addHelpText(
    'after',
    `
A text ends where the model ends its document, or after --tokens. Several texts are written at once, and printed in the order
of their prompts with a line of --- between them. The model comes first: all words behind --prompt are prompts. An
encoder-decoder reads the prompt, and what it writes is printed alone.

Examples:
  sluice sample models/quickstart --prompt "Call me"
  sluice sample models/quickstart/step-400 --temperature 0 --tokens 50
  sluice sample models/quickstart --prompt "To install" "To remove" --samples 4 --min-p 0.05 --json`,
  )
  .action(async (folder: string, flags: Flags) => {
    const model = await loadModel(folder, console.error)
    const tokenizer = await tokenizerOf(model, flags.tokenizer)
    const begun = (prompt: string): Text => ({ prompt, tokens: [], stream: streamOf(model, tokenizer), written: '' })
    const texts = flags.prompt.flatMap((prompt) => Array.from({ length: flags.samples }, () => begun(prompt)))
    const print = flags.json ? jsonPrinter(model, texts) : textPrinter(model, texts)
    const begin = performance.now()
    for await (const event of eventsOf(model, tokenizer, texts, flags)) {
      take(texts[event.text], event)
      print()
    }
    report(texts, performance.now() - begin, flags)
  })

function take(text: Text, event: TextEvent): void {
  if ('token' in event) {
    text.tokens.push(event.token)
    text.written += text.stream.push(event.token)
  } else {
    text.written += text.stream.end()
    text.end = event.end
  }
}

/** Text of tokens as they come; ids beyond the tokenizer's are shown, sentinels by the names that T5 has for them. */
function streamOf({ state: { settings } }: LoadedModel, tokenizer: LoadedTokenizer): TokenStream {
  let stream = tokenizer.decodeStream()
  return {
    push(token) {
      if (token < tokenizer.vocabularySize) return stream.push(token)
      const before = stream.end()
      stream = tokenizer.decodeStream()
      return `${before}<${settings.objective === 'spans' ? `extra_id_${settings.sentinel - token}` : token}>`
    },
    end: () => stream.end(),
  }
}

/** Prints the first text that is not complete as it grows, and then those that are. */
function textPrinter({ config }: LoadedModel, texts: readonly Text[]): () => void {
  let at = 0
  let printed = 0 // characters of texts[at]
  return () => {
    for (; at < texts.length; at++) {
      const { prompt, written, end } = texts[at]
      const shown = `${at > 0 ? '---\n' : ''}${config.architecture === 'decoder' ? prompt : ''}${written}${end ? '\n' : ''}`
      process.stdout.write(shown.slice(printed))
      printed = end ? 0 : shown.length
      if (!end) return
    }
  }
}

/** Prints each text as soon as it and those before it are complete. */
function jsonPrinter({ folder }: LoadedModel, texts: readonly Text[]): () => void {
  let at = 0
  return () => {
    for (; at < texts.length && texts[at].end; at++) {
      const { prompt, tokens, written, end } = texts[at]
      process.stdout.write(`${JSON.stringify({ checkpoint: folder, prompt, text: written, tokens, end })}\n`)
    }
  }
}

function report(texts: readonly Text[], ms: number, flags: Flags): void {
  if (texts.some(({ tokens }) => tokens.length === 0))
    process.stderr.write(`the model ends its document here: ${isGreedy(flags) ? 'a --temperature above 0' : 'another --seed'} may go on\n`)
  const count = texts.reduce((sum, { tokens }) => sum + tokens.length, 0)
  process.stderr.write(`${counted(count, 'token')} in ${(ms / 1000).toFixed(1)} s: ${((1000 * count) / ms).toFixed(0)} a second\n`)
}

/** Where the draw decides nothing. */
const isGreedy = ({ temperature, topK }: Flags) => temperature === 0 || topK === 1

function eventsOf(model: LoadedModel, tokenizer: LoadedTokenizer, texts: readonly Text[], flags: Flags) {
  const { contextLength, architecture } = model.config
  const isDecoder = architecture === 'decoder'
  const { before, after } = isDecoder ? { before: [], after: [] } : exampleFrame(tokenizer, 'pair', 0)
  const prompts = texts.map(({ prompt }) =>
    isDecoder && prompt === '' ? [tokenizer.endOfText] : [...before, ...tokenizer.encode(prompt), ...after],
  )
  const longest = prompts.reduce((most, { length }) => Math.max(most, length), 0)
  if (longest > contextLength)
    process.stderr.write(`a prompt has ${longest} tokens: the model sees the ${isDecoder ? 'last' : 'first'} ${contextLength} of them\n`)
  const { tokens, temperature, topK, topP, minP, repetitionPenalty, seed, batch, threads } = flags
  const choice = { temperature, topK, topP, minP, repetitionPenalty, seed, stop: [tokenizer.endOfText, ...after.slice(-1)] }
  return generateTexts(model, prompts, { maxTokens: tokens, batch, threads, ...choice })
}
