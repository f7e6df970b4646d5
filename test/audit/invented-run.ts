// A run folder written by the engine's own writers from invented numbers: two phases around a barrier, drops for several
// reasons, damage, a quarantine, an attempt that lost, and texts that would like to be markup.

import { join } from 'node:path'
import type { Document } from '../../src/core/document.ts'
import { hash128 } from '../../src/core/identity.ts'
import { defaultChoices } from '../../src/engine/choices.ts'
import { ReceiptWriter } from '../../src/engine/receipt-writer.ts'
import { Receipts } from '../../src/engine/receipts.ts'
import { type FrozenPlan, type Marker, type PhaseFolder, RUN_FORMAT, RunFolder, type Seal } from '../../src/engine/run-folder.ts'
import { chainSummaries, mergeSummaries, type Summary } from '../../src/engine/summary.ts'
import { writeWhole } from '../../src/io/write-whole.ts'

export const HOSTILE =
  '</pre></script><script>document.title = "taken"</script><img src=x onerror="document.title=1"> & "quotes" \u202e \0 end'

const partitions = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb']
const documentsPerPartition = 100
const source = (partition: string) => `file:///crawl/${partition}.warc.gz`

const plan: FrozenPlan = {
  format: RUN_FORMAT,
  pipeline: 'invented',
  file: 'pipelines/invented.ts',
  arguments: { input: '<b>in</b>' },
  seed: 7,
  choices: { ...defaultChoices, shadows: 0 },
  planHash: 'f'.repeat(32),
  sluice: '0.0.0',
  node: 'v0',
  phases: [
    {
      hash: '1'.repeat(32),
      end: 'barrier',
      stages: [
        { name: 'warc', kind: 'source', version: 1, options: {} },
        {
          name: 'gopherQuality',
          kind: 'map',
          version: 1,
          options: { variant: 'gopher@invented-1', minDocWords: 50, maxDocWords: 100_000 },
        },
        { name: 'mine', kind: 'map', version: 3, options: { maxShare: 0.5, note: '<i>' } },
        { name: 'minhashDedup', kind: 'barrier', version: 1, options: {} },
      ],
    },
    {
      hash: '2'.repeat(32),
      end: 'sink',
      stages: [
        { name: 'minhashDedup', kind: 'apply', version: 1, options: {} },
        { name: 'parquetShards', kind: 'sink', version: 1, options: {} },
      ],
    },
  ],
}

const stageNames = [['gopherQuality', 'mine'], ['minhashDedup']]

function documentOf(partition: string, index: number): Document {
  return {
    id: hash128(`${partition} ${index}`),
    source: source(partition),
    offset: index * 1000,
    length: 900,
    url: `https://example.org/${index}?a=<b>`,
    metadata: {},
    text: index % 4 === 0 ? `${HOSTILE} ${index}` : `text ${index} `.repeat(index),
  }
}

/** Of 100: 25 too short, 15 for their share, 1 quarantined, 59 to the barrier; behind it every third is a duplicate. */
function firstPhase(partition: string): { receipts: Receipts; survivors: Document[] } {
  const receipts = new Receipts(stageNames[0], plan.choices, (text) => text)
  const documents = Array.from({ length: documentsPerPartition }, (_, index) => documentOf(partition, index))
  receipts.arrived(documents)
  receipts.entered(0, documents)
  documents.forEach((document, index) => {
    receipts.record(0, document, {
      n_non_symbol_words: index < 25 ? index : index * 3,
      avg_word_length: index === 50 ? Number.NaN : 4 + index / 100,
    })
    if (index < 25) receipts.drop(0, document, 'gopher_short_doc')
  })
  const long = documents.slice(25)
  receipts.left(0, documents, long, 0.5)
  receipts.entered(1, long)
  long.forEach((document, index) => {
    const share = index / 100
    receipts.record(1, document, { share })
    if (index === 0) receipts.quarantine(1, document, new Error('<u>failed</u> on it'))
    else if (share > 0.59) receipts.drop(1, document, 'max share')
  })
  const survivors = long.filter((document) => receipts.isAlive(document))
  receipts.left(1, long, survivors, 0.25)
  receipts.summary.records = documentsPerPartition + 5
  receipts.summary.ignored = { warc_request: 3 }
  receipts.summary.damaged = 2
  receipts.summary.damagedBytes = 1234
  receipts.summary.damages = [
    { source: source(partition), offset: 77, length: 617, code: 'SLUICE_WARC_TRUNCATED', message: 'the <record> is cut' },
    { source: source(partition), offset: 7700, length: 617, code: 'SLUICE_WARC_GZIP', message: 'no gzip member' },
  ]
  receipts.summary.inputBytes = 1_000_000
  receipts.summary.seconds = 1
  return { receipts, survivors }
}

