// Which distances of key and query share a bias. Raffel et al. 2020, arxiv.org/abs/1910.10683, as the released code rounds:
// logarithms in f32, so that a distance on a boundary falls where the checkpoints were trained to have it.

import type { Attributes } from './tensor.ts'

/**
 * Half of the buckets hold one distance each, the others grow with the logarithm of the distance up to maxDistance.
 *
 * @param distance key − query
 * @param buckets of both directions together where bidirectional is 1; else keys after the query share bucket 0
 */
export function relativeBucket(distance: number, buckets: number, { maxDistance, bidirectional }: Attributes): number {
  const f32 = Math.fround
  const own = bidirectional ? buckets / 2 : buckets
  const first = bidirectional && distance > 0 ? own : 0
  const reach = bidirectional ? Math.abs(distance) : Math.max(0, -distance)
  const exact = Math.floor(own / 2)
  if (reach < exact) return first + reach
  const share = f32(f32(Math.log(f32(reach / exact))) / f32(Math.log(maxDistance / exact)))
  return first + Math.min(own - 1, exact + Math.trunc(f32(share * (own - exact))))
}
