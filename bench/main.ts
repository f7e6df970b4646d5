// `npm run bench <name> [options]` runs one benchmark; `npm run bench peers` runs every comparison with a peer, one after
// another, pinned to the same cores, and saves the ratios under bench/results. The peers: bench/peers/install.sh.

import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'

const comparisons = [
  ['end-to-end'],
  ['sources', '--peers'],
  ['warc'],
  ['filters', '--peers'],
  ['minhash', '--peers'],
  ['dedup'],
  ['tokenizer'],
  ['tokenizer-pieces'],
  ['language', '--peers'],
  ['extraction-speed'],
  ['perplexity'],
  ['classifier'],
  ['signals', '--peers'],
  ['train-llmc'],
  ['train-torch'],
]
const names = readdirSync(import.meta.dirname)
  .filter(
    (name) =>
      name.endsWith('.ts') &&
      !['main.ts', 'harness.ts', 'labelled-texts.ts', 'llmc-files.ts', 'token-shards.ts', 'value-comparison.ts'].includes(name),
  )
  .map((name) => name.slice(0, -3))

const [first, ...rest] = process.argv.slice(2)
if (first === 'peers') for (const [name, ...options] of comparisons) run(name, options)
else if (first !== undefined && names.includes(first)) run(first, rest)
else {
  console.error(
    `usage: npm run bench <name> [options of it]\n       npm run bench peers    all comparisons with peers\nbenchmarks: ${names.join(', ')}`,
  )
  process.exitCode = first === undefined ? 0 : 1
}

function run(name: string, options: readonly string[]): void {
  console.error(`── ${[name, ...options].join(' ')}`)
  execFileSync(process.execPath, ['--conditions=source', `${import.meta.dirname}/${name}.ts`, ...options], { stdio: 'inherit' })
}
