// Shards and exported files read by the tools of others: PyArrow, Polars, DuckDB, Hugging Face's datasets; and what was exported
// by Megatron-Core, datatrove and llm.c's train_gpt2.py. Fails where one reads other documents, tokens or text than another.
//
//   bench/peers/install.sh && make quickstart && npm run bench readers [-- <folder with documents and tokens>]

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { lastJson, modelPython, saveResult } from './lib/harness.ts'

const [, , corpus = 'quickstart'] = process.argv
const python = 'bench/peers/installed/text-dedup/bin/python'
const counts = z.record(z.string(), z.union([z.string(), z.number()]))
const reading = z.object({
  tokens: z.record(z.string(), counts),
  documents: z.record(z.string(), counts),
  exported: z.record(z.string(), counts),
  versions: z.record(z.string(), z.string()),
})
const ownReading = z.object({ versions: z.record(z.string(), z.string()) }).catchall(counts)

const scratch = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
try {
  for (const format of ['llmc', 'megatron', 'datatrove'])
    execFileSync(process.execPath, [
      '--conditions=source',
      ...['src/cli/main.ts', 'export', `${corpus}/tokens`, '--format', format, '--output', join(scratch, format)],
    ])
  const output = execFileSync(python, ['bench/peers/readers.py', `${corpus}/tokens`, `${corpus}/documents`, scratch], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const read = reading.parse(lastJson(output))
  const ownReaders = execFileSync(modelPython, ['bench/peers/exported.py', scratch, 'bench/peers/installed/llmc'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const { versions, ...own } = ownReading.parse(lastJson(ownReaders))
  const { megatron, datatrove, llmc } = read.exported
  assertEqual('token shards', { ...read.tokens, megatron, datatrove })
  assertEqual('document shards', read.documents)
  assertEqual('Megatron-LM', { 'megatron-core': own['megatron-core'], megatron })
  assertEqual('llm.c', { 'train_gpt2.py': own['train_gpt2.py'], llmc })
  assertEqual('datatrove', { 'its own': own['datatrove windows'], ours: read.exported['datatrove windows'] })
  // one stream, its ends of text in front: the same number of tokens in another order
  assertEqual('tokens of llm.c', { llmc: { tokens: llmc.tokens }, megatron: { tokens: megatron.tokens } })
  saveResult('readers', { ...read, own, versions: { ...read.versions, ...versions } })
} finally {
  rmSync(scratch, { recursive: true })
}

function assertEqual(what: string, readings: Record<string, unknown>): void {
  const [first, ...others] = Object.entries(readings)
  for (const [name, value] of others)
    if (JSON.stringify(value) !== JSON.stringify(first[1]))
      throw new Error(`${what}: ${name} reads ${JSON.stringify(value)}, ${first[0]} ${JSON.stringify(first[1])}`)
}
