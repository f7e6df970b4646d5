// Learning-rate schedules: a linear warm-up, then cosine (Loshchilov & Hutter 2017, arxiv.org/abs/1608.03983), linear,
// warm-up–stable–decay (Hu et al. 2024, arxiv.org/abs/2404.06395; its 1 − √ cooldown from Hägele et al. 2024,
// arxiv.org/abs/2405.18392), the inverse square root (Raffel et al. 2020, arxiv.org/abs/1910.10683) or constant.

export const schedules = ['cosine', 'linear', 'wsd', 'inverse-sqrt', 'constant'] as const

export interface Schedule {
  readonly schedule: (typeof schedules)[number]
  /** The highest rate. */
  readonly learningRate: number
  /** Where it ends, as a share of the highest. */
  readonly finalShare: number
  readonly warmupSteps: number
  readonly steps: number
  /** Last share of the steps over which `wsd` decays. */
  readonly decayShare: number
}

/** The rate of a step. Steps count from 1; the last one has the final rate, but of `inverse-sqrt`, which knows no last. */
export function learningRateAt(plan: Schedule, step: number): number {
  const { learningRate, finalShare, warmupSteps, steps, decayShare } = plan
  if (step <= warmupSteps) return (learningRate * step) / warmupSteps
  if (plan.schedule === 'inverse-sqrt') return learningRate * Math.sqrt(Math.max(1, warmupSteps) / step)
  const start = plan.schedule === 'wsd' ? Math.max(warmupSteps, Math.round(steps * (1 - decayShare))) : warmupSteps
  const progress = Math.min(1, Math.max(0, (step - start) / Math.max(1, steps - start)))
  return learningRate * (finalShare + (1 - finalShare) * shapes[plan.schedule](progress))
}

/** From 1 at progress 0 down to 0 at progress 1. */
const shapes: Record<Exclude<Schedule['schedule'], 'inverse-sqrt'>, (progress: number) => number> = {
  cosine: (progress) => (1 + Math.cos(Math.PI * progress)) / 2,
  linear: (progress) => 1 - progress,
  wsd: (progress) => 1 - Math.sqrt(progress),
  constant: () => 1,
}
