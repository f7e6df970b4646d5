// What runs a program. A device owns one arena of bytes; tensors are addresses in it, given by the memory plan.

import type { OpRecord } from './graph.ts'
import type { Operands, Tensor } from './tensor.ts'

/** Records with every address resolved: running it allocates nothing. */
export interface Program {
  readonly records: readonly OpRecord[]
}

/** Values by the names of inputs, as words: f32s and f64s by their bits. */
export type InputArrays = Readonly<Record<string, Int32Array>>

/** Inputs that the host writes again and again, while a program may still be reading what it wrote before. */
export interface Intake {
  /** Whether what is sent is kept apart until it is taken; else programs read the very arrays that are filled. */
  readonly isAhead: boolean
  /**
   * Has the arrays filled, and begins to bring them to the device without waiting for what runs there. Calling what is
   * returned makes them what later runs read. One may wait to be taken while others are sent and taken.
   */
  send(fill: (arrays: InputArrays) => void): () => void
}

export interface Device<P extends Program = Program> {
  readonly kind: 'cpu' | 'cuda' | 'reference'
  readonly name: string
  /** First byte that a plan may use, and the first that it may not. */
  readonly arenaStart: number
  readonly arenaEnd: number
  compile(records: readonly OpRecord[], at: (tensor: Tensor) => number): P
  /** Runs to the end. `recordMs`, one number a record, is added to where it is given. */
  run(program: P, recordMs?: Float64Array): void
  openIntake(inputs: Operands, at: (tensor: Tensor) => number): Intake
  upload(address: number, values: Float32Array | Int32Array): void
  /** Copies f32s out. */
  download(address: number, out: Float32Array): void
  /** f64 partial sums that a kernel left. */
  downloadDoubles(address: number, out: Float64Array): void
  fill(address: number, count: number, value: number): void
  dispose(): Promise<void>
}
