import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createSigner, fineWebParameters, type MinhashParameters, minhashReference, shingleHashes } from '../../src/dedup/minhash.ts'
import { drawPermutations } from '../../src/dedup/permutations.ts'

const words = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `w${from + i}`)
const anyWords = fc.array(fc.stringMatching(/^[a-zé東😀]{1,12}$/u), { maxLength: 40 })

function sign(document: readonly string[], parameters: MinhashParameters): BigUint64Array | undefined {
  const signer = createSigner(parameters)
  return signer.sign(document) ? signer.minima() : undefined
}

function plainSignature(document: readonly string[], parameters: MinhashParameters): BigUint64Array | undefined {
  const shingles = shingleHashes(document, parameters)
  const { seed, bands, hashesPerBand, precision } = parameters
  return shingles.length === 0 ? undefined : minhashReference(shingles, drawPermutations(seed, bands * hashesPerBand), precision)
}

for (const hash of ['xxhash', 'sha1'] as const) {
  for (const precision of [64, 32] as const) {
    test(`the kernel signs as the plain code does: ${hash}, ${precision} bits`, () => {
      const parameters = fc.record({
        shingleWords: fc.integer({ min: 1, max: 32 }),
        bands: fc.integer({ min: 1, max: 9 }),
        hashesPerBand: fc.integer({ min: 1, max: 5 }),
        seed: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      })
      fc.assert(
        fc.property(anyWords, parameters, (document, chosen) => {
          const all = { ...chosen, hash, precision }
          assert.deepEqual(sign(document, all), plainSignature(document, all))
        }),
        { numRuns: 60 },
      )
    })

    test(`documents longer than the kernel's block of shingles: ${hash}, ${precision} bits`, () => {
      const parameters = { ...fineWebParameters, bands: 3, hash, precision }
      const document = words(0, 1200)
      assert.deepEqual(sign(document, parameters), plainSignature(document, parameters))
    })
  }
}

test('agreement of signatures estimates Jaccard similarity', () => {
  // 3000 shared shingles of 5000 in all: Jaccard 0.6. Four standard errors at m = 256: 4·√(0.6·0.4/256) ≈ 0.12
  for (const precision of [64, 32] as const) {
    const parameters = { ...fineWebParameters, shingleWords: 1, bands: 32, precision }
    const a = sign(words(0, 4000), parameters)
    const b = sign(words(1000, 5000), parameters)
    assert.ok(a && b)
    const estimate = a.filter((value, k) => value === b[k]).length / a.length
    assert.ok(Math.abs(estimate - 0.6) < 0.12, `estimated ${estimate} in ${precision} bits`)
  }
})

test('order and repeats of shingles do not matter', () => {
  const parameters = { ...fineWebParameters, shingleWords: 1 }
  const document = words(0, 50)
  assert.deepEqual(sign([...document].reverse(), parameters), sign(document, parameters))
  assert.deepEqual(sign([...document, ...document], parameters), sign(document, parameters))
})

test('fewer words than a shingle have no signature', () => {
  const signer = createSigner(fineWebParameters)
  assert.equal(signer.sign(words(0, 4)), false)
  assert.equal(signer.sign(words(0, 5)), true)
})

test('equal bands have equal hashes, and a changed value changes its band only', () => {
  const signer = createSigner({ ...fineWebParameters, shingleWords: 1 })
  const bandsOf = (document: string[]) => {
    signer.sign(document)
    const hashes = signer.bandHashes()
    return Array.from({ length: 14 }, (_, band) => `${hashes[2 * band + 1]}:${hashes[2 * band]}`)
  }
  const minimaOf = (document: string[]) => {
    signer.sign(document)
    return signer.minima()
  }
  const a = words(0, 300)
  const b = words(5, 305)
  const [first, second] = [minimaOf(a), minimaOf(b)]
  const agree = Array.from({ length: 14 }, (_, band) => [0, 1, 2, 3, 4, 5, 6, 7].every((k) => first[8 * band + k] === second[8 * band + k]))
  assert.ok(agree.includes(true) && agree.includes(false))
  const [firstBands, secondBands] = [bandsOf(a), bandsOf(b)]
  assert.deepEqual(
    firstBands.map((hash, band) => hash === secondBands[band]),
    agree,
  )
})

test('words given by number have the same signature, while their lexicon grows and when another takes its place', () => {
  const signer = createSigner({ ...fineWebParameters, shingleWords: 2 })
  const plain = createSigner({ ...fineWebParameters, shingleWords: 2 })
  const lexicons: string[][] = [[], [], ['x'.repeat(100_000), 'é'.repeat(40)]]
  const documents = fc.array(fc.tuple(fc.nat(2), anyWords), { minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(documents, (list) => {
      for (const [chosen, document] of list) {
        const lexicon = lexicons[chosen]
        const ids = Int32Array.from(document, (word) => (lexicon.includes(word) ? lexicon.indexOf(word) : lexicon.push(word) - 1))
        assert.equal(signer.signIds(lexicon, ids), plain.sign(document))
        if (document.length >= 2) assert.deepEqual(signer.minima(), plain.minima())
        assert.equal(signer.signJoined('two words'), true)
      }
    }),
    { numRuns: 60 },
  )
})

test('words that are one text already have the same signature', () => {
  const signer = createSigner(fineWebParameters)
  const document = words(0, 70)
  signer.sign(document)
  const minima = signer.minima()
  assert.ok(signer.signJoined(document.join(' ')))
  assert.deepEqual(signer.minima(), minima)
  assert.equal(signer.signJoined('only four words here'), false)
  assert.equal(signer.signJoined(''), false)
})

test('a word with a blank in it is a broken promise, not another signature', () => {
  assert.throws(() => createSigner(fineWebParameters).sign(['a b', 'c', 'd', 'e', 'f']), /blanks/)
})
