// `sluice tokenizer`: trains a tokenizer on files or JSON lines, encodes and decodes JSON lines, renders conversations, describes
// and compares tokenizers.

import { Command, Option } from 'commander'
import { z } from 'zod'
import { trainTokenizerOptions } from '../../stages/train-tokenizer.ts'
import { SluiceError } from '../core/errors.ts'
import { writeWhole } from '../io/write-whole.ts'
import { applyChatTemplate, assistantMask, loadChatTemplate, messageSchema } from '../tokenizer/chat.ts'
import type { TokenizerDefinition } from '../tokenizer/definition.ts'
import { serializeRanks, serializeTokenizerJson } from '../tokenizer/formats.ts'
import { type PatternName, PieceBuffer, patternName, patternNames, patternSources, preTokenizer } from '../tokenizer/pretokenize.ts'
import { frameFor, loadTokenizer } from '../tokenizer/tokenizer.ts'
import { trainTokenizerOn } from '../tokenizer/train.ts'
import { WordCounter } from '../tokenizer/words.ts'
import { wholeNumber } from './numbers.ts'
import { ProgressLine } from './progress-line.ts'
import { checkFolderOf, jsonLines, lastWordEnd, lineId, print, textLine, textsOf } from './text-input.ts'
import { compareCommand } from './tokenizer-compare.ts'

export const command = new Command('tokenizer').addHelpText(
  'after',
  `
Examples:
  sluice tokenizer train --vocab-size 8192 -o tokenizer.json texts/*.txt
  echo '{"text":"Call me Ishmael."}' | sluice tokenizer encode --tokenizer gpt2
  sluice tokenizer info cl100k`,
)

const tokenizerOption = () =>
  new Option('-t, --tokenizer <name|path>', 'gpt2, cl100k, o200k, or a tokenizer.json or .tiktoken file').makeOptionMandatory()
const patternOption = () => new Option('--pattern <name>', 'where text is cut before merging').choices(patternNames).default('gpt4')

// ---- train ----

interface TrainFlags {
  vocabSize: number
  output: string
  pattern: PatternName
  minFrequency: number
  special: string[]
}

command
  .command('train')
  .description('train byte-level BPE on text files, or on JSON lines with "text" from standard input')
  .argument('[files...]', 'text files (UTF-8), plain, gzip or zstd; files named .jsonl (.gz, .zst) hold JSON lines with "text"')
  .addOption(new Option('-n, --vocab-size <tokens>', 'special tokens and the 256 bytes included').argParser(wholeNumber(1)).default(32_768))
  .addOption(new Option('-o, --output <file>', 'tokenizer.json to write, or ranks where it ends in .tiktoken').makeOptionMandatory())
  .addOption(patternOption())
  .addOption(new Option('--min-frequency <n>', 'a pair that occurs less often is never merged').argParser(wholeNumber(1)).default(2))
  .addOption(new Option('--special <token...>', 'special tokens; they get the first ids').default(['<|endoftext|>']))
  .addHelpText(
    'after',
    `
Examples:
  sluice tokenizer train --vocab-size 8192 -o tokenizer.json book.txt notes.md
  $ zcat part-0.jsonl.gz | sluice tokenizer train -n 32768 -o tokenizer.json`,
  )
  .action(async (files: string[], flags: TrainFlags) => {
    await checkTrainOptions(flags)
    const words = await countWords(files, flags.pattern)
    if (words.size === 0)
      throw new SluiceError('SLUICE_TOKENIZER_NO_TEXT', 'there is no text to train on', {
        fix: 'name files, or pipe JSON lines with "text"',
      })
    const { vocabSize: vocabularySize, minFrequency, pattern, special: specialTokens } = flags
    const progress = new ProgressLine()
    const definition = trainTokenizerOn(words.words(), { vocabularySize, minFrequency, specialTokens, pattern }, (merges) =>
      progress.show(() => `${merges} merges`),
    )
    const merges = definition.model.merges.length / 3
    await writeWhole(
      flags.output,
      flags.output.endsWith('.tiktoken') ? serializeRanks(definition.model) : serializeTokenizerJson(definition),
    )
    progress.done(`${specialTokens.length + 256 + merges} tokens from ${words.size} distinct words, written to ${flags.output}`)
    if (specialTokens.length + 256 + merges < vocabularySize)
      process.stderr.write(`fewer than the ${vocabularySize} asked for: no other pair occurs ${minFrequency} times\n`)
  })

/** Before hours of counting, what would make them useless. The rules are those of the stage. */
async function checkTrainOptions({ vocabSize, special: specialTokens, pattern, minFrequency, output }: TrainFlags): Promise<void> {
  const { error } = trainTokenizerOptions.safeParse({ vocabSize, specialTokens, pattern, minFrequency })
  if (error)
    throw new SluiceError('SLUICE_TOKENIZER_OPTIONS', `the options do not fit:\n${z.prettifyError(error)}`, {
      fix: `--vocab-size counts the 256 bytes and the special tokens: give at least ${256 + specialTokens.length}; see --help`,
    })
  await checkFolderOf(output)
}

async function countWords(files: readonly string[], pattern: PatternName): Promise<WordCounter> {
  const preTokenize = preTokenizer([{ pattern: patternSources[pattern], dropsGaps: false }])
  const pieces = new PieceBuffer()
  const words = new WordCounter()
  const progress = new ProgressLine()
  let characters = 0
  for await (const text of textsOf(files, lastWordEnd)) {
    pieces.clear()
    preTokenize(text, pieces)
    words.add(pieces)
    characters += text.length
    progress.show(() => `${(characters / 1e6).toFixed(1)} M characters, ${words.size} distinct words`)
  }
  progress.done(`${(characters / 1e6).toFixed(1)} M characters, ${words.size} distinct words`)
  return words
}

