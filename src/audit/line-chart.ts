// Curves over the steps of a run as inline SVG: axes with round numbers, any number of lines, many points drawn as the band
// between their extremes with their mean in it.

import { formatNumber } from '../core/format.ts'
import { type Html, html } from './html.ts'

const WIDTH = 640
const HEIGHT = 230
const LEFT = 52
const RIGHT = 8
const TOP = 8
const BOTTOM = 24
/** Points of a line that are drawn: more would fall on one another. */
const MOST_POINTS = 280
/** Values that span this factor are drawn over a logarithmic axis, where the chart allows. */
const LOGARITHMIC_FROM = 30

export interface Point {
  readonly x: number
  readonly y: number
}

export interface Line {
  readonly name: string
  /** Class of its colour. */
  readonly kind: 'keeps' | 'drops'
  /** By x. */
  readonly points: readonly Point[]
  /** Each point as a dot with its value: for few points. */
  readonly hasDots?: boolean
}

export interface ChartOptions {
  /** Where the x axis ends: steps planned. */
  readonly end: number
  readonly mayBeLogarithmic?: boolean
  /** Vertical strokes: steps that were left out. */
  readonly marks?: readonly number[]
}

/** Undefined where there is nothing to draw. */
export function lineChart(
  label: string,
  lines: readonly Line[],
  { end, mayBeLogarithmic = false, marks = [] }: ChartOptions,
): Html | undefined {
  const drawn = lines.map((line) => ({
    ...line,
    columns: columnsOf(
      line.points.filter(({ y }) => Number.isFinite(y)),
      end,
    ),
  }))
  const values = drawn.flatMap(({ columns }) => columns.flatMap(({ low, high }) => [low, high]))
  if (values.length === 0) return undefined
  const axis = axisOf(Math.min(...values), Math.max(...values), mayBeLogarithmic)
  const x = (step: number) => round(LEFT + (step / Math.max(1, end)) * (WIDTH - LEFT - RIGHT))
  const y = (value: number) => round(HEIGHT - BOTTOM - axis.share(value) * (HEIGHT - TOP - BOTTOM))
  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${label}">
${axis.ticks.map((value) => html`<line class="axis" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value)}" y2="${y(value)}"/><text x="${LEFT - 6}" y="${y(value) + 4}" text-anchor="end">${formatNumber(value)}</text>`)}
${stepTicks(end).map((step) => html`<text x="${x(step)}" y="${HEIGHT - 6}" text-anchor="${step === 0 ? 'start' : step === end ? 'end' : 'middle'}">${formatNumber(step)}</text>`)}
${marks.map((step) => html`<line class="mark" x1="${x(step)}" x2="${x(step)}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/>`)}
${drawn.map(({ name, kind, columns, hasDots }) => [
  columns.some(({ low, high }) => high > low) && html`<polygon class="band ${kind}" points="${bandOf(columns, x, y)}"/>`,
  html`<polyline class="line ${kind}" points="${columns.map(({ at, mean }) => `${x(at)},${y(mean)}`).join(' ')}"/>`,
  (hasDots || columns.length === 1) && // a line of one point is none
    columns.map(
      ({ at, mean }) =>
        html`<circle class="dot ${kind}" cx="${x(at)}" cy="${y(mean)}" r="3"><title>${`${name} ${formatNumber(mean)} at step ${formatNumber(at)}`}</title></circle>`,
    ),
])}
</svg>`
}

interface Column {
  readonly at: number
  readonly low: number
  readonly high: number
  readonly mean: number
}

/** Points that would share a column of the drawing, as one. */
function columnsOf(points: readonly Point[], end: number): Column[] {
  const columns: { at: number; low: number; high: number; sum: number; count: number }[] = []
  const width = points.length > MOST_POINTS ? end / MOST_POINTS : 0
  for (const { x, y } of points) {
    const last = columns[columns.length - 1]
    if (last && width > 0 && Math.floor(x / width) === Math.floor(last.at / width)) {
      last.low = Math.min(last.low, y)
      last.high = Math.max(last.high, y)
      last.sum += y
      last.count++
    } else columns.push({ at: x, low: y, high: y, sum: y, count: 1 })
  }
  return columns.map(({ at, low, high, sum, count }) => ({ at, low, high, mean: sum / count }))
}

function bandOf(columns: readonly Column[], x: (step: number) => number, y: (value: number) => number): string {
  const upper = columns.map(({ at, high }) => `${x(at)},${y(high)}`)
  const lower = columns.map(({ at, low }) => `${x(at)},${y(low)}`).reverse()
  return [...upper, ...lower].join(' ')
}

interface Axis {
  readonly ticks: readonly number[]
  /** 0 at the lower end, 1 at the upper. */
  readonly share: (value: number) => number
}

function axisOf(low: number, high: number, mayBeLogarithmic: boolean): Axis {
  if (mayBeLogarithmic && low > 0 && high / low >= LOGARITHMIC_FROM) return logarithmicAxis(low, high)
  const reach = high - low || Math.abs(high) || 1
  const step = roundStep(reach / 4)
  const [first, last] = [Math.floor(low / step + 1e-9), Math.ceil(high / step - 1e-9)]
  const [bottom, top] = first === last ? [first - 1, last + 1] : [first, last]
  const ticks = Array.from({ length: top - bottom + 1 }, (_, i) => Number(((bottom + i) * step).toPrecision(12)))
  return { ticks, share: (value) => (value / step - bottom) / (top - bottom) }
}

function logarithmicAxis(low: number, high: number): Axis {
  const [bottom, top] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))]
  const every = Math.ceil((top - bottom) / 5)
  const ticks = Array.from({ length: Math.floor((top - bottom) / every) + 1 }, (_, i) => 10 ** (bottom + i * every))
  return { ticks, share: (value) => (Math.log10(value) - bottom) / (top - bottom) }
}

/** 1, 2, 2.5 or 5 times a power of ten, at least as large. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least))
  const factor = [1, 2, 2.5, 5, 10].find((candidate) => candidate * power >= least * (1 - 1e-9)) ?? 10
  return factor * power
}

function stepTicks(end: number): number[] {
  const step = Math.max(1, roundStep(end / 4))
  const ticks: number[] = []
  for (let at = 0; at <= end - step / 2; at += step) ticks.push(at)
  return [...ticks, end]
}

const round = (value: number) => Math.round(value * 10) / 10
