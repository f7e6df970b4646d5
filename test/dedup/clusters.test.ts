import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { measureClusters, UnionFind } from '../../src/dedup/clusters.ts'

const count = 30
const ordinal = fc.integer({ min: 0, max: count - 1 })
const pairs = fc.array(fc.tuple(ordinal, ordinal), { maxLength: 40 })

test('the order of the unions does not matter, and each root is its set’s lowest member', () => {
  fc.assert(
    fc.property(pairs, (list) => {
      const forward = new UnionFind(count)
      const backward = new UnionFind(count)
      for (const [a, b] of list) forward.union(a, b)
      for (const [a, b] of [...list].reverse()) backward.union(b, a)
      for (let i = 0; i < count; i++) {
        assert.equal(forward.find(i), backward.find(i))
        assert.ok(forward.find(i) <= i)
      }
    }),
  )
})

test('the survivor is the most preferred member, the lowest of equals', () => {
  const sets = new UnionFind(6)
  sets.union(4, 1)
  sets.union(1, 5)
  const { size, survivor } = measureClusters(sets, 6, Float64Array.of(0, 1, 0, 0, 9, 9))
  assert.equal(size[1], 3)
  assert.equal(survivor?.[1], 4)
  assert.equal(measureClusters(sets, 6).survivor, undefined)
})
