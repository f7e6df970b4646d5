// The parameters of a model, declared under the names and in the order of its published checkpoints. Matrices that read the
// same input lie side by side in one tensor, so that they are one product.

import type { Graph } from '../tensor/graph.ts'
import { elements } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'

/** Matrices that are one tensor; each part is a named range of it. */
export interface ParameterBlock {
  readonly tensor: Tensor
  readonly parts: readonly ParameterPart[]
  readonly role: ParameterRole
}

export interface ParameterPart {
  readonly name: string
  readonly shape: readonly number[]
  /** First element within the block. */
  readonly offset: number
  readonly start: Start
}

/** What optimizers tell apart: `matrix` is one inside a block; `vector` a norm or a bias; `embedding` any table that is looked up. */
export type ParameterRole = 'embedding' | 'matrix' | 'vector' | 'head'

/** What a parameter begins as: ones, or normal numbers of this deviation. */
export type Start = 'ones' | number

export interface Linear {
  readonly w: Tensor
  readonly b?: Tensor
  /** w is [inputs, outputs], as GPT-2 keeps it. */
  readonly inOut: boolean
}

export interface Norm {
  readonly w: Tensor
  readonly b?: Tensor
}

export interface LinearOptions {
  readonly start: Start | readonly Start[]
  readonly biases?: boolean
  readonly inOut?: boolean
  readonly role?: ParameterRole
}

export class Declarations {
  readonly blocks: ParameterBlock[] = []
  readonly #graph: Graph

  constructor(graph: Graph) {
    this.#graph = graph
  }

  /** One named tensor, or parts that differ in their first dimension only, stacked along it. */
  declare(role: ParameterRole, parts: readonly Omit<ParameterPart, 'offset'>[]): Tensor {
    const first = parts.reduce((sum, { shape }) => sum + shape[0], 0)
    const tensor = this.#graph.tensor(parts.map(({ name }) => name).join('|'), [first, ...parts[0].shape.slice(1)], 'parameter')
    let offset = 0
    const placed = parts.map((part) => {
      const at = offset
      offset += elements(part.shape)
      return { ...part, offset: at }
    })
    this.blocks.push({ tensor, parts: placed, role })
    return tensor
  }

  table(name: string, shape: readonly number[], start: Start, role: ParameterRole = 'embedding'): Tensor {
    return this.declare(role, [{ name, shape, start }])
  }

  norm(name: string, width: number, hasBias: boolean): Norm {
    const w = this.declare('vector', [{ name: `${name}.weight`, shape: [width], start: 'ones' }])
    return hasBias ? { w, b: this.declare('vector', [{ name: `${name}.bias`, shape: [width], start: 0 }]) } : { w }
  }

  /** Several outputs of one input: one product. */
  linear(names: readonly string[], inputs: number, outputs: readonly number[], options: LinearOptions): Linear {
    const { start, biases = false, inOut = false, role = 'matrix' } = options
    const startOf = (i: number): Start => (typeof start === 'object' ? start[i] : start)
    const w = this.declare(
      role,
      names.map((name, i) => ({ name: `${name}.weight`, shape: inOut ? [inputs, outputs[i]] : [outputs[i], inputs], start: startOf(i) })),
    )
    if (!biases) return { w, inOut }
    const b = this.declare(
      'vector',
      names.map((name, i) => ({ name: `${name}.bias`, shape: [outputs[i]], start: 0 })),
    )
    return { w, b, inOut }
  }
}
