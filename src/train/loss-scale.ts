// Dynamic loss scaling for f16, whose smallest number is 6e-8: the loss is multiplied so that small gradients do not vanish, and
// the update divides by it again. The scale grows until gradients overflow, and then gives way (Micikevicius et al. 2018,
// arxiv.org/abs/1710.03740, section 3.2; the figures are those of PyTorch's GradScaler).

import { z } from 'zod'

const FIRST_SCALE = 2 ** 16
const GOOD_STEPS = 2000
/** Beyond it a loss of f32 overflows itself. */
const LARGEST_SCALE = 2 ** 32

export const lossScale = z.strictObject({
  /** A power of two from 1 on: scaling rounds nothing. */
  value: z.number().min(1),
  /** Since the scale last changed. */
  goodSteps: z.int().min(0),
})
export type LossScale = z.output<typeof lossScale>

export const firstLossScale: LossScale = { value: FIRST_SCALE, goodSteps: 0 }

/** After a step whose gradients were finite. */
export function afterGoodStep({ value, goodSteps }: LossScale): LossScale {
  if (goodSteps + 1 < GOOD_STEPS) return { value, goodSteps: goodSteps + 1 }
  return { value: Math.min(LARGEST_SCALE, value * 2), goodSteps: 0 }
}

/** After a step that was left out. */
export function afterOverflow({ value }: LossScale): LossScale {
  return { value: Math.max(1, value / 2), goodSteps: 0 }
}

/** Whether smaller gradients would have been finite: where nothing is scaled, the numbers are bad by themselves. */
export function isOverflow(scale: LossScale | undefined, gradientNorm: number): scale is LossScale {
  return scale !== undefined && scale.value > 1 && !Number.isFinite(gradientNorm)
}
