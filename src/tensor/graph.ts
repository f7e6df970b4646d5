// The tape: a model is a function over symbolic tensors, and running it once leaves the list of operations. Nothing is
// computed here; shapes are fixed, so what follows (backward records, memory plan, launches) is computed once as well.

import { SluiceError } from '../core/errors.ts'
import { type OpName, operations } from './operations.ts'
import type { DType, Shape } from './shape.ts'
import type { Attributes, Operands, Role, Tensor } from './tensor.ts'

/** Besides the operations of models, what only the update of the parameters runs. */
export type KernelName = OpName | `${OpName}_backward` | UpdateName | GateName | FusedName
export type UpdateName = 'square_sum' | 'adamw' | 'muon_momentum' | 'orthogonalize' | 'muon_update' | 'average'
/** Whether an update is made, for devices that a host should not wait for before it. */
export type GateName = 'loss_sum' | 'gate'
/** Two records in one, for devices that join them (src/tensor/cuda/fusion.ts). */
export type FusedName = 'linear_gelu' | 'gelu_linear_backward'

export interface OpRecord {
  readonly kernel: KernelName
  readonly reads: Operands
  readonly writes: Operands
  /** Names in `writes` that are added to instead of overwritten. */
  readonly adds: readonly string[]
  /** Memory that means nothing before and after. */
  readonly scratch: Operands
  readonly attributes: Attributes
}

/** In the place of a kernel that a device does without: its host decides on updates, and nothing is joined for it. */
export function noKernel({ kernel }: OpRecord): never {
  throw new RangeError(`no kernel for ${kernel} on this device`)
}

export class Graph {
  readonly tensors: Tensor[] = []
  readonly records: OpRecord[] = []
  readonly #overwritten = new Set<Tensor>()

  tensor(name: string, shape: Shape, role: Role, dtype: DType = 'f32', storage?: Tensor): Tensor {
    const tensor: Tensor = { id: this.tensors.length, name, shape, dtype, role, storage }
    this.tensors.push(tensor)
    return tensor
  }

  /**
   * Records one operation and returns what it writes: `y`, and what it saves for the backward pass.
   *
   * @throws SluiceError SLUICE_TENSOR_TAPE where an input was overwritten by an operation that works in place
   */
  apply(kernel: OpName, reads: Operands, attributes: Attributes = {}): Operands {
    const definition = operations[kernel]
    for (const { name } of Object.values(reads).filter((tensor) => this.#overwritten.has(tensor)))
      throw new SluiceError('SLUICE_TENSOR_TAPE', `${kernel} reads ${name}, which was overwritten in place`)
    if (definition.inPlace) this.#overwritten.add(reads[definition.inPlace])
    const writes: Record<string, Tensor> = {}
    for (const [name, shape] of Object.entries(definition.shapes(reads, attributes)))
      writes[name] = this.tensor(
        `${kernel}.${name}`,
        shape,
        'activation',
        'f32',
        definition.inPlace && name === 'y' ? reads[definition.inPlace] : undefined,
      )
    const record: OpRecord = {
      kernel,
      reads,
      writes,
      adds: [],
      scratch: this.scratch(kernel, definition.scratch?.(reads, attributes) ?? {}),
      attributes,
    }
    this.records.push(record)
    return writes
  }

  /** Memory that one record needs while it runs. */
  scratch(kernel: KernelName, shapes: Readonly<Record<string, Shape>>): Operands {
    return Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, this.tensor(`${kernel}.${name}`, shape, 'activation')]))
  }
}
