import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Graph } from '../../src/tensor/graph.ts'
import * as ops from '../../src/tensor/ops.ts'
import { relativeBucket } from '../../src/tensor/relative-bucket.ts'
import { layOut, runOn } from './harness.ts'

/** First distance of each bucket from 8 on, as the released code of T5 has it. */
const firstDistances = {
  bidirectional: { exact: 8, starts: [8, 12, 16, 23, 32, 46, 64, 91] },
  causal: { exact: 16, starts: [16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113] },
}

test("distances fall into T5's buckets, those on a boundary and beyond the last included", () => {
  for (const [kind, { exact, starts }] of Object.entries(firstDistances)) {
    const bidirectional = Number(kind === 'bidirectional')
    const bucket = (distance: number) => relativeBucket(distance, 32, { maxDistance: 128, bidirectional })
    for (let distance = 0; distance < exact; distance++) assert.equal(bucket(-distance), distance)
    starts.forEach((start, i) => {
      assert.deepEqual([bucket(-start), bucket(1 - start)], [exact + i, exact + i - 1], `${kind} ${start}`)
    })
    assert.equal(bucket(-1_000_000), exact + starts.length - 1)
    assert.deepEqual([bucket(1), bucket(1_000_000)], bidirectional ? [17, 31] : [0, 0])
  }
})

test('the CPU device has every distance in the bucket where the rule has it', async () => {
  for (const bidirectional of [true, false])
    for (const [buckets, maxDistance] of [
      [32, 128],
      [64, 1000],
      [12, 9],
    ]) {
      const graph = new Graph()
      const w = graph.tensor('w', [buckets, 1], 'input')
      const shape = { length: 1500, keyLength: 1400, maxDistance, bidirectional }
      const y = ops.relativeBias(graph, w, shape)
      const run = await runOn(
        'cpu',
        graph,
        layOut(graph, graph.records),
        new Map([[w, Float32Array.from({ length: buckets }, (_, i) => i)]]),
      )
      const expected = Float32Array.from({ length: 2899 }, (_, i) =>
        relativeBucket(i - 1499, buckets, { maxDistance, bidirectional: Number(bidirectional) }),
      )
      assert.deepEqual(run.values(y), expected)
    }
})
