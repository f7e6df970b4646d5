// A histogram as inline SVG: bars over a logarithmic axis, what a threshold drops in another colour, the threshold as a line.

import { formatCount, formatNumber, formatShare } from '../core/format.ts'
import { binEdges, type Histogram } from '../engine/histogram.ts'
import { type Html, html } from './html.ts'
import type { Threshold } from './thresholds.ts'

const WIDTH = 360
const HEIGHT = 120
const BASE = 96
const TOP = 14
/** Bins of the histogram to a doubling of the value. */
const PER_DOUBLING = 8
/** Farther than this from the data, in doublings, a threshold is named at the edge and not drawn to scale. */
const REACH = 4
const MOST_BARS = 72
/** A bar of zeros that is so many times the next tallest is drawn broken, or it would flatten all others. */
const BROKEN_FROM = 1.5

/** Positions run along the axis in bins: logarithms to both sides of zero, which has a place of its own. */
interface Axis {
  readonly start: number
  readonly end: number
  readonly x: (position: number) => number
}

interface Bar {
  readonly from: number
  readonly to: number
  readonly count: number
  readonly isZero: boolean
}

/** False where there are too few different values for a picture: say them in words. */
export function hasShape({ bins }: Histogram): boolean {
  return Object.keys(bins).length > 2
}

