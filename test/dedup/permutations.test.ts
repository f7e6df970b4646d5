import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { drawPermutations, MersenneTwister, mersennePrime } from '../../src/dedup/permutations.ts'

const reference = new URL('../../../shared/conformance/minhash_params_seed1.json', import.meta.url)

test('the twister’s first and ten-thousandth numbers are those of its authors', () => {
  // mt19937ar with init_genrand(5489), the default seed; the C++ standard prescribes the 10,000th as 4123659995.
  const twister = new MersenneTwister(5489)
  const numbers = Array.from({ length: 10_000 }, () => twister.uint32())
  assert.equal(numbers[0], 3499211612)
  assert.equal(numbers[9999], 4123659995)
})

test('seed 1 draws the reference’s permutations', { skip: existsSync(reference) ? false : 'no ../shared/conformance here' }, () => {
  const { a, b } = JSON.parse(readFileSync(reference, 'utf8'))
  const drawn = drawPermutations(1, 112)
  assert.deepEqual(Array.from(drawn.a, String), a)
  assert.deepEqual(Array.from(drawn.b, String), b)
})

test('other seeds draw what numpy draws', () => {
  // RandomState(seed): randint(1, 2**61 - 1, dtype=uint64, size=3), then randint(0, …)
  assert.deepEqual(Array.from(drawPermutations(42, 3).a, String), ['2297359619001564596', '1396682528897996047', '1973689801170867272'])
  assert.deepEqual(Array.from(drawPermutations(42, 3).b, String), ['1819927849474927636', '572192888165898361', '571748048327668950'])
  assert.deepEqual(Array.from(drawPermutations(2 ** 32 - 1, 3).a, String), [
    '1800993050274709795',
    '689591756664908872',
    '720074238920031809',
  ])
})

test('factors are never zero and all stay below the prime', () => {
  const { a, b } = drawPermutations(7, 1000)
  assert.ok(a.every((value) => value > 0n && value < mersennePrime))
  assert.ok(b.every((value) => value >= 0n && value < mersennePrime))
})
