// The report's histograms: by stage, those with a threshold first, the others behind a click.

import { formatCount, formatNumber } from '../core/format.ts'
import type { Histogram } from '../engine/histogram.ts'
import { hasShape, histogramChart, quantile } from './histogram-chart.ts'
import { type Html, html } from './html.ts'
import type { AuditedRun } from './read-run.ts'
import type { Section } from './report-section.ts'
import { type Threshold, thresholdsOf } from './thresholds.ts'

interface Chart {
  readonly name: string
  readonly histogram: Histogram
  readonly thresholds: readonly Threshold[]
}

export function statisticsSection({ phases }: AuditedRun): Section | undefined {
  const stages = phases.flatMap(({ stages: frozen, summary }) =>
    summary.stages.map(({ name, statistics }, index) => ({
      name,
      charts: Object.entries(statistics)
        .filter(([, { count, missing }]) => count + missing > 0)
        .map(([statistic, histogram]): Chart => ({ name: statistic, histogram, thresholds: thresholdsOf(frozen[index], statistic) })),
    })),
  )
  const measured = stages.filter(({ charts }) => charts.length > 0)
  if (measured.length === 0) return undefined
  return {
    id: 'statistics',
    title: 'Statistics',
    lead: html`What the stages measured on the documents that reached them, on logarithmic axes. <i class="legend drops"></i>is the side that a threshold drops; the line is the threshold.`,
    body: html`${measured.map(({ name, charts }) => stageCharts(name, charts))}`,
  }
}

function stageCharts(stage: string, charts: readonly Chart[]): Html {
  const shaped = charts.filter(({ histogram }) => hasShape(histogram))
  const bounded = shaped.filter(({ thresholds }) => thresholds.length > 0)
  const others = shaped.filter(({ thresholds }) => thresholds.length === 0)
  const flat = charts.filter(({ histogram }) => !hasShape(histogram))
  const more = html`${others.length > 0 && html`<div class="charts">${others.map(figure)}</div>`}${flat.length > 0 && html`<ul class="plain">${flat.map(inWords)}</ul>`}`
  const hidden = others.length + flat.length
  return html`<h3>${stage}</h3>
${bounded.length > 0 && html`<div class="charts">${bounded.map(figure)}</div>`}
${hidden > 0 && html`<details class="more"><summary>${bounded.length > 0 ? `${formatCount(hidden)} more without a threshold` : `${formatCount(hidden)} without a threshold`}</summary>${more}</details>`}\n`
}

function figure({ name, histogram, thresholds }: Chart): Html {
  const { min, max, sum, count, missing } = histogram
  const values = [
    `min ${formatNumber(min)}`,
    `median ${formatNumber(quantile(histogram, 0.5))}`,
    `mean ${formatNumber(sum / count)}`,
    `max ${formatNumber(max)}`,
    ...(missing > 0 ? [`not measured on ${formatCount(missing)}`] : []),
  ]
  return html`<figure class="card"><figcaption><b><code>${name}</code></b><span class="soft">${thresholds.map(({ option }) => option).join(', ')}</span></figcaption>${histogramChart(name, histogram, thresholds)}<p>${values.join(' · ')}</p></figure>`
}

function inWords({ name, histogram }: Chart): Html {
  const { min, max, count, bins, missing } = histogram
  if (count === 0) return html`<li><code>${name}</code>: not measured on ${formatCount(missing)}</li>`
  if (min === max) return html`<li><code>${name}</code>: ${formatNumber(min)} on ${formatCount(count)}</li>`
  const zero = bins.zero ?? 0
  const others = min < 0 || max - min > 1 ? `${formatNumber(min === 0 ? max : min)} to ${formatNumber(max)}` : formatNumber(max)
  return html`<li><code>${name}</code>: ${zero > 0 && `0 on ${formatCount(zero)}, `}${zero > 0 ? (min === 0 ? `up to ${formatNumber(max)}` : others) : `${formatNumber(min)} to ${formatNumber(max)}`} on ${formatCount(count - zero)}</li>`
}