export function histogramChart(name: string, histogram: Histogram, thresholds: readonly Threshold[]): Html {
  const inReach = thresholds.filter(({ value }) => isInReach(histogram, value))
  const scale = scaleOf(histogram, inReach)
  const places = inReach.map(({ value }) => scale.position(value))
  const start = Math.min(scale.low, ...places.map((place) => place - 2))
  const end = Math.max(scale.high, ...places.map((place) => place + 2))
  const axis: Axis = { start, end, x: (position) => ((position - start) / (end - start)) * WIDTH }
  const bars = barsOf(histogram, scale, end - start)
  const zeros = histogram.bins.zero ?? 0
  const others = Math.max(0, ...bars.filter(({ isZero }) => !isZero).map(({ count }) => count))
  const isBroken = others > 0 && zeros > others * BROKEN_FROM
  const tallest = isBroken ? others * BROKEN_FROM : Math.max(others, zeros)
  const height = (count: number) => Math.max(1.5, Math.min(1, count / tallest) * (BASE - TOP))
  const outOfReach = thresholds.filter((threshold) => !inReach.includes(threshold))
  const label = `${name}: ${formatCount(histogram.count)} documents from ${formatNumber(histogram.min)} to ${formatNumber(histogram.max)}${thresholds
    .map(({ option, value, drops }) => `, ${drops} ${formatNumber(value)} dropped by ${option}`)
    .join('')}`
  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${label}">
${bars.map((bar) => split(bar, thresholds, scale.position).map(({ from, to, isDropped }) => barShape(axis.x(from), axis.x(to), height(bar.count), isDropped)))}
${isBroken && breakMark(axis.x(-ZERO_WIDTH / 2), axis.x(ZERO_WIDTH / 2), formatShare(zeros, histogram.count))}
<line class="axis" x1="0" x2="${WIDTH}" y1="${BASE}" y2="${BASE}"/>
${ticks(scale, axis).map(({ x, text, anchor }) => html`<line class="axis" x1="${x}" x2="${x}" y1="${BASE}" y2="${BASE + 4}"/><text class="tick" x="${x}" y="${BASE + 16}" text-anchor="${anchor}">${text}</text>`)}
${inReach.map((threshold) => thresholdMark(round(axis.x(scale.position(threshold.value))), threshold))}
${outOfReach.map(({ drops, value }) => edgeMark(drops, value, value > histogram.max))}
</svg>`
}

function barShape(left: number, right: number, height: number, isDropped: boolean): Html {
  const gap = right - left > 3 ? 0.5 : 0
  return html`<rect class="${isDropped ? 'drops' : 'keeps'}" x="${round(left + gap)}" y="${round(BASE - height)}" width="${round(Math.max(0.4, right - left - gap * 2))}" height="${round(height)}"/>`
}

/** Two strokes across the bar of zeros, and how much it stands for. */
function breakMark(left: number, right: number, share: string): Html {
  const stroke = (y: number) => html`<line class="break" x1="${round(left - 2)}" x2="${round(right + 2)}" y1="${y + 3}" y2="${y - 3}"/>`
  return html`${[stroke(TOP + 14), stroke(TOP + 19)]}<text class="tick" x="${round(right + 4)}" y="${TOP + 9}">${share} at 0</text>`
}

function thresholdMark(x: number, { drops, value }: Threshold): Html {
  const isLeft = x > WIDTH - 60 || (drops === 'below' && x > 60)
  return html`<line class="threshold" x1="${x}" x2="${x}" y1="2" y2="${BASE}"/><text class="limit" x="${x + (isLeft ? -4 : 4)}" y="10" text-anchor="${isLeft ? 'end' : 'start'}">${drops === 'below' ? '<' : '>'} ${formatNumber(value)}</text>`
}

/** A threshold that lies far outside of the data. */
function edgeMark(drops: Threshold['drops'], value: number, isRight: boolean): Html {
  const text = `${drops === 'below' ? '<' : '>'} ${formatNumber(value)}`
  return isRight
    ? html`<text class="limit" x="${WIDTH}" y="10" text-anchor="end">${text} →</text>`
    : html`<text class="limit" x="0" y="10">← ${text}</text>`
}

/** A bar in the parts that thresholds cut it into. */
function split(
  bar: Bar,
  thresholds: readonly Threshold[],
  position: (value: number) => number,
): { from: number; to: number; isDropped: boolean }[] {
  const cuts = thresholds.map(({ value }) => position(value)).filter((cut) => cut > bar.from && cut < bar.to)
  const edges = [bar.from, ...cuts.sort((a, b) => a - b), bar.to]
  return edges.slice(1).map((to, index) => {
    const from = edges[index]
    const middle = (from + to) / 2
    const isDropped = thresholds.some(({ value, drops }) => (drops === 'below' ? middle < position(value) : middle > position(value)))
    return { from, to, isDropped }
  })
}

// ---- scale ----

interface Scale {
  readonly low: number
  readonly high: number
  readonly position: (value: number) => number
  /** Bounds in positions of a bin. */
  readonly bounds: (key: string) => readonly [from: number, to: number]
  readonly hasZero: boolean
  readonly isSigned: boolean
  readonly logs: { readonly smallest: number; readonly largest: number }
}

/** Bins of zero on the axis: wider than its neighbours, and apart from them. */
const ZERO_WIDTH = 3
const ZERO_GAP = 1.5

const log = (size: number) => Math.log2(size) * PER_DOUBLING

function isInReach({ bins }: Histogram, value: number): boolean {
  const { smallest, largest } = logRange(Object.keys(bins))
  return log(value) >= smallest - REACH * PER_DOUBLING && log(value) <= largest + REACH * PER_DOUBLING
}

/** Of the sizes that the bins stand for, zero left out, in logarithms; empty where they are all zero. */
function logRange(keys: readonly string[]): { smallest: number; largest: number } {
  const lows = keys.filter((key) => key !== 'zero').map((key) => Math.round(log(Math.min(...binEdges(key).map(Math.abs)))))
  return { smallest: Math.min(...lows), largest: Math.max(...lows) + 1 }
}

/** @param thresholds get a place on it too */
function scaleOf({ bins }: Histogram, thresholds: readonly Threshold[]): Scale {
  const keys = Object.keys(bins)
  const { smallest: lowest, largest } = logRange(keys)
  const smallest = Math.min(lowest, ...thresholds.map(({ value }) => log(value) - 2))
  const hasZero = 'zero' in bins
  const isSigned = keys.some((key) => key.startsWith('n'))
  const near = hasZero || isSigned ? ZERO_WIDTH / 2 + ZERO_GAP : 0
  const position = (value: number) => {
    if (value === 0) return 0
    // What is smaller than all that is shown stands in the gap between zero and the rest.
    return Math.sign(value) * Math.max(log(Math.abs(value)) - smallest + near, near && near - ZERO_GAP / 2)
  }
  const bounds = (key: string): readonly [number, number] => {
    if (key === 'zero') return [-ZERO_WIDTH / 2, ZERO_WIDTH / 2]
    const [lower, upper] = binEdges(key)
    return [position(lower), position(upper)]
  }
  const all = keys.map(bounds)
  return {
    low: Math.min(...all.map(([from]) => from)),
    high: Math.max(...all.map(([, to]) => to)),
    position,
    bounds,
    hasZero,
    isSigned,
    logs: { smallest, largest },
  }
}

/** Neighbouring bins are joined where there are more than the picture has room for. */
function barsOf(histogram: Histogram, scale: Scale, width: number): Bar[] {
  const step = Math.max(1, Math.ceil(width / MOST_BARS))
  const joined = new Map<string, Bar>()
  for (const [key, count] of Object.entries(histogram.bins)) {
    const [from, to] = scale.bounds(key)
    const group = key === 'zero' ? key : String(Math.floor((from - scale.low) / step + 1e-6) * Math.sign(from || 1))
    const bar = joined.get(group)
    joined.set(
      group,
      bar
        ? { ...bar, from: Math.min(bar.from, from), to: Math.max(bar.to, to), count: bar.count + count }
        : { from, to, count, isZero: key === 'zero' },
    )
  }
  return [...joined.values()].sort((a, b) => a.from - b.from)
}

/** Zero, and powers of ten, or of two where there are fewer than two of ten; not so near that they touch. */
function ticks(scale: Scale, axis: Axis): { x: number; text: string; anchor: string }[] {
  const candidates = scale.hasZero ? [0] : []
  const lowest = (scale.logs.smallest - 8 * REACH) / PER_DOUBLING
  const highest = (scale.logs.largest + 8 * REACH) / PER_DOUBLING
  const powers = (base: number) => {
    const all: number[] = []
    const signs = scale.isSigned ? [-1, 1] : [1]
    for (let exponent = Math.ceil(lowest / Math.log2(base)); exponent <= highest / Math.log2(base); exponent++) {
      const value = base ** exponent
      const isOnScale = Math.log2(value) * PER_DOUBLING >= scale.logs.smallest
      for (const signed of signs.map((sign) => sign * value))
        if (isOnScale && scale.position(signed) >= axis.start && scale.position(signed) <= axis.end) all.push(signed)
    }
    return all
  }
  const tens = powers(10)
  const values = [...candidates, ...(tens.length >= 2 ? tens : powers(2))].sort((a, b) => a - b)
  const out: { x: number; text: string; anchor: string }[] = []
  for (const value of values) {
    const x = round(axis.x(scale.position(value)))
    const last = out.at(-1)
    if (last && x - last.x < 42) continue
    out.push({ x, text: shortNumber(value), anchor: x < 14 ? 'start' : x > WIDTH - 14 ? 'end' : 'middle' })
  }
  return out
}

function shortNumber(value: number): string {
  const size = Math.abs(value)
  if (size >= 1e6) return `${formatNumber(value / 1e6)}M`
  if (size >= 1e4) return `${formatNumber(value / 1e3)}k`
  return formatNumber(value)
}

/**
 * The value below which this share of the documents lies, as exact as the bins are.
 *
 * @param share 0 to 1
 */
export function quantile(histogram: Histogram, share: number): number {
  const bins = Object.entries(histogram.bins).map(([key, count]) => ({ edges: binEdges(key), count }))
  bins.sort((a, b) => a.edges[0] - b.edges[0])
  let rest = share * histogram.count
  for (const { edges, count } of bins) {
    if (rest <= count) return clamp(edges[0] + (edges[1] - edges[0]) * (rest / count), histogram.min, histogram.max)
    rest -= count
  }
  return histogram.max
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value))
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
