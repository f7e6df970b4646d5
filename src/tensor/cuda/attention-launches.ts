// Attention of all kinds: of a sequence to itself, to another one, and to a cache. Tensor cores have kernels for some sizes of
// heads in halves; the others have plain ones.

import { SluiceError } from '../../core/errors.ts'
import type { OpRecord } from '../graph.ts'
import { elements, rowCount, rowLength } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import type { Argument, Dimensions, Launch, Operand } from './launch.ts'
import { FLASH_HEAD_SIZES, flashModule } from './modules.ts'
import { act, adds, blocksOf, type Context, float, int, kernel, type Lowerings, optional, WARPS, whole, workspace } from './operands.ts'
import { sumRows } from './row-sums.ts'

/** Of attention.cu: what a warp's registers hold. */
const LARGEST_HEAD = 256
const FLASH_ROWS = 128
const FLASH_KEY_TILE = 64

/** Where attention finds queries, keys and values, and in rows of what length. */
interface Heads {
  readonly q: Operand
  readonly k: Operand
  readonly v: Operand
  readonly queryStride: number
  readonly keyStride: number
  readonly rows: number
  readonly keyLength: number
}

function selfHeads(qkv: Tensor, { attributes: { heads, kvHeads, headSize, length } }: OpRecord, context: Context): Heads {
  const stride = (heads + 2 * kvHeads) * headSize
  return {
    q: act(qkv, context),
    k: act(qkv, context, heads * headSize),
    v: act(qkv, context, (heads + kvHeads) * headSize),
    queryStride: stride,
    keyStride: stride,
    rows: rowCount(qkv.shape) / length,
    keyLength: length,
  }
}

function crossHeads(
  q: Tensor,
  kv: Tensor,
  { attributes: { heads, kvHeads, headSize, length, keyLength } }: OpRecord,
  context: Context,
): Heads {
  const width = kvHeads * headSize
  return {
    q: act(q, context),
    k: act(kv, context),
    v: act(kv, context, width),
    queryStride: heads * headSize,
    keyStride: 2 * width,
    rows: rowCount(q.shape) / length,
    keyLength,
  }
}

/** What all kernels of attention are told about shapes and scores; only attention.cu takes any number of rows and head size. */
function attentionShape(from: Heads, { attributes }: OpRecord, isFlash: boolean): Argument[] {
  const { length, heads, kvHeads, headSize, scale, softcap, causal, window } = attributes
  const rows = isFlash ? [] : [int(from.rows)]
  const size = isFlash ? [] : [int(headSize)]
  const shape = [...rows, int(length), int(from.keyLength), int(heads), int(kvHeads), ...size, int(from.queryStride), int(from.keyStride)]
  return [...shape, float(scale), float(softcap), int(causal), int(window)]
}

function checkHeadSize({ attributes: { headSize } }: OpRecord): void {
  if (headSize > LARGEST_HEAD)
    throw new SluiceError('SLUICE_CUDA_ATTENTION', `heads of ${headSize} elements are larger than any attention kernel takes`, {
      fix: `use more heads, of at most ${LARGEST_HEAD} elements`,
    })
}

function flashOf({ reads: { bias }, attributes: { headSize, softcap } }: OpRecord, { precision }: Context): string | undefined {
  if (precision === 'f32' || !FLASH_HEAD_SIZES.some((size) => size === headSize)) return undefined
  return flashModule(headSize, bias !== undefined || softcap > 0)
}

function attention(from: Heads, record: OpRecord, context: Context): Launch[] {
  checkHeadSize(record)
  const { lo, hi, bias, position } = record.reads
  const { y, lse } = record.writes
  const { length, heads, headSize } = record.attributes
  const flash = position ? undefined : flashOf(record, context)
  const shape = attentionShape(from, record, flash !== undefined)
  const inputs = [from.q, from.k, from.v, optional(lo), optional(hi), optional(bias)]
  const outputs = [act(y, context), optional(lse)]
  if (flash) {
    const grid: Dimensions = [blocksOf(length, FLASH_ROWS), heads, from.rows]
    return [kernel(flash, 'flash', grid, [...inputs, ...outputs, ...shape], (FLASH_ROWS + 4 * FLASH_KEY_TILE) * headSize * 2)]
  }
  const biasColumns = int(bias ? rowLength(bias.shape) : 0)
  const args = [...inputs, optional(position), ...outputs, ...shape, biasColumns]
  return [kernel('attention', 'attention', blocksOf(from.rows * length * heads, WARPS), args, WARPS * headSize * 4)]
}

