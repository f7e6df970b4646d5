// What transformers are put together from: residual parts with their norm before or after (Xiong et al. 2020,
// arxiv.org/abs/2002.04745), feed-forward parts, and what attention knows of positions.

import type { Graph } from '../tensor/graph.ts'
import * as ops from '../tensor/ops.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { GATED, type GatedActivation, isGated, type ModelConfig, type PlainActivation } from './config.ts'
import type { Linear, Norm, ParameterBlock } from './parameters.ts'
import { alibiValues, type RopeScaling, rotaryValues } from './positions.ts'

/** A tensor whose values follow from the configuration alone. */
export interface Constant {
  readonly tensor: Tensor
  values(): Float32Array
}

/** What a traced model is given by name, besides its parameters. */
export interface Tape {
  readonly graph: Graph
  readonly constants: readonly Constant[]
  readonly inputs: Readonly<Record<string, Tensor>>
}

export interface Head {
  /** [outputs, width] */
  readonly w: Tensor
  readonly b?: Tensor
}

/** A model without its loss. */
export interface Trunk extends Tape {
  readonly parameters: readonly ParameterBlock[]
  /** Every position of a decoder, of an encoder, of the source side of an encoder-decoder: f32[positions, width]. */
  readonly hidden: Tensor
  /** What the head reads: f32[targets, width]. */
  readonly read: Tensor
  readonly head: Head
}

interface LayerOptions {
  readonly norm: 'layernorm' | 'rmsnorm'
  readonly normPlace: 'pre' | 'post'
  readonly normEpsilon: number
  readonly activation: PlainActivation | GatedActivation
}

/** The layers of one model on one tape. */
export class Layers {
  readonly #graph: Graph
  readonly #options: LayerOptions

  constructor(graph: Graph, options: LayerOptions) {
    this.#graph = graph
    this.#options = options
  }

  linear(x: Tensor, { w, b, inOut }: Linear): Tensor {
    return ops.linear(this.#graph, x, w, b, inOut)
  }

  norm(x: Tensor, { w, b }: Norm): Tensor {
    const { norm, normEpsilon } = this.#options
    return norm === 'layernorm' ? ops.layerNorm(this.#graph, x, w, b, normEpsilon) : ops.rmsNorm(this.#graph, x, w, normEpsilon)
  }

  activate(x: Tensor): Tensor {
    const { activation } = this.#options
    return isGated(activation) ? ops.gated(this.#graph, x, GATED[activation]) : ops.activation(this.#graph, x, activation)
  }

  /** x + part(norm(x)), or norm(x + part(x)). Without a norm before, x was normalized already. */
  residual(x: Tensor, norm: Norm | undefined, part: (x: Tensor) => Tensor): Tensor {
    const { normPlace } = this.#options
    if (normPlace === 'pre') return ops.add(this.#graph, x, part(norm ? this.norm(x, norm) : x))
    const sum = ops.add(this.#graph, x, part(x))
    return norm ? this.norm(sum, norm) : sum
  }

  feedForward(x: Tensor, up: Linear, down: Linear): Tensor {
    return this.linear(this.activate(this.linear(x, up)), down)
  }
}

/** What turns queries and keys by their positions, f32[positions, headSize/2] each. */
export interface RotaryTables {
  readonly cosines: Tensor
  readonly sines: Tensor
}

interface PositionOptions {
  readonly positions: 'rotary' | 'learned' | 'alibi' | 'none'
  readonly heads: number
  readonly headSize: number
  readonly ropeTheta: number
  readonly localRopeTheta?: number
  readonly ropeScaling?: RopeScaling
}

/** Positions that attention itself knows, as constants of a tape, each made where it is first asked for. */
export class AttentionPositions {
  readonly constants: Constant[] = []
  readonly #graph: Graph
  readonly #options: PositionOptions
  readonly #length: number
  readonly #tables = new Map<number, RotaryTables>()
  #alibi: Tensor | undefined

  /** @param length positions that rows may have */
  constructor(graph: Graph, options: PositionOptions, length: number) {
    this.#graph = graph
    this.#options = options
    this.#length = length
  }

  /** @param isLocal whether the layer has a window */
  rotary(isLocal: boolean): RotaryTables | undefined {
    const { positions, ropeTheta, localRopeTheta, ropeScaling, headSize } = this.#options
    if (positions !== 'rotary') return undefined
    const theta = isLocal ? (localRopeTheta ?? ropeTheta) : ropeTheta
    const known = this.#tables.get(theta)
    if (known) return known
    const shape: [number, number] = [this.#length, headSize / 2]
    const tables = {
      cosines: this.#graph.tensor('cosines', shape, 'constant'),
      sines: this.#graph.tensor('sines', shape, 'constant'),
    }
    const values = (curve: (angle: number) => number) => () => rotaryValues(shape, theta, curve, ropeScaling)
    this.constants.push({ tensor: tables.cosines, values: values(Math.cos) }, { tensor: tables.sines, values: values(Math.sin) })
    this.#tables.set(theta, tables)
    return tables
  }

  /** f32[heads, 2·length − 1], added to the scores by the distance of key and query. */
  bias(): Tensor | undefined {
    const { positions, heads } = this.#options
    if (positions !== 'alibi') return undefined
    if (this.#alibi) return this.#alibi
    const length = this.#length
    const tensor = this.#graph.tensor('alibi', [heads, 2 * length - 1], 'constant')
    this.constants.push({ tensor, values: () => alibiValues(heads, length) })
    this.#alibi = tensor
    return tensor
  }
}

/** What attention of any kind is told about its heads. */
export function headShape({ heads, headSize, ...rest }: ModelConfig): ops.HeadShape {
  return { heads, kvHeads: 'kvHeads' in rest ? rest.kvHeads : heads, headSize }
}
