// Chance without random state: a number that depends on a document's id and a seed only, so that every run and every
// machine draws the same documents.

/** Uniform in [0, 1): the same id and seed, the same number. Different seeds give independent draws. */
export function idFraction(id: string, seed = 0): number {
  let high = mix(seed ^ 0x9e3779b9)
  for (let i = 0; i < id.length; i++) high = mix(Math.imul(high, 31) ^ id.charCodeAt(i))
  const low = mix(high ^ 0x85ebca6b)
  return ((high >>> 0) * 2 ** 21 + (low >>> 11)) / 2 ** 53
}

/** The finalizer of MurmurHash3: every bit of the input moves every bit of the output. */
function mix(hash: number): number {
  let h = hash | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
