// `sluice sample`: text from a trained model, printed as it comes.

import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import type { z } from 'zod'
import { TOKENIZER_FILE } from '../../schemas/tokens.ts'
import { SluiceError } from '../core/errors.ts'
import { generate, generateOptions } from '../model/generate.ts'
import { loadTokenizer, type Tokenizer } from '../tokenizer/tokenizer.ts'
import { type LoadedModel, loadModel } from '../train/sample.ts'

interface Flags {
  readonly prompt: string
  readonly tokens: number
  readonly temperature: number
  readonly topK: number
  readonly topP: number
  readonly seed: number
  readonly tokenizer?: string
  readonly json?: boolean
}

const { maxTokens, temperature, topK, topP, seed } = generateOptions.shape

export const command = new Command()
  .argument('<model>', 'folder that sluice train wrote to, or one step-N folder in it')
  .option('--prompt <text>', 'text to go on from; nothing begins a new document', '')
  .option('--tokens <n>', 'tokens to write at most', number('a whole number from 1', maxTokens), 200)
  .option('--temperature <t>', '0 takes the likeliest token, 1 samples as the model says', number('a number from 0', temperature), 0.8)
  .option('--top-k <k>', 'sample among the k likeliest tokens; 0: all', number('a whole number from 0', topK), 0)
  .option(
    '--top-p <p>',
    'sample among the likeliest tokens with this much probability together',
    number('a number above 0, up to 1', topP),
    0.95,
  )
  .option('--seed <n>', 'same seed, same text', number('a whole number from 0 to 4294967295', seed), 1)
  .option('--tokenizer <file>', 'tokenizer.json, where it does not lie beside the model')
  .option('--json', 'one JSON object instead: prompt, text, tokens')
  .addHelpText(
    'after',
    `
The text ends where the model ends its document, or after --tokens.

Examples:
  sluice sample models/quickstart --prompt "Call me"
  sluice sample models/quickstart/step-400 --temperature 0 --tokens 50
  sluice sample models/quickstart --prompt "To install" --top-k 40 --seed 7 --json`,
  )
  .action(async (folder: string, flags: Flags) => {
    const model = await loadModel(folder)
    const tokenizer = await tokenizerOf(model, flags.tokenizer)
    if (flags.json) return printJson(model, tokenizer, flags)
    process.stdout.write(flags.prompt)
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
    let written = 0
    for await (const token of tokensOf(model, tokenizer, flags)) {
      process.stdout.write(decoder.decode(tokenizer.decodeBytes([token]), { stream: true }))
      written++
    }
    process.stdout.write(`${decoder.decode()}\n`)
    if (written === 0)
      process.stderr.write(
        `the model ends its document here: ${isGreedy(flags) ? 'a --temperature above 0' : 'another --seed'} may go on\n`,
      )
  })

async function printJson(model: LoadedModel, tokenizer: Tokenizer, flags: Flags): Promise<void> {
  const tokens: number[] = []
  for await (const token of tokensOf(model, tokenizer, flags)) tokens.push(token)
  process.stdout.write(`${JSON.stringify({ checkpoint: model.folder, prompt: flags.prompt, text: tokenizer.decode(tokens), tokens })}\n`)
}

/** Where the draw decides nothing. */
const isGreedy = ({ temperature, topK }: Flags) => temperature === 0 || topK === 1

function tokensOf(model: LoadedModel, tokenizer: Tokenizer, { prompt, tokens, temperature, topK, topP, seed }: Flags) {
  const words = prompt === '' ? [tokenizer.endOfText] : [...tokenizer.encode(prompt)]
  const { contextLength } = model.config
  if (words.length > contextLength)
    process.stderr.write(`the prompt has ${words.length} tokens: the model sees the last ${contextLength} of them\n`)
  return generate(model, words, { maxTokens: tokens, temperature, topK, topP, seed, stop: [tokenizer.endOfText] })
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
