// A law of scale, loss = floor + scale·x^−exponent, fitted to measured losses: the form of Hoffmann et al. 2022
// (arxiv.org/abs/2203.15556), along runs whose tokens grow with their parameters. Errors are the jackknife's: the fit is made
// again without each point.

export interface Point {
  /** What is spent: floating-point operations of training, or parameters. */
  readonly x: number
  /** Nats a token. */
  readonly loss: number
}

export interface PowerLaw {
  /** What no size gets below. */
  readonly floor: number
  readonly exponent: number
  /** Root mean square of the relative differences to the points. */
  readonly misfit: number
  at(x: number): number
}

export interface Prediction {
  readonly loss: number
  /** Standard error. */
  readonly error: number
}

/** Three numbers are fitted; the jackknife leaves one point out. */
export const FEWEST_POINTS = 4
const SMALLEST_EXPONENT = 0.005
const LARGEST_EXPONENT = 2
const GRID = 60

/** The law of least squares of relative errors. @param points three or more, of different x */
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

/** What the law says of a larger x, and how far that hangs on single points. @param points FEWEST_POINTS or more */
export function predict(points: readonly Point[], x: number): Prediction {
  const loss = fitPowerLaw(points).at(x)
  const count = points.length
  const without = points.map((_, left) => fitPowerLaw(points.filter((_, i) => i !== left)).at(x))
  const mean = without.reduce((a, b) => a + b, 0) / count
  return { loss, error: Math.sqrt(((count - 1) / count) * without.reduce((sum, other) => sum + (other - mean) ** 2, 0)) }
}

/** Floor and scale of least relative squares for one exponent, neither below zero. */
function linearFit(points: readonly Point[], center: number, exponent: number): PowerLaw {
  let uu = 0,
    uv = 0,
    vv = 0,
    u1 = 0,
    v1 = 0
  for (const { x, loss } of points) {
    const u = 1 / loss,
      v = (x / center) ** -exponent / loss
    uu += u * u
    uv += u * v
    vv += v * v
    u1 += u
    v1 += v
  }
  const determinant = uu * vv - uv * uv
  let floor = determinant > 0 ? (u1 * vv - v1 * uv) / determinant : 0
  let scale = determinant > 0 ? (v1 * uu - u1 * uv) / determinant : v1 / vv
  if (floor < 0) [floor, scale] = [0, v1 / vv]
  if (scale < 0) [floor, scale] = [u1 / uu, 0]
  const at = (x: number) => floor + scale * (x / center) ** -exponent
  const misfit = Math.sqrt(points.reduce((sum, { x, loss }) => sum + (at(x) / loss - 1) ** 2, 0) / points.length)
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