function attentionBackward(from: Heads, to: Heads, record: OpRecord, context: Context): Launch[] {
  if (record.adds.some((name) => name !== 'dbias')) throw new RangeError(`${record.kernel} overwrites the gradients of queries and keys`)
  checkHeadSize(record)
  const { lo, hi, bias, y, lse, dy } = record.reads
  const { dbias } = record.writes
  const { length, heads, kvHeads, headSize } = record.attributes
  const { rows, keyLength } = from
  const items = rows * length * heads
  const [delta] = workspace(items)
  const flash = flashOf(record, context)
  const inputs = [from.q, from.k, from.v, act(dy, context), optional(lo), optional(hi), optional(bias), whole(lse), delta]
  const plain = attentionShape(from, record, false)
  const shape = flash ? attentionShape(from, record, true) : plain
  const launches: Launch[] = [
    kernel('attention', 'attention_delta', blocksOf(items, WARPS), [act(y, context), act(dy, context), delta, int(items), int(headSize)]),
  ]
  if (flash) {
    const tile = headSize === 128 ? 32 : 64
    const bytes = headSize * 2
    const queries: Dimensions = [blocksOf(length, FLASH_ROWS), heads, rows]
    const keys: Dimensions = [blocksOf(keyLength, FLASH_ROWS), kvHeads, rows]
    const keyBytes = (2 * FLASH_ROWS + 2 * tile) * bytes + 16 * tile
    launches.push(
      kernel(flash, 'flash_backward_key', keys, [...inputs, to.k, to.v, ...shape], keyBytes),
      kernel(flash, 'flash_backward_query', queries, [...inputs, to.q, ...shape], (2 * FLASH_ROWS + 4 * tile) * bytes),
    )
  } else {
    const bytes = WARPS * 2 * headSize * 4
    launches.push(
      kernel('attention', 'attention_backward_key', blocksOf(rows * keyLength * kvHeads, WARPS), [...inputs, to.k, to.v, ...shape], bytes),
      kernel('attention', 'attention_backward_query', blocksOf(items, WARPS), [...inputs, to.q, ...shape], bytes),
    )
  }
  if (dbias) {
    const columns = elements(dbias.shape)
    const parts = whole(record.scratch.parts)
    launches.push(
      kernel('attention', 'attention_backward_bias', blocksOf(rows * columns, WARPS), [...inputs, parts, ...plain]),
      sumRows(parts, rows, columns, dbias, adds(record, 'dbias')),
    )
  }
  return launches
}

function attentionCached(record: OpRecord, context: Context): Launch[] {
  const { qkv, keys, values, position } = record.reads
  const { kvHeads, headSize, length } = record.attributes
  const rows = elements(position.shape)
  const keyLength = rowCount(keys.shape) / rows
  const width = kvHeads * headSize
  const own = selfHeads(qkv, record, context)
  const joined = [own.k, int(own.queryStride), act(keys, context), act(values, context), whole(position)]
  return [
    kernel('attention', 'join_cache', rows * length, [...joined, int(length), int(keyLength), int(width)]),
    ...attention({ ...own, k: act(keys, context), v: act(values, context), keyStride: width, rows, keyLength }, record, context),
  ]
}

export const attentionLaunches = {
  attention: (record, context) => attention(selfHeads(record.reads.qkv, record, context), record, context),
  attention_backward: (record, context) =>
    attentionBackward(selfHeads(record.reads.qkv, record, context), selfHeads(record.writes.dqkv, record, context), record, context),
  cross_attention: (record, context) => attention(crossHeads(record.reads.q, record.reads.kv, record, context), record, context),
  cross_attention_backward: (record, context) => {
    const { reads, writes } = record
    return attentionBackward(
      crossHeads(reads.q, reads.kv, record, context),
      crossHeads(writes.dq, writes.dkv, record, context),
      record,
      context,
    )
  },
  attention_cached: attentionCached,
  attention_cached_backward: () => [],
} satisfies Lowerings
