import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { OrdinalSet } from '../../src/dedup/ordinal-set.ts'

test('numbers its members and finds the next one, over any limit', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1500 }), fc.array(fc.nat(2000), { maxLength: 80 }), (limit, list) => {
      const members = [...new Set(list.map((value) => value % limit))].sort((a, b) => a - b)
      const set = new OrdinalSet(limit)
      for (const member of members) set.add(member)
      assert.equal(set.number(), members.length)
      const seen: number[] = []
      for (let at = set.next(0); at < limit; at = set.next(at + 1)) seen.push(at)
      assert.deepEqual(seen, members)
      for (const [i, member] of members.entries()) assert.ok(set.rank(member) === i && set.has(member))
      assert.equal(set.has(limit - 1), members.at(-1) === limit - 1)
    }),
  )
})
