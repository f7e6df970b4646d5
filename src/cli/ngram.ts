// `sluice ngram`: trains an n-gram language model on files or JSON lines, scores JSON lines, shows the score of each word.

import { createInterface } from 'node:readline'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { Discounts } from '../ngram/adjust.ts'
import { loadNgramScorer, perplexityOf } from '../ngram/model.ts'
import { BLANKS, normalizations, type TextRule, textPreparer } from '../ngram/text.ts'
import { trainNgram } from '../ngram/train.ts'
import { numbersIn, parseNumber, size, wholeNumber } from './numbers.ts'
import { ProgressLine } from './progress-line.ts'
import { checkFolderOf, jsonLines, lastLineEnd, print, textLine, textsOf } from './text-input.ts'

export const command = new Command('ngram').addHelpText(
  'after',
  `
A model is trained on texts that are as they should be, and its perplexity says how far others are from that. The stages
perplexity and perplexityBuckets use it in a pipeline. A line of text is a sentence.

Examples:
  sluice ngram train -o wiki.arpa.gz wiki/*.txt.zst
  sluice ngram score -m wiki.arpa.gz < documents.jsonl
  $ echo 'The whale swims.' | sluice ngram query -m wiki.arpa.gz`,
)

const modelOption = () => new Option('-m, --model <file>', 'ARPA (also .gz, .zst) or KenLM binary file').makeOptionMandatory()
const normalizeOption = () =>
  new Option('--normalize <rule>', 'ccnet: lower case, no accents, digits 0, marks of punctuation mapped; or none').choices(normalizations)
const tokensOption = () => new Option('--tokens <name|path>', `${BLANKS}, or a tokenizer: words of the model are then its tokens`)

// ---- train ----

interface TrainFlags extends TextRule {
  readonly output: string
  readonly order: number
  readonly prune: readonly number[]
  readonly discountFallback?: Discounts
  readonly memory: number
}

command
  .command('train')
  .description('train an interpolated modified Kneser-Ney model, as KenLM’s lmplz does')
  .argument(
    '[files...]',
    'text files (UTF-8), plain, gzip or zstd; files named .jsonl (.gz, .zst) hold JSON lines with "text"; none: JSON lines from standard input',
  )
  .addOption(new Option('-o, --output <file>', 'ARPA file to write, gzip where it ends in .gz').makeOptionMandatory())
  .addOption(new Option('-n, --order <n>', 'words of the longest n-grams, 1 to 6').argParser(wholeNumber(1, 6)).default(5))
  .addOption(
    new Option('--prune <counts>', 'leave out n-grams that occur at most so often, by order: 0,0,1; the last counts for longer ones')
      .argParser(numbersIn({ isWhole: true, from: 0 }))
      .default([0], '0'),
  )
  .addOption(
    new Option(
      '--discount-fallback <discounts>',
      'where the text is too small to estimate discounts, these instead of an error: 0.5,1,1.5',
    ).argParser(discounts),
  )
  .addOption(
    new Option('--memory <bytes>', 'for sorting, before it goes to disk beside the output; the vocabulary comes on top')
      .argParser(size())
      .default(2 ** 30, '1GB'),
  )
  .addOption(normalizeOption().default('ccnet'))
  .addOption(tokensOption().default(BLANKS))
  .addHelpText(
    'after',
    `
Examples:
  sluice ngram train -o wiki.arpa.gz --prune 0,0,1 wiki/*.txt.zst
  $ zcat reference.jsonl.gz | sluice ngram train -o reference.arpa --tokens gpt2`,
  )
  .action(async (files: string[], flags: TrainFlags) => {
    await checkFolderOf(flags.output)
    const { prepare, comment } = await textPreparer(flags)
    const progress = new ProgressLine()
    const prepared = async function* () {
      let characters = 0
      for await (const text of textsOf(files, lastLineEnd)) {
        yield prepare(text.replace(/\n$/, ''))
        characters += text.length
        progress.show(() => `${(characters / 1e6).toFixed(1)} M characters`)
      }
    }
    const { tokens, ngrams } = await trainNgram(prepared(), flags.output, {
      order: flags.order,
      prune: flags.prune,
      fallback: flags.discountFallback,
      memoryBytes: flags.memory,
      signal: new AbortController().signal,
      comments: [comment],
    })
    progress.done(`${tokens} words gave ${ngrams.map((n, i) => `${n} ${i + 1}-grams`).join(', ')}; written to ${flags.output}`)
  })

// ---- score and query ----

command
  .command('score')
  .description('scores of JSON lines: {"id"?, "text"} in, {"id"?, "perplexity", "logProbability", "tokens", "unknown"} out')
  .addOption(modelOption())
  .addOption(normalizeOption().default(undefined, 'as the model says, else ccnet'))
  .addOption(tokensOption().default(undefined, `as the model says, else ${BLANKS}`))
  .addHelpText(
    'after',
    `\nlogProbability is to base 10. tokens are words, and one for the end of each line.\n\nExample:\n  $ echo '{"id":"a","text":"Call me Ishmael."}' | sluice ngram score -m books.arpa`,
  )
  .action(async (flags: TextRule & { model: string }) => {
    const scorer = await loadNgramScorer(flags.model)
    const { prepare } = await textPreparer(flags, scorer.comments)
    for await (const { value } of jsonLines(process.stdin, 'standard input', textLine)) {
      const score = scorer.scoreText(prepare(value.text))
      await print({ id: value.id, perplexity: perplexityOf(score), ...score })
    }
  })

command
  .command('query')
  .description('what each word of each line of standard input costs')
  .addOption(modelOption())
  .addOption(normalizeOption().default(undefined, 'as the model says, else ccnet'))
  .addOption(tokensOption().default(undefined, `as the model says, else ${BLANKS}`))
  .option('--json', 'as JSON, a line each', false)
  .addHelpText(
    'after',
    `\nA column holds log10 p(word | words before); * marks words that the model does not know.\n\nExample:\n  $ echo 'Call me Ishmael.' | sluice ngram query -m books.arpa`,
  )
  .action(async (flags: TextRule & { model: string; json: boolean }) => {
    const scorer = await loadNgramScorer(flags.model)
    const { prepare } = await textPreparer(flags, scorer.comments)
    for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
      const prepared = prepare(line)
      const names = [...prepared.split(/[\0\t-\r ]+/).filter((word) => word !== ''), '</s>']
      const tokens = scorer.scoreTokens(prepared).map((score, i) => ({ word: names[i], ...score }))
      const total = tokens.reduce((sum, { logProbability }) => sum + logProbability, 0)
      const perplexity = perplexityOf({ logProbability: total, tokens: tokens.length })
      if (flags.json) await print({ tokens, logProbability: total, perplexity })
      else
        process.stdout.write(
          tokens
            .map(({ word, logProbability, isUnknown }) => `${logProbability.toFixed(4).padStart(10)}${isUnknown ? '*' : ' '} ${word}\n`)
            .join('') + `${total.toFixed(4).padStart(10)}  in all, perplexity ${perplexity.toFixed(2)}\n`,
        )
    }
  })

function discounts(text: string): Discounts {
  const [first, second, third, ...more] = text.split(',').map((part) => Math.fround(parseNumber(part)))
  if (more.length === 0 && first >= 0 && first <= 1 && second >= 0 && second <= 2 && third >= 0 && third <= 3) return [first, second, third]
  throw new InvalidArgumentError('give three numbers with commas between, at most 1, 2 and 3')
}