// ---- encode and decode ----

command
  .command('encode')
  .description('ids of JSON lines: {"id"?, "text"} in, {"id"?, "tokens"} out')
  .addOption(tokenizerOption())
  .addOption(patternOption().default('gpt4', 'gpt4; for .tiktoken files, which do not say it'))
  .option('--allow-special', 'special tokens written in the text get their ids', false)
  .option('--append-end', 'end each text with the token that ends a document', false)
  .option('--model-frame', 'put the special tokens around each text that its model expects, as [CLS] and [SEP]', false)
  .addHelpText(
    'after',
    `
Example:
  $ echo '{"id":"a","text":"Hello world"}' | sluice tokenizer encode -t gpt2
  {"id":"a","tokens":[15496,995]}`,
  )
  .action(async (flags: { tokenizer: string; pattern: PatternName; allowSpecial: boolean; appendEnd: boolean; modelFrame: boolean }) => {
    const tokenizer = await loadTokenizer(flags.tokenizer, flags.pattern)
    const { before, after } = frameFor(tokenizer, flags)
    for await (const { value } of jsonLines(process.stdin, 'standard input', textLine)) {
      const ids = flags.allowSpecial ? tokenizer.encodeWithSpecials(value.text) : tokenizer.encode(value.text)
      await print({ id: value.id, tokens: [...before, ...ids, ...after] })
    }
  })

const tokensLine = z.object({ id: lineId, tokens: z.array(z.int().min(0)) })

command
  .command('decode')
  .description('text of JSON lines: {"id"?, "tokens"} in, {"id"?, "text"} out')
  .addOption(tokenizerOption())
  .addHelpText(
    'after',
    `
Example:
  $ echo '{"tokens":[15496,995]}' | sluice tokenizer decode -t gpt2
  {"text":"Hello world"}`,
  )
  .action(async (flags: { tokenizer: string }) => {
    const tokenizer = await loadTokenizer(flags.tokenizer)
    for await (const { value, line } of jsonLines(process.stdin, 'standard input', tokensLine)) {
      await print({ id: value.id, text: atLine(line, () => tokenizer.decode(value.tokens)) })
    }
  })

/** What fails says on which line. */
function atLine<T>(line: number, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error
    throw new SluiceError(error.code, error.message, { where: { line, ...error.where }, fix: error.fix, cause: error })
  }
}

// ---- chat ----

const chatLine = z.object({ id: lineId, messages: z.array(messageSchema).min(1), tools: z.array(z.unknown()).optional() })

command
  .command('chat')
  .description('conversations as a model reads them: {"id"?, "messages", "tools"?} in, {"id"?, "text", "tokens", "mask"?} out')
  .addOption(new Option('-t, --tokenizer <path>', 'tokenizer.json with tokenizer_config.json beside it').makeOptionMandatory())
  .option('--generation-prompt', 'end where the assistant begins to speak', false)
  .option('--mask', 'say which tokens are the assistant’s: 1, or 0', false)
  .addHelpText('after', '\nExample:\n  sluice tokenizer chat -t model/tokenizer.json --mask < conversations.jsonl')
  .action(async (flags: { tokenizer: string; generationPrompt: boolean; mask: boolean }) => {
    const tokenizer = await loadTokenizer(flags.tokenizer)
    const template = await loadChatTemplate(flags.tokenizer)
    for await (const { value, line } of jsonLines(process.stdin, 'standard input', chatLine)) {
      const { id, messages, tools } = value
      const settings = { addGenerationPrompt: flags.generationPrompt, tools }
      await print(
        atLine(line, () => {
          const { text, tokens } = applyChatTemplate(tokenizer, template, messages, settings)
          const mask = flags.mask ? [...assistantMask(tokenizer, template, messages, tokens, settings)] : undefined
          return { id, text, tokens: [...tokens], mask }
        }),
      )
    }
  })

// ---- info ----

command
  .command('info')
  .description('what a tokenizer is: size, end of text, pre-tokenization, hash')
  .argument('<name|path>', 'gpt2, cl100k, o200k, or a tokenizer.json or .tiktoken file')
  .option('--json', 'as JSON', false)
  .addHelpText('after', '\nExample:\n  sluice tokenizer info cl100k')
  .action(async (nameOrPath: string, flags: { json: boolean }) => {
    const { name, vocabularySize, endOfText, frame, hash, definition } = await loadTokenizer(nameOrPath)
    const facts = {
      name,
      model: modelName(definition),
      vocabularySize,
      merges: 'merges' in definition.model ? definition.model.merges.length / 3 : 0,
      endOfText,
      frame: [...frame.before, '…', ...frame.after],
      addedTokens: definition.added.length,
      normalizers: definition.normalizers.map(({ type }) => type),
      patterns:
        definition.kind === 'bytes'
          ? definition.splits.map(({ pattern }) => patternName(pattern) ?? pattern)
          : definition.splitters.map(({ type }) => type),
      hash,
    }
    if (flags.json) return print(facts)
    for (const [key, value] of Object.entries(facts))
      process.stdout.write(`${key.padEnd(15)} ${Array.isArray(value) ? value.join(', ') || '-' : value}\n`)
  })

function modelName(definition: TokenizerDefinition): string {
  if (definition.kind === 'bytes') return 'byte-level BPE'
  return definition.model.type === 'BPE' ? 'BPE over characters' : definition.model.type
}

command.addCommand(compareCommand)
