import assert from 'node:assert/strict'
import { test } from 'node:test'
import { normalInto, philoxInto, uniform } from '../../src/tensor/rng.ts'

const draw = (key: readonly [number, number], counter: readonly [number, number, number, number]) => {
  const out = new Uint32Array(4)
  philoxInto(key[0], key[1], counter, out)
  return [...out]
}

test('Philox4x32-10 gives the known answers of Random123', () => {
  assert.deepEqual(draw([0, 0], [0, 0, 0, 0]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8])
  const ones = 0xffffffff
  assert.deepEqual(draw([ones, ones], [ones, ones, ones, ones]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd])
  const pi = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344] as const
  assert.deepEqual(draw([0xa4093822, 0x299f31d0], pi), [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1])
})

test('normal numbers have the mean and deviation asked for, and streams differ', () => {
  const values = new Float32Array(40_001)
  normalInto(1, 0, 0, 2, values)
  const mean = values.reduce((a, b) => a + b, 0) / values.length
  const deviation = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length)
  // four standard errors of the mean, 4·2/√40000 = 0.04, and of the deviation, 0.03
  assert.ok(Math.abs(mean) < 0.04, `mean ${mean}`)
  assert.ok(Math.abs(deviation - 2) < 0.03, `deviation ${deviation}`)
  assert.notEqual(uniform(1, 0, 0, 0), uniform(1, 0, 1, 0))
})
