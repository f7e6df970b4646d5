// `sluice tokenizer compare`: how many tokens the same texts take.

import { basename } from 'node:path'
import { Command, Option } from 'commander'
import { z } from 'zod'
import { type ComparisonRow, type LabelledText, TokenizerComparison } from '../tokenizer/comparison.ts'
import { loadTokenizer } from '../tokenizer/tokenizer.ts'
import { ProgressLine } from './progress-line.ts'
import { isJsonLines, jsonLinesOf, lastWordEnd, print, textsOf } from './text-input.ts'

export const compareCommand = new Command('compare')
  .description('how many tokens the same texts take, by language and by domain')
  .argument('<name|path...>', 'gpt2, cl100k, o200k, or tokenizer.json or .tiktoken files')
  .addOption(
    new Option(
      '--texts <file...>',
      'text files, or .jsonl files (.gz, .zst) of {"text", "language"?, "subset"?}; else the file names the domain',
    ).makeOptionMandatory(),
  )
  .option('--json', 'as JSON', false)
  .addHelpText('after', '\nExample:\n  sluice tokenizer compare gpt2 o200k own.json --texts corpus/*.jsonl.gz')
  .action(async (names: string[], flags: { texts: string[]; json: boolean }) => {
    const tokenizers = await Promise.all(names.map((name) => loadTokenizer(name)))
    const comparison = new TokenizerComparison(tokenizers)
    const progress = new ProgressLine()
    let texts = 0
    for await (const text of labelledTexts(flags.texts)) {
      comparison.add(text)
      texts++
      progress.show(() => `${texts} texts`)
    }
    const rows = comparison.rows()
    if (flags.json) return print({ tokenizers: names, rows })
    process.stdout.write(comparisonTable(names, rows))
  })

const labelledLine = z.object({ text: z.string(), language: z.string().nullish(), subset: z.string().nullish() })

async function* labelledTexts(files: readonly string[]): AsyncGenerator<LabelledText> {
  for (const file of files) {
    const domain = basename(file).replace(/(\.(jsonl|txt|md|gz|zst))+$/, '')
    if (isJsonLines(file)) {
      for await (const { value } of jsonLinesOf(file, labelledLine))
        yield { text: value.text, language: value.language ?? undefined, domain: value.subset ?? domain }
    } else for await (const text of textsOf([file], lastWordEnd)) yield { text, domain }
  }
}

function comparisonTable(names: readonly string[], rows: readonly ComparisonRow[]): string {
  const header = ['', 'texts', 'bytes', ...names.flatMap((name) => [`${basename(name)} bytes/token`, 'tokens/word', 'unknown %'])]
  const lines = rows.map(({ label, texts, bytes, tokenizers }) => [
    label,
    String(texts),
    String(bytes),
    ...tokenizers.flatMap((t) => [t.bytesPerToken.toFixed(2), t.tokensPerWord.toFixed(2), (100 * t.unknownShare).toFixed(2)]),
  ])
  const widths = header.map((_, i) => Math.max(...[header, ...lines].map((line) => line[i].length)))
  const format = (line: string[]) => line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ')
  return [header, ...lines].map((line) => `${format(line)}\n`).join('')
}
