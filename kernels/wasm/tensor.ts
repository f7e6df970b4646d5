// asc: --importMemory --sharedMemory --maximumMemory 65536
// asc64: --importMemory --sharedMemory --maximumMemory 262144
// The kernels of the CPU device, one module over the memory that its threads share. Each is (arguments, block, scratch);
// blocks of one launch may run at once and in any order, and depend on shapes alone: any number of threads, the same bits.

import { GEMM_SCRATCH_FLOATS } from './tensor/gemm'

export { attention, attentionScratchFloats, attentionSights } from './tensor/attention'
export { attentionBackward, sumRows } from './tensor/attention-backward'
export { attentionRow, joinCache, weighLine } from './tensor/attention-row'
export { activation, activationBackward, adamw, add, gated, gatedBackward, scale, squareSum } from './tensor/elements'
export { columnSums, gemm, rowTimesMatrix } from './tensor/gemm'
export { headNorm, headNormBackward, relativeBias, relativeBiasBackward } from './tensor/heads'
export { fetchBlock, packPairs, packPanel, packRows, storeBlock } from './tensor/panels'
export { rope } from './tensor/rope'
export { crossEntropy, embedding, embeddingBackward, norm, normBackward, normWeightBackward } from './tensor/rows'
export { average, muonMomentum, muonUpdate, normalize, polynomial } from './tensor/update'

/** Floats of scratch that a thread needs for products. */
export function gemmScratchFloats(): i32 { return GEMM_SCRATCH_FLOATS }
