// A trie over UTF-16 units in one flat table: what finds the pieces of a vocabulary that begin at a place in a text.

import { powerOfTwo } from './bpe.ts'

export class Trie {
  /** i32[4 × slots]: node + 1, unit, child, unused. 0 marks the empty slot. Open addressing, at most half full. */
  readonly #slots: Int32Array
  readonly #mask: number
  /** By node: the id of the word that ends there, −1 where none does. Node 0 is the root. */
  readonly #ids: Int32Array
  #nodes = 1

  /** Of equal words the last one counts. */
  constructor(words: Iterable<readonly [word: string, id: number]>) {
    const all = [...words]
    const capacity = all.reduce((units, [word]) => units + word.length, 1)
    const slots = powerOfTwo(2 * capacity)
    this.#slots = new Int32Array(4 * slots)
    this.#mask = slots - 1
    this.#ids = new Int32Array(capacity).fill(-1)
    for (const [word, id] of all) if (word !== '') this.#add(word, id)
  }

  #add(word: string, id: number): void {
    let node = 0
    for (let i = 0; i < word.length; i++) {
      const unit = word.charCodeAt(i)
      const slot = this.#find(node, unit)
      if (this.#slots[slot] === 0) {
        this.#slots[slot] = node + 1
        this.#slots[slot + 1] = unit
        this.#slots[slot + 2] = this.#nodes++
      }
      node = this.#slots[slot + 2]
    }
    this.#ids[node] = id
  }

  /** The node that a unit leads to, −1 where no word goes on with it. */
  step(node: number, unit: number): number {
    const slot = this.#find(node, unit)
    return this.#slots[slot] === 0 ? -1 : this.#slots[slot + 2]
  }

  /** Id of the word that ends at a node, −1 where none does. */
  id(node: number): number {
    return this.#ids[node]
  }

  #find(node: number, unit: number): number {
    const slots = this.#slots
    const mask = this.#mask
    let hash = Math.imul(node, 0x9e3779b1) ^ Math.imul(unit, 0x85ebca6b)
    hash ^= hash >>> 15
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const slot = 4 * i
      const found = slots[slot]
      if (found === 0 || (found === node + 1 && slots[slot + 1] === unit)) return slot
    }
  }
}
