// Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon): the momentum of a matrix, with its singular values pulled to
// about 1 by the Newton–Schulz iteration X ← a·X + b·(XXᵀ)X + c·(XXᵀ)²X. It multiplies the smaller Gram matrix of the two.

/** a, b, c: steep at 0, so that five iterations bring singular values from 0.01 up to between 0.7 and 1.2. */
export const NEWTON_SCHULZ = [3.4445, -4.775, 2.0315] as const
/** Odd: the iterations go to and fro between two buffers, and the last ends in the second. */
export const NEWTON_SCHULZ_STEPS = 5

/**
 * What an orthogonal update is multiplied with, so that its elements are as large as AdamW's and one learning rate does for
 * both: Liu et al. 2025, arxiv.org/abs/2502.16982, equation 4.
 */
export const muonFactor = (rows: number, columns: number) => 0.2 * Math.sqrt(Math.max(rows, columns))
