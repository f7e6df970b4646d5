// The rest of the report: what was set aside, what was written, and how the run was made.

import type { Json } from '../core/document.ts'
import { formatBytes, formatCount, formatShare } from '../core/format.ts'
import type { Funnel } from './funnel.ts'
import { type Html, html } from './html.ts'
import type { AuditedRun } from './read-run.ts'
import type { Section } from './report-section.ts'

/** Rows of a table; the run folder has them all. */
const MOST_ROWS = 100
const MOST_HOSTS = 30

export function setAsideSection({ summary, quarantine }: AuditedRun, { ignored, records }: Funnel): Section {
  const quarantined = quarantine.length > summary.quarantines.length ? quarantine : summary.quarantines
  const isClean = summary.damaged + summary.quarantined + ignored.length === 0
  return {
    id: 'set-aside',
    title: 'Set aside',
    lead: 'Records that could not be read, documents on which a stage failed, and records that are no documents. None of them is lost: each stands here with its place.',
    body: html`${isClean && html`<p>Nothing: every record became a document, and no stage failed on one.</p>`}
${
  ignored.length > 0 &&
  html`<h3>Records that are no documents</h3>${table(
    'Ignored records',
    ['Reason', 'Records', 'of all records'],
    ignored.map(({ reason, documents }) => [html`<code>${reason}</code>`, formatCount(documents), formatShare(documents, records)]),
  )}`
}
${
  summary.damaged > 0 &&
  html`<h3>Damaged records: ${formatCount(summary.damaged)}, ${formatBytes(summary.damagedBytes)}</h3>${table(
    'Damaged records',
    ['Input', 'At byte', 'Bytes', 'What'],
    summary.damages
      .slice(0, MOST_ROWS)
      .map(({ source, offset, length, code, message }) => [
        html`<code>${source}</code>`,
        formatCount(offset),
        formatCount(length),
        html`${message}<br><code class="soft">${code}</code>`,
      ]),
  )}${rest(summary.damaged, Math.min(MOST_ROWS, summary.damages.length))}`
}
${
  summary.quarantined > 0 &&
  html`<h3>Quarantined documents: ${formatCount(summary.quarantined)}</h3>${table(
    'Quarantined documents',
    ['Input', 'At', 'Stage', 'What happened'],
    quarantined
      .slice(0, MOST_ROWS)
      .map(({ source, offset, stage, cause, message, id }) => [
        html`<code>${source}</code><br><code class="soft">${id}</code>`,
        formatCount(offset),
        stage,
        html`${cause}${message !== '' && `: ${message}`}`,
      ]),
  )}${rest(summary.quarantined, Math.min(MOST_ROWS, quarantined.length))}`
}`,
  }
}

export function outputSection({ summary }: AuditedRun, { outputs, subsets }: Funnel): Section | undefined {
  const hosts = Object.entries(summary.hosts).sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
  if (outputs.length + subsets.length + hosts.length === 0) return undefined
  const rows = outputs.map(({ path, shards, documents, tokens, bytes }) => [
    html`<code>${path}</code>`,
    formatCount(shards),
    formatCount(documents),
    tokens > 0 ? formatCount(tokens) : '–',
    formatBytes(bytes),
  ])
  return {
    id: 'output',
    title: 'Output',
    lead: 'Shards by folder, and which subsets and hosts the kept documents come from.',
    body: html`${rows.length > 0 && table('Output', ['Folder', 'Shards', 'Documents', 'Tokens', 'Bytes'], rows)}
${
  subsets.length > 0 &&
  table(
    'Subsets',
    ['Subset', 'Documents', 'Kept', 'of all kept', 'Tokens'],
    subsets
      .slice(0, MOST_ROWS)
      .map(({ name, documents, kept, tokens }) => [
        html`<code>${name}</code>`,
        formatCount(documents),
        formatCount(kept),
        formatShare(kept, summary.kept),
        tokens > 0 ? formatCount(tokens) : '–',
      ]),
  )
}
${
  hosts.length > 0 &&
  html`<details class="more"><summary>Hosts of the documents that were kept</summary>${table(
    'Hosts',
    ['Host', 'Documents', 'of all kept'],
    hosts.slice(0, MOST_HOSTS).map(([host, documents]) => [host, formatCount(documents), formatShare(documents, summary.kept)]),
  )}</details>`
}`,
  }
}

export function factsSection({ plan, path }: AuditedRun): Section {
  const facts: Record<string, Json> = {
    'Run folder': path,
    'Pipeline file': plan.file,
    Seed: plan.seed,
    'Plan hash': plan.planHash,
    sluice: plan.sluice,
    'Node.js': plan.node,
    ...Object.fromEntries(Object.entries(plan.arguments).map(([name, value]) => [`--${name}`, value])),
    ...Object.fromEntries(Object.entries(plan.choices).map(([name, value]) => [`kept: ${name}`, value ?? null])),
  }
  const stages = plan.phases.flatMap((phase) => phase.stages).filter(({ kind }) => kind !== 'apply')
  return {
    id: 'facts',
    title: 'How it was made',
    lead: 'Enough to run it again and get the same bytes: the plan hash covers all of the options below.',
    body: html`<dl class="card pairs">${Object.entries(facts).map(([name, value]) => pair(name, value))}</dl>
<h3>Stages and their options</h3>
${stages.map(
  ({ name, kind, version, options }) =>
    html`<details class="card facts"><summary><strong>${name}</strong><span class="soft">${kind}, version ${version}</span></summary>${optionList(options)}</details>\n`,
)}`,
  }
}

function optionList(options: Json): Html {
  const entries = typeof options === 'object' && options !== null ? Object.entries(options) : []
  if (entries.length === 0) return html`<p class="pairs soft">No options.</p>`
  return html`<dl class="pairs">${entries.map(([name, value]) => pair(name, value))}</dl>`
}

function pair(name: string, value: unknown): Html {
  return html`<dt>${name}</dt><dd>${typeof value === 'string' ? value : html`<code>${JSON.stringify(value)}</code>`}</dd>`
}

const numberColumns = new Set([
  'Records',
  'of all records',
  'At byte',
  'At',
  'Shards',
  'Documents',
  'Kept',
  'Tokens',
  'Bytes',
  'of all kept',
])

/** Columns of numbers stand right. */
function table(name: string, heads: readonly string[], rows: readonly (readonly (Html | string)[])[]): Html {
  const side = (index: number) => (numberColumns.has(heads[index]) ? 'right' : '')
  return html`<div class="card scroll" tabindex="0" role="region" aria-label="${name}"><table><thead><tr>${heads.map((head, index) => html`<th class="${side(index)}">${head}</th>`)}</tr></thead><tbody>
${rows.map((row) => html`<tr>${row.map((cell, index) => html`<td class="${side(index)}">${cell}</td>`)}</tr>\n`)}</tbody></table></div>`
}

function rest(all: number, shown: number): Html | undefined {
  return all > shown ? html`<p class="soft">and ${formatCount(all - shown)} more, in the run folder</p>` : undefined
}
