// A law of scale, loss = floor + scale·x^−exponent, fitted to measured losses: the form of Hoffmann et al. 2022
// (arxiv.org/abs/2203.15556), along runs whose tokens grow with their parameters. Intervals are those of a likelihood ratio.

export interface Point {
  /** What is spent: floating-point operations of training, or parameters. */
  readonly x: number
  /** Nats a token. */
  readonly loss: number
  /** How much it counts, up to 1; default 1. */
  readonly weight?: number
}

export interface PowerLaw {
  /** What no size gets below. */
  readonly floor: number
  readonly exponent: number
  /** Root mean square of the relative differences to the points. */
  readonly misfit: number
  at(x: number): number
}

/** Nine in ten such runs end between `low` and `high`, where they follow the law. */
export interface Prediction {
  readonly loss: number
  readonly low: number
  readonly high: number
}

const FITTED_NUMBERS = 3
/** One more than the law has numbers tells its error. */
export const FEWEST_POINTS = FITTED_NUMBERS + 1
/** Intervals end here: four points that are far from a law say nothing. */
const LARGEST_FACTOR = 10
const SMALLEST_EXPONENT = 0.005
const LARGEST_EXPONENT = 2
const GRID = 60

/** The law of least squares of relative errors, weighted. @param points three or more, of different x */
export function fitPowerLaw(points: readonly Point[]): PowerLaw {
  const center = Math.exp(points.reduce((sum, { x }) => sum + Math.log(x), 0) / points.length)
  const lawAt = (exponent: number): PowerLaw => linearFit(points, center, exponent)
  const misfitAt = (logarithm: number) => lawAt(Math.exp(logarithm)).misfit
  const [low, high] = [Math.log(SMALLEST_EXPONENT), Math.log(LARGEST_EXPONENT)]
  const grid = Array.from({ length: GRID }, (_, i) => low + ((high - low) * i) / (GRID - 1))
  const best = grid.reduce((a, b) => (misfitAt(b) < misfitAt(a) ? b : a))
  const step = (high - low) / (GRID - 1)
  return lawAt(Math.exp(minimize(misfitAt, Math.max(low, best - step), Math.min(high, best + step))))
}

/**
 * What the law says of a larger x, and the interval of nine in ten: what a run there may reach without being further from a law
 * through all of them than Student's t allows, given how far the points are from theirs. The interval is longer upwards than
 * downwards where a floor may be near.
 *
 * @param points FEWEST_POINTS or more
 */
export function predict(points: readonly Point[], x: number): Prediction {
  const law = fitPowerLaw(points)
  const loss = law.at(x)
  const freedom = Math.max(1, Math.floor(totalWeight(points)) - FITTED_NUMBERS)
  const most = totalWeight(points) * law.misfit ** 2 * (1 + student90(freedom) ** 2 / freedom)
  const isLikely = (factor: number) => {
    const all = [...points, { x, loss: loss * factor }]
    return totalWeight(all) * fitPowerLaw(all).misfit ** 2 <= most
  }
  return { loss, low: loss / edge((factor) => isLikely(1 / factor)), high: loss * edge(isLikely) }
}

/** Of fewer points each is needed, and none can be told to be far off. */
const FEWEST_ROBUST = 8
/** In deviations: what lies further off does not count (Beaton & Tukey 1974). */
const TUKEY = 4.685

/**
 * The points with weights that fall with their distance from the law, so that a run that got stuck does not bend it: Tukey's
 * biweight, the deviation taken from the median distance.
 */
export function weighPoints(points: readonly Point[]): Required<Point>[] {
  let weighted = points.map(({ x, loss }) => ({ x, loss, weight: 1 }))
  if (points.length < FEWEST_ROBUST) return weighted
  for (let round = 0; round < 20; round++) {
    const law = fitPowerLaw(weighted)
    const distances = points.map(({ x, loss }) => Math.abs(law.at(x) / loss - 1))
    const deviation = 1.483 * distances.toSorted((a, b) => a - b)[points.length >> 1]
    weighted = points.map(({ x, loss }, i) => ({ x, loss, weight: Math.max(0, 1 - (distances[i] / (TUKEY * deviation)) ** 2) ** 2 }))
  }
  return weighted
}

const totalWeight = (points: readonly Point[]) => points.reduce((sum, { weight = 1 }) => sum + weight, 0)

/** The largest factor from 1 on, up to LARGEST_FACTOR, for which something holds that holds for 1 and for no factor beyond. */
function edge(holds: (factor: number) => boolean): number {
  let [inside, outside] = [0, 1e-4]
  while (holds(Math.exp(outside))) {
    if (outside > Math.log(LARGEST_FACTOR)) return LARGEST_FACTOR
    ;[inside, outside] = [outside, 2 * outside]
  }
  for (let i = 0; i < 20; i++) {
    const middle = (inside + outside) / 2
    if (holds(Math.exp(middle))) inside = middle
    else outside = middle
  }
  return Math.exp(inside)
}

/** What Student's t stays below nine times in ten, in size; Cornish and Fisher's expansion beyond the table. */
function student90(freedom: number): number {
  const table = [6.314, 2.92, 2.353, 2.132, 2.015, 1.943]
  return table[freedom - 1] ?? 1.645 + 1.524 / freedom + 1.42 / freedom ** 2
}

/** Floor and scale of least relative squares for one exponent, neither below zero. */
function linearFit(points: readonly Point[], center: number, exponent: number): PowerLaw {
  let uu = 0,
    uv = 0,
    vv = 0,
    u1 = 0,
    v1 = 0
  for (const { x, loss, weight = 1 } of points) {
    const u = 1 / loss,
      v = (x / center) ** -exponent / loss
    uu += weight * u * u
    uv += weight * u * v
    vv += weight * v * v
    u1 += weight * u
    v1 += weight * v
  }
  const determinant = uu * vv - uv * uv
  let floor = determinant > 0 ? (u1 * vv - v1 * uv) / determinant : 0
  let scale = determinant > 0 ? (v1 * uu - u1 * uv) / determinant : v1 / vv
  if (floor < 0) [floor, scale] = [0, v1 / vv]
  if (scale < 0) [floor, scale] = [u1 / uu, 0]
  const at = (x: number) => floor + scale * (x / center) ** -exponent
  const misfit = Math.sqrt(points.reduce((sum, { x, loss, weight = 1 }) => sum + weight * (at(x) / loss - 1) ** 2, 0) / totalWeight(points))
  return { floor, exponent, misfit, at }
}

/** Golden section: of a function with one valley between the bounds. */
function minimize(f: (x: number) => number, low: number, high: number): number {
  const golden = (Math.sqrt(5) - 1) / 2
  let [a, b] = [low, high]
  for (let i = 0; i < 60; i++) {
    const [c, d] = [b - golden * (b - a), a + golden * (b - a)]
    if (f(c) < f(d)) b = d
    else a = c
  }
  return (a + b) / 2
}
