// What `sluice plan` foresees, against what there is.

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { tableFromArrays } from 'apache-arrow'
import type { Document } from '../../src/core/document.ts'
import type { Source } from '../../src/core/stage.ts'
import { pipeline } from '../../src/engine/pipeline.ts'
import { makePlan, planPartitions } from '../../src/engine/plan.ts'
import { forecast, inputBytes } from '../../src/executors/forecast.ts'
import { ParquetWriter } from '../../src/io/parquet.ts'
import { csvFiles } from '../../stages/csv-files.ts'
import { jsonl } from '../../stages/jsonl.ts'
import { jsonlShards } from '../../stages/jsonl-shards.ts'
import { parquet } from '../../stages/parquet.ts'
import { textFiles } from '../../stages/text-files.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-forecast-'))
after(() => rmSync(folder, { recursive: true }))

/** Lengths differ, but not along the file. */
const texts = Array.from({ length: 4000 }, (_, i) => `${(Math.imul(i, 2654435761) >>> 0).toString(2)} `.repeat(1 + ((i * 7) % 13)))
const bytes = texts.reduce((sum, { length }) => sum + length, 0)

async function write(name: string): Promise<string> {
  const path = join(folder, name)
  const lines = texts.map((text) => `${JSON.stringify({ text })}\n`).join('')
  if (name === 'a.jsonl') writeFileSync(path, lines)
  if (name === 'a.jsonl.gz') writeFileSync(path, gzipSync(lines))
  if (name === 'a.csv') writeFileSync(path, `text\n${texts.join('\n')}\n`)
  if (name === 'texts') mkdirSync(path)
  if (name === 'texts') for (const [i, text] of texts.slice(0, 400).entries()) writeFileSync(join(path, `${i}.txt`), text)
  if (name !== 'a.parquet') return path
  const table = tableFromArrays({ text: texts })
  const writer = await ParquetWriter.open(path, table.schema, { rowGroupRows: 500, compression: 'none' })
  for (const batch of table.batches) await writer.write(batch)
  await writer.close()
  return path
}

const sources: Record<string, (path: string) => Source<Document>> = {
  'a.jsonl': (path) => jsonl({ path }),
  'a.jsonl.gz': (path) => jsonl({ path }),
  'a.csv': (path) => csvFiles({ path }),
  'a.parquet': (path) => parquet({ path }),
  texts: (path) => textFiles({ path }),
}
for (const [name, source] of Object.entries(sources))
  test(`documents, bytes and shards of ${name} are foreseen to a fifth, in pieces of any size`, async () => {
    const path = await write(name)
    const choices = { statistics: 'off', rejected: 'off', rejectedText: 'off', shadows: 0 } as const
    const built = pipeline('forecast')
      .from(source(path))
      .to(jsonlShards({ path: join(folder, 'out'), compression: 'none' }))
    const plan = await makePlan(built, '', {}, choices)
    const there = name === 'texts' ? 400 : texts.length
    for (const partitionBytes of [20_000, 1e9]) {
      const partitions = await planPartitions(plan, { signal: new AbortController().signal, partitionBytes })
      const isNear = (value: number, expected: number, what: string) =>
        assert.ok(Math.abs(value / expected - 1) < 0.2, `${what}: ${value} of ${expected}, ${partitions.length} partitions`)
      if (name !== 'a.jsonl.gz') isNear(inputBytes(partitions), (bytes * there) / texts.length, 'bytes')
      const foreseen = await forecast(plan, partitions, 2, 100)
      isNear(foreseen?.documents ?? 0, there, 'documents')
      assert.equal(foreseen?.keptShare, 1)
      assert.ok((foreseen?.shardBytes ?? 0) > (bytes * there) / texts.length / 1.5)
    }
  })
