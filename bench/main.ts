// `npm run bench <name> [options]` runs one benchmark; `npm run bench peers` runs every comparison with a peer, one after
// another, pinned to the same cores, and saves the ratios under bench/results. The peers: bench/peers/install.sh.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

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
  .filter((name) => name.endsWith('.ts') && name !== 'main.ts')
  .map((name) => name.slice(0, -3))

const [first, ...rest] = process.argv.slice(2)
if (first === 'peers') for (const [name, ...options] of comparisons) run(name, options)
else if (first !== undefined && names.includes(first)) run(first, rest)
else {
  console.error(
    `usage: npm run bench <name> [options of it] (-- --help tells them)\n       npm run bench peers    all comparisons with peers\nbenchmarks: ${names.join(', ')}`,
  )
  process.exitCode = first === undefined ? 0 : 1
}

function run(name: string, options: readonly string[]): void {
  const file = `${import.meta.dirname}/${name}.ts`
  if (options.includes('--help')) {
    console.log(headerOf(file))
    return
  }
  console.error(`── ${[name, ...options].join(' ')}`)
  const { status } = spawnSync(process.execPath, ['--conditions=source', file, ...options], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

/** The comment that a benchmark opens with: what it measures, and its options. */
function headerOf(file: string): string {
  const lines = readFileSync(file, 'utf8').split('\n')
  const end = lines.findIndex((line) => !line.startsWith('//'))
  return lines
    .slice(0, end)
    .map((line) => line.slice(3))
    .join('\n')
}
