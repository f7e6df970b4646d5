// `sluice clusters`: groups of duplicates that a run found, as data and to read.

import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { Command } from 'commander'
import { type Cluster, type ClusterMember, Clusters, sharedText, similarity } from '../audit/clusters.ts'
import { readRun } from '../audit/read-run.ts'
import { SluiceError } from '../core/errors.ts'
import { counted, formatCount } from '../core/format.ts'
import { diskError } from '../io/disk-errors.ts'
import { wholeNumber } from './numbers.ts'
import { printable } from './printable.ts'

interface Flags {
  stage?: string
  largest: number
  id?: string
  out?: string
  json?: boolean
}

const SHARED_CHARACTERS = 300
const SHOWN_MEMBERS = 8

export const command = new Command()
  .argument('<run>', 'run folder, before sluice clean')
  .option('--stage <name>', 'minhashDedup or exactDedup; the first that the run has where left out')
  .option('--largest <n>', 'clusters to show, the largest first', wholeNumber(1), 5)
  .option('--id <id>', 'show the cluster of this document')
  .option('--out <file>', 'write all members of all clusters as JSON lines: cluster, size, fate, id, url, source, offset')
  .option('--json', 'what is shown as JSON lines')
  .addHelpText(
    'after',
    `
Similarity is the Jaccard similarity of five-word shingles to the document that stays, or else to the first. Shared text is
redacted. Fates: stays, duplicate, earlier (an earlier build has it).

Examples:
  sluice clusters runs/nightly --largest 10
  sluice clusters runs/nightly --id 0123456789abcdef0123456789abcdef
  sluice clusters runs/nightly --out clusters.jsonl`,
  )
  .action(async (path: string, flags: Flags) => {
    const clusters = new Clusters(await readRun(path), flags.stage)
    if (flags.out !== undefined) await writeAll(clusters, flags.out)
    else await show(clusters, await chosen(clusters, flags), flags.json ?? false)
  })

async function chosen(clusters: Clusters, { id, largest }: Flags): Promise<Cluster[]> {
  if (id === undefined) return clusters.largest(largest)
  const cluster = await clusters.ofDocument(id)
  if (!cluster) throw new SluiceError('SLUICE_AUDIT_CHOICE', `the document ${id} has no duplicates`, { fix: 'there is nothing to show' })
  return [cluster]
}

async function show(clusters: Clusters, some: readonly Cluster[], asJson: boolean): Promise<void> {
  if (!asJson) process.stdout.write(`${clusters.stage}: ${formatCount(clusters.all.length)} clusters\n`)
  for (const members of await clusters.members(some))
    process.stdout.write(asJson ? `${JSON.stringify(clusterRecord(members))}\n` : clusterText(members))
}

async function writeAll(clusters: Clusters, file: string): Promise<void> {
  let written = 0
  async function* lines() {
    for await (const member of clusters.eachMember()) {
      written++
      yield `${JSON.stringify(member)}\n`
    }
  }
  try {
    await pipeline(lines, createWriteStream(file))
  } catch (error) {
    throw diskError(error, file)
  }
  process.stderr.write(`${formatCount(written)} members of clusters of ${clusters.stage} written to ${file}\n`)
}

/** What the others are compared with: the document that stays, or the first. */
function referenceOf(members: readonly ClusterMember[]): ClusterMember {
  return members.find(({ fate }) => fate === 'stays') ?? members[0]
}

function clusterRecord(members: readonly ClusterMember[]) {
  const reference = referenceOf(members)
  const described = members.map(({ text, ...member }) => ({ ...member, similarity: similarity(reference.text, text) }))
  return { size: members.length, members: described }
}

function clusterText(members: readonly ClusterMember[]): string {
  const reference = referenceOf(members)
  const lines = members.slice(0, SHOWN_MEMBERS).map(({ fate, id, url, source, offset, text }) => {
    const alike = similarity(reference.text, text).toFixed(2)
    return printable(`  ${fate.padEnd(9)} ${alike}  ${id}  ${url ?? `${source} at ${offset}`}`)
  })
  const others = members.length - SHOWN_MEMBERS
  const other = members.find((member) => member !== reference)
  const shared = other ? sharedText(reference.text, other.text) : ''
  const quoted = shared.length > SHARED_CHARACTERS ? `${shared.slice(0, SHARED_CHARACTERS)}…` : shared
  return [
    `\n${counted(members.length, 'document')}`,
    ...lines,
    ...(others > 0 ? [`  and ${formatCount(others)} more`] : []),
    ...(quoted === '' ? [] : [printable(`  shared: ${quoted}`)]),
    '',
  ].join('\n')
}