function secondPhase(documents: readonly Document[]): { receipts: Receipts; survivors: Document[] } {
  const receipts = new Receipts(stageNames[1], plan.choices, (text) => text)
  receipts.arrived(documents)
  receipts.entered(0, documents)
  documents.forEach((document, index) => {
    if (index % 3 === 0) receipts.drop(0, document, 'minhash_duplicate')
  })
  const survivors = documents.filter((document) => receipts.isAlive(document))
  receipts.left(0, documents, survivors, 0.125)
  receipts.summary.seconds = 0.25
  return { receipts, survivors }
}

async function finishTask(
  folder: PhaseFolder,
  partition: string,
  { receipts, survivors }: { receipts: Receipts; survivors: readonly Document[] },
  attempt = 'good',
): Promise<Marker> {
  const writer = await ReceiptWriter.create(folder, partition, attempt, plan.choices)
  const finished = receipts.finish(survivors)
  await writer.write(finished.receipts, finished.rejected)
  await writer.close()
  const marker: Marker = {
    partition,
    attempt,
    input: { source: source(partition), version: 'v' },
    rows: survivors.length,
    outputs: [],
    summary: receipts.summary,
  }
  await folder.writeMarker(marker)
  return marker
}

/** @param state how far it came: all of it, the first phase sealed, or one task of the first phase done */
export async function inventRun(path: string, state: 'finished' | 'one phase' | 'one task' = 'finished'): Promise<Summary> {
  const folder = new RunFolder(path)
  await folder.writePlan(plan)
  const first = folder.phase(0, plan.phases[0].hash)
  await first.create()
  const works = partitions.map((partition) => ({ partition, ...firstPhase(partition) }))
  // An attempt of which nothing may be read.
  const lost = await ReceiptWriter.create(first, partitions[0], 'lost', plan.choices)
  await lost.write(firstPhase(partitions[0]).receipts.finish([]).receipts, [])
  await lost.close()
  const markers: Marker[] = []
  for (const { partition, receipts, survivors } of state === 'one task' ? works.slice(0, 1) : works)
    markers.push(await finishTask(first, partition, { receipts, survivors }))
  if (state === 'one task') return markers[0].summary
  const seal: Seal = {
    hash: plan.phases[0].hash,
    tasks: markers,
    summary: mergeSummaries(
      markers.map(({ summary }) => summary),
      stageNames[0],
    ),
  }
  await first.writeSeal(seal)
  for (const note of seal.summary.quarantines) await folder.addQuarantine(note)
  if (state === 'one phase') return seal.summary

  const hash = hash128(JSON.stringify([plan.phases[1].hash, seal.hash, partitions]))
  const second = folder.phase(1, hash)
  await second.create()
  const seconds: Marker[] = []
  for (const { partition, survivors } of works) seconds.push(await finishTask(second, partition, secondPhase(survivors)))
  const secondSeal: Seal = {
    hash,
    tasks: seconds,
    summary: mergeSummaries(
      seconds.map(({ summary }) => summary),
      stageNames[1],
    ),
  }
  await second.writeSeal(secondSeal)
  const summary = chainSummaries([seal.summary, secondSeal.summary])
  await writeWhole(join(path, 'summary.json'), JSON.stringify(summary))
  const shards = partitions.map((partition) => ({
    name: `${partition}-0.parquet`,
    rows: summary.kept / 2,
    bytes: 5000,
    tokens: 12_345,
    sha256: '',
  }))
  const outputs = [{ path: '/corpora/invented', shards: [...shards, { name: 'tokenizer.json', rows: 0, bytes: 99, sha256: '' }] }]
  await writeWhole(join(path, 'manifest.json'), JSON.stringify({ ...plan, outputs }))
  return summary
}
