import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decoderConfig } from '../../src/model/config.ts'
import { traceTraining } from '../../src/model/trace.ts'
import { differentiate } from '../../src/tensor/differentiate.ts'
import type { OpRecord } from '../../src/tensor/graph.ts'
import { type Life, lives, placeActivations, placePersistent } from '../../src/tensor/plan.ts'
import { ALIGNMENT_BYTES, paddedBytes } from '../../src/tensor/shape.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'

function assertApart(found: readonly Life[], offsets: ReadonlyMap<Tensor, number>, endBytes: number): void {
  const start = (life: Life) => offsets.get(life.tensor) ?? assert.fail(`${life.tensor.name} has no place`)
  const end = (life: Life) => start(life) + paddedBytes(life.tensor.shape)
  found.forEach((a, i) => {
    assert.equal(start(a) % ALIGNMENT_BYTES, 0)
    assert.ok(end(a) <= endBytes)
    for (const b of found.slice(i + 1)) {
      const bothLive = a.first <= b.last && b.first <= a.last
      assert.ok(!bothLive || end(a) <= start(b) || end(b) <= start(a), `${a.tensor.name} and ${b.tensor.name} overlap`)
    }
  })
}

test('no two tensors that live at once share bytes, whatever the program', () => {
  const program = fc.array(
    fc.record({ size: fc.integer({ min: 1, max: 5000 }), back: fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 3 }) }),
    { minLength: 1, maxLength: 40 },
  )
  fc.assert(
    fc.property(program, (steps) => {
      const made: Tensor[] = []
      const records = steps.map(({ size, back }, id): OpRecord => {
        const reads = Object.fromEntries(back.flatMap((n) => (n <= made.length ? [[`r${n}`, made[made.length - n]]] : [])))
        const y: Tensor = { id, name: `t${id}`, shape: [size], dtype: 'f32', role: 'activation' }
        made.push(y)
        return { kernel: 'add', reads, writes: { y }, adds: [], scratch: {}, attributes: {} }
      })
      const kept = new Set([made[made.length - 1]])
      const { offsets, endBytes } = placeActivations(records, kept, 128)
      assertApart(lives(records, kept), offsets, endBytes)
    }),
  )
})

test('a training program fits in less than the sum of its tensors, and nothing overlaps', () => {
  const config = decoderConfig.parse({ vocabularySize: 50, contextLength: 32, layers: 4, width: 32, heads: 4 })
  const { graph, losses } = traceTraining(config, { rows: 2, length: 32 })
  const { records } = differentiate(graph)
  const persistent = placePersistent(graph.tensors, 0)
  const kept = new Set([losses])
  const { offsets, endBytes } = placeActivations(records, kept, persistent.endBytes)
  const found = lives(records, kept)
  assertApart(found, offsets, endBytes)
  const sum = found.reduce((bytes, { tensor }) => bytes + paddedBytes(tensor.shape), 0)
  assert.ok(endBytes - persistent.endBytes < 0.8 * sum, `${endBytes - persistent.endBytes} of ${sum} bytes`)
})
