// How the CUDA device runs each record: which kernels of kernels/cuda on which grid, which matrix products. Grids depend on
// shapes alone and sums have a fixed order, so the results have the same bits every time.

import type { KernelName, OpRecord } from '../graph.ts'
import type { Precision } from '../precision.ts'
import { elements } from '../shape.ts'
import { storageOf, type Tensor } from '../tensor.ts'
import { attentionLaunches } from './attention-launches.ts'
import { elementLaunches } from './element-launches.ts'
import { embeddingLaunches } from './embedding-launches.ts'
import type { ElementType, Launch, Operand } from './launch.ts'
import { linearLaunches } from './linear-launches.ts'
import { normLaunches } from './norm-launches.ts'
import { type Context, copyOf, elementwise, int, type Lower, whole } from './operands.ts'
import { positionLaunches } from './position-launches.ts'
import { updateLaunches } from './update-launches.ts'

const lowerings: Readonly<Record<KernelName, Lower>> = {
  ...linearLaunches,
  ...embeddingLaunches,
  ...normLaunches,
  ...positionLaunches,
  ...attentionLaunches,
  ...elementLaunches,
  ...updateLaunches,
}

/** Lowers the records of one device, which holds what all of its programs need. */
export interface Lowering {
  readonly precision: Precision
  /** What each tensor's elements are. i32 tensors count as f32 here: four bytes. */
  typeOf(tensor: Tensor): ElementType
  /** Tensors kept in f32 of which products read a copy in the precision. */
  readonly copies: ReadonlySet<Tensor>
  launchesOf(record: OpRecord): Launch[]
  /** Brings the copy of a tensor up to date after it was written from outside. */
  refresh(tensor: Tensor): Launch[]
  /** Of memory that any record needs while it runs. */
  readonly workspaceBytes: number
}

/**
 * @param records of all programs that the device will run
 * @throws SluiceError SLUICE_CUDA_PRECISION where a record mixes types in a way that no kernel takes, SLUICE_CUDA_ATTENTION
 *   where heads are larger than any kernel takes
 */
export function createLowering(records: readonly OpRecord[], precision: Precision): Lowering {
  const full = fullTensors(records)
  const typeOf = (tensor: Tensor): ElementType =>
    tensor.role === 'activation' && tensor.dtype === 'f32' && !full.has(storageOf(tensor)) ? precision : 'f32'
  const copies = new Set<Tensor>()
  const context: Context = { precision, typeOf, copies }
  let workspaceBytes = 0
  for (const record of records)
    for (const launch of lowerings[record.kernel](record, context))
      for (const operand of operandsOf(launch)) {
        if (operand.kind === 'copy') copies.add(operand.tensor)
        if (operand.kind === 'workspace') workspaceBytes = Math.max(workspaceBytes, operand.offsetBytes + operand.bytes)
      }
  return {
    precision,
    typeOf,
    copies,
    workspaceBytes,
    launchesOf: (record) => lowerings[record.kernel](record, context),
    refresh: (tensor) => (copies.has(tensor) ? [cast(tensor)] : []),
  }
}

function operandsOf(launch: Launch): Operand[] {
  if (launch.kind === 'fill') return [launch.operand]
  if (launch.kind === 'product') return [launch.a, launch.b, launch.c].map(({ operand }) => operand).concat(launch.bias ?? [])
  return launch.arguments.filter((argument) => 'offsetBytes' in argument)
}

/** Operands that are f32 in any precision: sums that gather small terms, and what softmax is corrected by. */
const fullOperands: Readonly<Partial<Record<KernelName, readonly string[]>>> = {
  norm: ['rstd', 'mean'],
  attention: ['lse', 'bias', 'dbias', 'parts'],
  cross_attention: ['lse', 'bias', 'dbias', 'parts'],
  attention_cached: ['bias'],
  relative_bias: ['w', 'y', 'dy', 'dw'],
  head_norm: ['rstd', 'queryParts', 'keyParts'],
  head_loss: ['y'],
  muon_momentum: ['x'],
  orthogonalize: ['x', 'y', 'gram', 'square', 'partials'],
  muon_update: ['x'],
}

function fullTensors(records: readonly OpRecord[]): ReadonlySet<Tensor> {
  const full = new Set<Tensor>()
  for (const { kernel, reads, writes, scratch } of records) {
    const names = Object.entries(fullOperands).find(([name]) => kernel === name || kernel === `${name}_backward`)?.[1] ?? []
    for (const operands of [reads, writes, scratch]) for (const name of names) if (operands[name]) full.add(storageOf(operands[name]))
  }
  return full
}

const cast = (tensor: Tensor) => elementwise('cast', elements(tensor.shape), [whole(tensor), copyOf(tensor), int(elements(tensor.shape))])
