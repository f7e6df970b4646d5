// The report's tables about stages: the funnel, the reasons, the throughput.

import { formatBytes, formatCount, formatRate, formatSeconds, formatShare } from '../core/format.ts'
import type { Funnel, FunnelRow, Reason } from './funnel.ts'
import { type Html, html } from './html.ts'
import { sampleAnchor } from './report-samples.ts'
import type { Section } from './report-section.ts'
import type { Sample } from './samples.ts'

export function funnelSection(funnel: Funnel): Section {
  const { stages, documents, kept } = funnel
  return {
    id: 'funnel',
    title: 'Funnel',
    lead: html`Each bar is what reached a stage, as a share of all documents: <i class="legend keeps"></i>went on, <i class="legend drops"></i>ended there. Open a stage for its reasons.`,
    body: html`<div class="card funnel">
<div class="row head" aria-hidden="true"><span>Stage</span><span></span><span>In</span><span>Kept</span><span>Dropped</span><span>of its input</span><span>Text out</span></div>
${stages.map((row, index) => html`${index > 0 && stages[index - 1].phase !== row.phase && html`<div class="phase-cut" title="Here a phase ends: all documents of it were done before the next stage began."></div>`}${stageRow(row, documents)}`)}
<div class="row"><strong class="name">Kept</strong>${bar(kept, 0, documents)}<span class="narrow-off"></span><strong>${formatCount(kept)}</strong><span></span><span class="narrow-off"></span><span class="narrow-off"></span></div>
</div>`,
  }
}

function stageRow(row: FunnelRow, documents: number): Html {
  const ended = row.dropped + row.quarantined
  const cells = html`<span class="name">${row.stage}${row.variant && html`<small class="soft"> ${row.variant}</small>`}</span>${bar(row.kept, ended, documents)}<span class="narrow-off">${formatCount(row.in)}</span><span>${formatCount(row.kept)}</span><span>${ended > 0 ? `−${formatCount(ended)}` : '0'}</span><span class="narrow-off">${formatShare(ended, row.in)}</span><span class="narrow-off">${formatBytes(row.bytesOut)}</span>`
  const reasons = allReasons(row)
  if (reasons.length === 0) return html`<div class="row">${cells}</div>\n`
  return html`<details><summary class="row">${cells}</summary><ul class="reasons">${reasons.map(
    ({ reason, documents: count }) =>
      html`<li><code>${reason}</code><span>${formatCount(count)}</span><span class="soft">${formatShare(count, row.in)}</span>${bar(0, count, ended)}</li>`,
  )}</ul></details>\n`
}

function allReasons({ reasons, quarantined }: FunnelRow): Reason[] {
  return quarantined > 0 ? [...reasons, { reason: 'quarantined', documents: quarantined }] : [...reasons]
}

function bar(keeps: number, drops: number, whole: number): Html {
  const width = (part: number) => (whole === 0 ? 0 : Math.round((part / whole) * 10_000) / 100)
  return html`<span class="bar"><i class="keeps" style="width:${width(keeps)}%"></i><i class="drops" style="width:${width(drops)}%"></i></span>`
}

export function reasonsSection({ stages, dropped }: Funnel, samples: readonly Sample[]): Section {
  const rows = stages.flatMap(({ stage, in: entered, reasons }) => reasons.map((reason) => ({ stage, entered, ...reason })))
  rows.sort((a, b) => b.documents - a.documents)
  const hasSample = (stage: string, reason: string) => samples.some((sample) => sample.stage === stage && sample.reason === reason)
  return {
    id: 'reasons',
    title: 'Reasons',
    lead: 'Why documents were dropped, the most frequent first. A document counts once, under the first rule that it broke.',
    body:
      rows.length === 0
        ? html`<p>No document was dropped.</p>`
        : html`<div class="card scroll" tabindex="0" role="region" aria-label="Reasons"><table><thead><tr><th>Reason</th><th>Stage</th><th class="right">Documents</th><th class="right">of all dropped</th><th class="right">of its input</th><th></th></tr></thead><tbody>
${rows.map(
  ({ stage, reason, documents, entered }) =>
    html`<tr><td><code>${reason}</code></td><td>${stage}</td><td class="right">${formatCount(documents)}</td><td class="right">${formatShare(documents, dropped)}</td><td class="right">${formatShare(documents, entered)}</td><td>${hasSample(stage, reason) && html`<a href="#${sampleAnchor(stage, reason)}" aria-label="samples of ${reason}">read</a>`}</td></tr>\n`,
)}</tbody></table></div>`,
  }
}

export function throughputSection({ stages, seconds, inputBytes, documents }: Funnel): Section {
  const inStages = stages.reduce((sum, stage) => sum + stage.seconds, 0)
  const rest = Math.max(0, seconds - inStages)
  const row = (name: string, count: number, bytes: number, time: number) =>
    html`<tr><td>${name}</td><td class="right">${formatSeconds(time)}</td><td class="right">${formatShare(time, seconds)}</td><td class="wide">${bar(time, 0, seconds)}</td><td class="right">${formatRate(count, time)}</td><td class="right">${formatRate(bytes / 1e6, time)}</td></tr>\n`
  return {
    id: 'throughput',
    title: 'Throughput',
    lead: `${formatSeconds(seconds)} of worker time, ${formatRate(documents, seconds)} documents/s and ${formatRate(inputBytes / 1e6, seconds)} MB/s of input per worker. MB are of text or HTML that reached the stage.`,
    body: html`<div class="card scroll" tabindex="0" role="region" aria-label="Throughput"><table><thead><tr><th>Stage</th><th class="right">Time</th><th class="right">Share</th><th class="wide"></th><th class="right">Documents/s</th><th class="right">MB/s</th></tr></thead><tbody>
${stages.map((stage) => row(stage.stage, stage.in, stage.bytesIn, stage.seconds))}
${row('reading, writing, receipts, barriers’ own work', documents, inputBytes, rest)}</tbody></table></div>`,
  }
}
