// Tables of positions: rotary angles (Su et al. 2021, arxiv.org/abs/2104.09864), stretched for long contexts as in Llama 3.1,
// and ALiBi's slopes (Press et al. 2022, arxiv.org/abs/2108.12409).

export interface RopeScaling {
  readonly factor: number
  readonly lowFrequencyFactor: number
  readonly highFrequencyFactor: number
  readonly originalLength: number
}

/**
 * curve(position · frequency of d), the frequency being theta^(−2d/D).
 *
 * @param shape positions, D/2
 * @param curve Math.cos or Math.sin
 */
export function rotaryValues(
  [positions, half]: readonly number[],
  theta: number,
  curve: (angle: number) => number,
  scaling?: RopeScaling,
): Float32Array {
  const values = new Float32Array(positions * half)
  for (let d = 0; d < half; d++) {
    const frequency = stretched(theta ** (-d / half), scaling)
    for (let t = 0; t < positions; t++) values[t * half + d] = curve(t * frequency)
  }
  return values
}

/** Slow frequencies divided by the factor, fast ones kept, a ramp between (Llama 3.1's released code). */
function stretched(frequency: number, scaling?: RopeScaling): number {
  if (!scaling) return frequency
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalLength } = scaling
  const turns = (originalLength * frequency) / (2 * Math.PI)
  const share = Math.min(1, Math.max(0, (turns - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor)))
  return frequency * (share + (1 - share) / factor)
}

/** −slope·|key − query|, f32[heads, 2·length − 1] by key − query + length − 1. */
export function alibiValues(heads: number, length: number): Float32Array {
  const distances = 2 * length - 1
  const values = new Float32Array(heads * distances)
  alibiSlopes(heads).forEach((slope, head) => {
    for (let i = 0; i < distances; i++) values[head * distances + i] = -slope * Math.abs(i - length + 1)
  })
  return values
}

/** 2^(−8·i/heads); where heads are no power of two, the missing ones come from the series of twice as many, every other one. */
function alibiSlopes(heads: number): number[] {
  const power = 2 ** Math.floor(Math.log2(heads))
  const series = (count: number) => Array.from({ length: count }, (_, i) => 2 ** ((-8 * (i + 1)) / count))
  const between = series(2 * power).filter((_, i) => i % 2 === 0)
  return [...series(power), ...between.slice(0, heads - power)]
}
