// From pairs of documents that agree on a band to clusters: union-find over ordinals in flat arrays.

/** The root of each set is its lowest ordinal, whatever the order of the unions: so the result depends on the pairs only. */
export class UnionFind {
  readonly count: number
  readonly #parent: Uint32Array

  constructor(count: number) {
    this.count = count
    this.#parent = new Uint32Array(count)
    for (let i = 0; i < count; i++) this.#parent[i] = i
  }

  find(ordinal: number): number {
    const parent = this.#parent
    let at = ordinal
    // Path halving: each visited node is linked to its grandparent.
    while (parent[at] !== at) {
      parent[at] = parent[parent[at]]
      at = parent[at]
    }
    return at
  }

  union(a: number, b: number): void {
    const first = this.find(a)
    const second = this.find(b)
    if (first < second) this.#parent[second] = first
    else this.#parent[first] = second
  }
}

export interface Clusters {
  /** u32[documents]; only the root's entry counts. */
  readonly size: Uint32Array
  /** u32[documents], of the root: the ordinal of the document that is most preferred, the lowest of equals. */
  readonly survivor: Uint32Array | undefined
}

/** Counts the members, and finds each cluster's survivor where preferences are given: f64[documents], higher is better. */
export function measureClusters(sets: UnionFind, documents: number, preferences?: Float64Array): Clusters {
  const size = new Uint32Array(documents)
  const survivor = preferences && new Uint32Array(documents)
  for (let i = 0; i < documents; i++) {
    const root = sets.find(i)
    // A root is the lowest of its set, hence the first that comes by.
    if (size[root]++ === 0 || !preferences || !survivor) {
      if (survivor) survivor[root] = i
    } else if (preferences[i] > preferences[survivor[root]]) survivor[root] = i
  }
  return { size, survivor }
}
