// The page of a training run: its curves as one HTML file that needs nothing else, no network and no script. While the run
// goes on it loads itself again now and then.

import { counted, formatCount, formatNumber, formatSeconds, formatShare } from '../core/format.ts'
import { packageVersion } from '../core/version.ts'
import { Html, html } from './html.ts'
import { type Line, lineChart, type Point } from './line-chart.ts'
import { reportStyle } from './report-style.ts'
import type { TrainingHistory } from './training-log.ts'

/** Weight of the newest value in a smoothed curve of many. */
const SMOOTHING = 1 / 20
/** From this share of the planned steps on, curves are drawn over all of them: before, they would be a stroke at the edge. */
const WHOLE_FROM = 1 / 4
/** Seconds after which an unfinished run's page is loaded again. */
const RELOAD_SECONDS = 30

const style = `
.charts { grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); }
svg .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
svg .line.keeps { stroke: var(--keeps); fill: none; }
svg .line.drops { stroke: var(--drops); fill: none; }
svg .band { opacity: .18; }
svg .mark { stroke: var(--warn); stroke-width: 1; stroke-dasharray: 2 3; }
.layout { display: block; max-width: 1240px; }
`

/** @param name of the run, in the title */
export function trainingPage(name: string, history: TrainingHistory): string {
  const { start, steps } = history
  const planned = start?.settings.steps ?? 0
  const last = steps.at(-1)
  const isFinished = last !== undefined && last.step >= planned
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
${!isFinished && html`<meta http-equiv="refresh" content="${RELOAD_SECONDS}">`}
<meta name="generator" content="sluice ${packageVersion}">
<title>${name} · training</title>
<style>${new Html(reportStyle + style)}</style>
</head>
<body>
<div class="layout">
<header>
<p class="kicker">Training run</p>
<h1>${name}</h1>
<p>${start && `${formatCount(start.parameters)} parameters, ${inputsOf(start)}.`}</p>
${trouble(history)}
<dl class="numbers">${numbers(history, planned).map(([term, value, note]) => html`<div><dt>${term}</dt><dd>${value}${note && html`<small>${note}</small>`}</dd></div>`)}</dl>
</header>
<main>
<section aria-label="Curves"><div class="charts">${charts(history, endOf(history, planned))}</div></section>
</main>
<footer>Made by sluice ${packageVersion} from the run's log.jsonl. Across: steps.${!isFinished && ` Loads itself again every ${RELOAD_SECONDS} seconds.`}</footer>
</div>
</body>
</html>
`.text
}

function numbers({ steps, evaluations }: TrainingHistory, planned: number): [term: string, value: string, note?: string][] {
  const last = steps.at(-1)
  const evaluation = evaluations.at(-1)
  const best = evaluations.reduce((lowest, { loss }) => Math.min(lowest, loss), Number.POSITIVE_INFINITY)
  const figures: [string, string, string?][] = []
  if (last) {
    const left = secondsLeft(steps, planned)
    const rest = left > 0 ? `, ${formatSeconds(left)} left` : ''
    figures.push(['Step', formatCount(last.step), `of ${formatCount(planned)}, ${formatShare(last.step, planned)}${rest}`])
    figures.push(['Training loss', (smooth(steps.map(lossOf)).at(-1)?.y ?? last.loss).toFixed(3), 'nats a target, smoothed'])
  }
  if (evaluation)
    figures.push(['Validation loss', evaluation.loss.toFixed(3), `step ${formatCount(evaluation.step)}, best ${best.toFixed(3)}`])
  if (evaluation?.bitsPerByte) figures.push(['Bits per byte', evaluation.bitsPerByte.toFixed(3), 'of held-out text'])
  if (typeof evaluation?.accuracy === 'number') figures.push(['Right', formatShare(evaluation.accuracy, 1), 'of held-out examples'])
  if (last) {
    figures.push(['Tokens', formatCount(last.seenTokens), 'trained on'])
    const use = last.utilization === undefined ? undefined : `${(last.utilization * 100).toFixed(0)} % of what the machine can`
    figures.push(['Tokens/s', formatCount(last.tokensPerSecond), use])
  }
  return figures
}

/** At the pace of the last steps, evaluations and saving left out. */
function secondsLeft(steps: TrainingHistory['steps'], planned: number): number {
  const recent = steps.slice(-50)
  const pace = recent.reduce((sum, { tokensPerSecond }) => sum + 1 / tokensPerSecond, 0) / recent.length
  const { step, seenTokens } = recent[recent.length - 1]
  return Math.max(0, planned - step) * (seenTokens / step) * pace
}

/** Where the axis of steps ends. */
function endOf({ steps, skips }: TrainingHistory, planned: number): number {
  const last = Math.max(steps.at(-1)?.step ?? 0, skips.at(-1)?.step ?? 0)
  return last < WHOLE_FROM * planned ? last : Math.max(planned, last)
}

function inputsOf({ shards, settings: { objective } }: NonNullable<TrainingHistory['start']>): string {
  const isOfExamples = objective === 'classify' || objective === 'pairs'
  return isOfExamples ? `${counted(shards.length, 'file')} of examples` : `${counted(shards.length, 'shard')} of tokens`
}

function trouble({ skips, rollbacks }: TrainingHistory): Html | undefined {
  if (skips.length + rollbacks.length === 0) return undefined
  const reasons = [...skips, ...rollbacks].flatMap(({ step, reason }) => (reason === undefined ? [] : [{ step, reason }]))
  const newest = reasons.toSorted((a, b) => b.step - a.step).slice(0, 5)
  return html`<div class="notice">${formatCount(skips.length)} ${skips.length === 1 ? 'step was' : 'steps were'} left out${rollbacks.length > 0 && `, ${formatCount(rollbacks.length)} ${rollbacks.length === 1 ? 'time' : 'times'} the run went back to a checkpoint`}. <code>sluice trace --step N</code> names the pages of a step.
<ul>${newest.map(({ step, reason }) => html`<li>step ${formatCount(step)}: ${reason}</li>`)}</ul></div>`
}

function charts({ steps, evaluations, skips }: TrainingHistory, end: number): Html[] {
  const options = { end, mayBeLogarithmic: true }
  const marks = skips.map(({ step }) => step)
  const measured = (value: (evaluation: TrainingHistory['evaluations'][number]) => number | null | undefined): Line => ({
    name: 'validation',
    kind: 'drops',
    points: evaluations.map((evaluation) => ({ x: evaluation.step, y: value(evaluation) ?? Number.NaN })),
    hasDots: true,
  })
  const of = (value: (step: TrainingHistory['steps'][number]) => number): Point[] => steps.map((step) => ({ x: step.step, y: value(step) }))
  const lines: [title: string, lines: Line[], isLinear?: boolean][] = [
    ['Loss, nats a target', [{ name: 'training', kind: 'keeps', points: steps.map(lossOf) }, measured(({ loss }) => loss)]],
    ['Bits per byte of held-out text', [measured(({ bitsPerByte }) => bitsPerByte)], true],
    ['Share right of held-out examples', [measured(({ accuracy }) => accuracy)], true],
    ['Norm of the gradient, before it is clipped', [{ name: 'norm', kind: 'keeps', points: of(({ gradientNorm }) => gradientNorm) }]],
    ['Learning rate', [{ name: 'rate', kind: 'keeps', points: of(({ learningRate }) => learningRate) }], true],
    ['Tokens a second', [{ name: 'tokens/s', kind: 'keeps', points: of(({ tokensPerSecond }) => tokensPerSecond) }], true],
    ['Share of peak arithmetic', [{ name: 'share', kind: 'keeps', points: of(({ utilization = Number.NaN }) => utilization) }], true],
  ]
  return lines.flatMap(([title, drawn, isLinear]) => {
    const chart = lineChart(label(title, drawn), drawn, { ...options, mayBeLogarithmic: !isLinear, marks: isLinear ? [] : marks })
    return chart ? [figure(title, drawn, chart)] : []
  })
}

function figure(title: string, lines: readonly Line[], chart: Html): Html {
  const legend = lines.length > 1 && lines.map(({ name, kind }) => html` <i class="legend ${kind}"></i>${name}`)
  return html`<figure class="card"><figcaption><b>${title}</b><span class="soft">${legend}</span></figcaption>${chart}</figure>\n`
}

/** What the chart shows, for who cannot see it. */
function label(title: string, lines: readonly Line[]): string {
  const ranges = lines
    .map(({ name, points }) => ({ name, points: points.filter(({ y }) => Number.isFinite(y)) }))
    .filter(({ points }) => points.length > 0)
    .map(({ name, points }) => `${name} from ${formatNumber(points[0].y)} to ${formatNumber(points[points.length - 1].y)}`)
  return `${title}: ${ranges.join(', ')}`
}

const lossOf = ({ step, loss }: { readonly step: number; readonly loss: number }): Point => ({ x: step, y: loss })

function smooth(points: readonly Point[]): Point[] {
  let mean: number | undefined
  return points.map(({ x, y }) => {
    mean = mean === undefined ? y : mean + SMOOTHING * (y - mean)
    return { x, y: mean }
  })
}
