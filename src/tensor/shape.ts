// Element types and shapes. Everything is dense and row major; an element has four bytes.

export type DType = 'f32' | 'i32'
export type Shape = readonly number[]

/** Tensors begin at multiples of this and are padded to it: a cache line, and room for a vector that reaches past the end. */
export const ALIGNMENT_BYTES = 64

/**
 * Elements that one block of a launch takes, as in kernels/wasm/tensor/math.ts. square_sum leaves one f64 for each such block on
 * every device, so that the norm is the same sum for any number of threads.
 */
export const ELEMENTS_PER_BLOCK = 16384

export function elements(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1)
}

/** The last dimension: the length of a row. */
export function rowLength(shape: Shape): number {
  return shape[shape.length - 1] ?? 1
}

/** How many rows there are when all dimensions but the last are flattened. */
export function rowCount(shape: Shape): number {
  return elements(shape) / rowLength(shape)
}

/** Bytes that a tensor of this shape occupies, padding included. */
export function paddedBytes(shape: Shape): number {
  return Math.ceil((elements(shape) * 4) / ALIGNMENT_BYTES) * ALIGNMENT_BYTES
}
