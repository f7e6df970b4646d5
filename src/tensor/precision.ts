// What numbers are rounded to where matrices are multiplied. Sums, losses, weights and moments are f32 in any case.

/** On a GPU activations are kept in it, too. */
export const precisions = ['f32', 'bf16', 'f16'] as const
export type Precision = (typeof precisions)[number]

/** On a CPU operands are rounded on their way into a product. */
export const cpuPrecisions = ['f32', 'bf16'] as const
export type CpuPrecision = (typeof cpuPrecisions)[number]
