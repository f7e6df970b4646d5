// How the CUDA device runs each record: which kernels of kernels/cuda on which grid, which matrix products. Grids depend on
// shapes alone and sums have a fixed order, so the results have the same bits every time.

import { SluiceError } from '../../core/errors.ts'
import type { KernelName, OpRecord } from '../graph.ts'
import { NEWTON_SCHULZ, NEWTON_SCHULZ_STEPS } from '../muon.ts'
import { elements, rowCount, rowLength } from '../shape.ts'
import { storageOf, type Tensor } from '../tensor.ts'
import type {
  Argument,
  Dimensions,
  ElementType,
  FillLaunch,
  KernelLaunch,
  Launch,
  Matrix,
  Operand,
  Precision,
  ProductLaunch,
} from './launch.ts'
import { FLASH_HEAD_SIZES, flashModule } from './modules.ts'

/** As the optimizer's partial sums are laid out (src/model/optimizer.ts). */
const ELEMENTS_PER_BLOCK = 16384
const THREADS = 256
const ELEMENTS_PER_GRID_BLOCK = 4 * THREADS
/** Rows of a block where a warp has a row. */
const WARPS = 8
/** Runs of rows whose sums are added up afterwards. */
const MAXIMUM_RUNS = 64
const ROWS_PER_RUN = 64
const MAXIMUM_HEAD_RUNS = 1024
/** Of attention.cu: what a warp's registers hold. */
const LARGEST_HEAD = 256
const FLASH_ROWS = 128
const FLASH_KEY_TILE = 64

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

interface Context {
  readonly precision: Precision
  typeOf(tensor: Tensor): ElementType
  readonly copies: ReadonlySet<Tensor>
}

export const elementBytes = (type: ElementType) => (type === 'f32' ? 4 : 2)

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

const blocksOf = (n: number, size: number) => Math.max(1, Math.ceil(n / size))
const adds = (record: OpRecord, name: string) => int(Number(record.adds.includes(name)))

const int = (value: number): Argument => ({ kind: 'i32', value })
const float = (value: number): Argument => ({ kind: 'f32', value })
const none: Argument = { kind: 'null' }

function kernel(module: string, name: string, grid: number | Dimensions, args: readonly Argument[], sharedBytes = 0): KernelLaunch {
  const dimensions: Dimensions = typeof grid === 'number' ? [grid, 1, 1] : grid
  return { kind: 'kernel', module, name, grid: dimensions, block: [THREADS, 1, 1], sharedBytes, arguments: args }
}

const whole = (tensor: Tensor): Operand => ({ kind: 'tensor', tensor, offsetBytes: 0 })
const optional = (tensor: Tensor | undefined): Argument => (tensor ? whole(tensor) : none)
const copyOf = (tensor: Tensor): Operand => ({ kind: 'copy', tensor, offsetBytes: 0 })

/** Floats of the workspace, one after another, each at a multiple of 256 bytes. */
function workspace(...counts: readonly number[]): Operand[] {
  let offsetBytes = 0
  return counts.map((count) => {
    const operand: Operand = { kind: 'workspace', offsetBytes, bytes: count * 4 }
    offsetBytes += Math.ceil((count * 4) / 256) * 256
    return operand
  })
}

/** An activation, or whatever else a kernel reads as one. */
function act(tensor: Tensor, context: Context, offsetElements = 0): Operand {
  const type = context.typeOf(tensor)
  if (type !== context.precision)
    throw new SluiceError('SLUICE_CUDA_PRECISION', `${tensor.name} is kept in f32, and is read or written as an activation in ${type}`, {
      fix: 'train this model in f32',
    })
  return { kind: 'tensor', tensor, offsetBytes: offsetElements * elementBytes(type) }
}

const optionalAct = (tensor: Tensor | undefined, context: Context): Argument => (tensor ? act(tensor, context) : none)

function matrix(tensor: Tensor, stride: number, { precision, typeOf }: Context, { isTransposed = false, offsetElements = 0 } = {}): Matrix {
  return {
    operand: { kind: typeOf(tensor) === precision ? 'tensor' : 'copy', tensor, offsetBytes: offsetElements * elementBytes(precision) },
    type: precision,
    stride,
    isTransposed,
  }
}

/** What a product writes has the tensor's own type. */
function target(tensor: Tensor, stride: number, { typeOf }: Context, offsetElements = 0): Matrix {
  const type = typeOf(tensor)
  return { operand: { kind: 'tensor', tensor, offsetBytes: offsetElements * elementBytes(type) }, type, stride, isTransposed: false }
}

function product(
  shape: { M: number; N: number; K: number },
  a: Matrix,
  b: Matrix,
  c: Matrix,
  beta: boolean,
  bias?: Operand,
): ProductLaunch {
  const epilogue = bias ? { epilogue: 'bias' as const, bias } : { epilogue: 'none' as const }
  return { kind: 'product', ...shape, a, b, c, beta: beta ? 1 : 0, ...epilogue }
}

const elementwise = (name: string, n: number, args: readonly Argument[]) =>
  kernel('elements', name, blocksOf(n, ELEMENTS_PER_GRID_BLOCK), args)
/** A warp has a row. */
const rowwise = (name: string, rows: number, args: readonly Argument[]) => kernel('rows', name, blocksOf(rows, WARPS), args)

const cast = (tensor: Tensor) => elementwise('cast', elements(tensor.shape), [whole(tensor), copyOf(tensor), int(elements(tensor.shape))])

const runsOf = (rows: number, most = MAXIMUM_RUNS, size = ROWS_PER_RUN) => {
  const runs = Math.min(most, blocksOf(rows, size))
  const rowsOfRun = blocksOf(rows, runs)
  return { rowsOfRun, runs: blocksOf(rows, rowsOfRun) }
}

const sumRows = (parts: Operand, rows: number, columns: number, y: Tensor, isAdded: Argument) =>
  kernel('rows', 'sum_rows', blocksOf(columns, THREADS), [parts, int(rows), int(columns), whole(y), isAdded])

function columnSums(x: Operand, rows: number, columns: number, y: Tensor, isAdded: Argument): Launch[] {
  const { runs, rowsOfRun } = runsOf(rows)
  const [parts] = workspace(runs * columns)
  return [
    kernel('rows', 'column_parts', [blocksOf(columns, 32), runs, 1], [x, parts, int(rows), int(columns), int(rowsOfRun)]),
    sumRows(parts, runs, columns, y, isAdded),
  ]
}

function linear({ reads: { x, w, b }, writes: { y }, attributes: { inOut } }: OpRecord, context: Context): Launch[] {
  const [M, N, K] = [rowCount(x.shape), rowLength(y.shape), rowLength(x.shape)]
  const weights = matrix(w, inOut ? N : K, context, { isTransposed: !inOut })
  const bias = b && matrix(b, N, context).operand
  return [product({ M, N, K }, matrix(x, K, context), weights, target(y, N, context), false, bias)]
}

function linearBackward(record: OpRecord, context: Context): Launch[] {
  const { x, w, dy } = record.reads
  const { dx, dw, db } = record.writes
  const { inOut } = record.attributes
  const [rows, inputs, outputs] = [rowCount(x.shape), rowLength(x.shape), rowLength(dy.shape)]
  const launches: Launch[] = []
  if (dw) {
    const [left, right] = inOut ? [x, dy] : [dy, x]
    const [M, N] = inOut ? [inputs, outputs] : [outputs, inputs]
    const a = matrix(left, M, context, { isTransposed: true })
    launches.push(product({ M, N, K: rows }, a, matrix(right, N, context), target(dw, N, context), record.adds.includes('dw')))
  }
  if (db) launches.push(...columnSums(act(dy, context), rows, outputs, db, adds(record, 'db')))
  if (dx) {
    const weights = matrix(w, inOut ? outputs : inputs, context, { isTransposed: inOut === 1 })
    const shape = { M: rows, N: inputs, K: outputs }
    launches.push(product(shape, matrix(dy, outputs, context), weights, target(dx, inputs, context), record.adds.includes('dx')))
  }
  return launches
}

function normBackward(record: OpRecord, context: Context): Launch[] {
  const { x, w, rstd, mean, dy } = record.reads
  const { dx, dw, db } = record.writes
  const [N, C] = [rowCount(x.shape), rowLength(x.shape)]
  const launches: Launch[] = []
  if (dw || db) {
    const { runs, rowsOfRun } = runsOf(N)
    const [dwParts, dbParts] = workspace(runs * C, runs * C)
    const args = [
      act(x, context),
      optional(mean),
      whole(rstd),
      act(dy, context),
      dwParts,
      db ? dbParts : none,
      int(N),
      int(C),
      int(rowsOfRun),
    ]
    launches.push(kernel('rows', 'norm_weight_parts', [blocksOf(C, 32), runs, 1], args))
    if (dw) launches.push(sumRows(dwParts, runs, C, dw, adds(record, 'dw')))
    if (db) launches.push(sumRows(dbParts, runs, C, db, adds(record, 'db')))
  }
  if (dx) {
    const args = [
      act(x, context),
      whole(w),
      optional(mean),
      whole(rstd),
      act(dy, context),
      act(dx, context),
      adds(record, 'dx'),
      int(N),
      int(C),
    ]
    launches.push(rowwise('norm_backward', N, args))
  }
  return launches
}

function embedding({ reads: { ids, w }, writes: { y } }: OpRecord, context: Context): Launch[] {
  const N = elements(ids.shape)
  const name = context.typeOf(w) === 'f32' ? 'embedding' : 'embedding_rows'
  return [rowwise(name, N, [whole(ids), whole(w), act(y, context), int(N), int(rowLength(w.shape))])]
}

/** Tokens by id, below `rows`, in the workspace: three kernels for each 8 bits of an id. */
function sortedTokens(ids: Tensor, rows: number): { launches: Launch[]; order: Argument } {
  const N = elements(ids.shape)
  const blocks = blocksOf(N, THREADS)
  const [even, odd, counts] = workspace(N, N, blocks * 256)
  const launches: Launch[] = []
  let order: Argument = none
  for (let shift = 0; shift === 0 || rows > 2 ** shift; shift += 8) {
    const sorted = order === even ? odd : even
    launches.push(
      kernel('rows', 'digit_counts', blocks, [whole(ids), order, counts, int(N), int(shift)]),
      kernel('rows', 'digit_starts', 1, [counts, int(blocks)]),
      kernel('rows', 'digit_sort', blocks, [whole(ids), order, counts, sorted, int(N), int(shift)]),
    )
    order = sorted
  }
  return { launches, order }
}

function embeddingBackward(record: OpRecord, context: Context): Launch[] {
  const { ids, dy } = record.reads
  const { dw } = record.writes
  const N = elements(ids.shape)
  const type = context.typeOf(dw)
  const { launches, order } = sortedTokens(ids, rowCount(dw.shape))
  const clear: FillLaunch = { kind: 'fill', operand: whole(dw), bytes: elements(dw.shape) * elementBytes(type) }
  return [
    ...(record.adds.includes('dw') ? [] : [clear]),
    ...launches,
    kernel('rows', type === 'f32' ? 'embedding_backward' : 'embedding_rows_backward', N, [
      ...[whole(ids), order, act(dy, context), whole(dw)],
      ...[int(N), int(rowLength(dw.shape))],
    ]),
  ]
}

function rope(
  x: Tensor,
  { reads: { positions, cosines, sines }, attributes: { heads, headSize } }: OpRecord,
  turn: number,
  context: Context,
) {
  const N = rowCount(x.shape)
  const tables = [whole(positions), whole(cosines), whole(sines)]
  return [rowwise('rope', N, [act(x, context), int(rowLength(x.shape)), ...tables, int(N), int(heads), int(headSize), float(turn)])]
}

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

/** `chunk` tokens at a time: logits, losses and the logits' gradient in place, and from that the gradients of x, w and b. */
function headLoss(record: OpRecord, isTraining: boolean, context: Context): Launch[] {
  const { x, w, b, targets, scale } = record.reads
  const { y, dx, dw, db } = record.writes
  const { logits } = record.scratch
  const { softcap, zLoss, smoothing } = record.attributes
  const N = rowCount(x.shape)
  const [V, C] = w.shape
  const [chunk] = logits.shape
  const launches: Launch[] = []
  for (let from = 0; from < N; from += chunk) {
    const rows = Math.min(chunk, N - from)
    const part = (tensor: Tensor): Operand => ({ kind: 'tensor', tensor, offsetBytes: from * 4 })
    const own = matrix(x, C, context, { offsetElements: from * C })
    const weights = matrix(w, C, context, { isTransposed: true })
    const kind = [int(V), int(Number(isTraining)), float(softcap), float(zLoss), float(smoothing)]
    launches.push(
      product({ M: rows, N: V, K: C }, own, weights, target(logits, V, context), false),
      kernel('loss', 'cross_entropy', rows, [act(logits, context), optional(b), part(targets), part(y), whole(scale), ...kind]),
    )
    if (dw) {
      const a = matrix(logits, V, context, { isTransposed: true })
      launches.push(product({ M: V, N: C, K: rows }, a, own, target(dw, C, context), record.adds.includes('dw') || from > 0))
    }
    if (dx) {
      const to = target(dx, C, context, from * C)
      launches.push(product({ M: rows, N: C, K: V }, matrix(logits, V, context), matrix(w, C, context), to, record.adds.includes('dx')))
    }
    if (db) launches.push(...columnSums(act(logits, context), rows, V, db, int(Number(record.adds.includes('db') || from > 0))))
  }
  return launches
}

function headNormBackward(record: OpRecord, context: Context): Launch[] {
  const { qkv, wq, wk, rstd, dy } = record.reads
  const { dqkv, dwq, dwk } = record.writes
  const { heads, kvHeads, headSize: D } = record.attributes
  const N = rowCount(qkv.shape)
  const shape = [int(N), int(heads), int(kvHeads), int(D)]
  const launches: Launch[] = []
  if (dwq || dwk) {
    const { runs, rowsOfRun } = runsOf(N, MAXIMUM_HEAD_RUNS, 1)
    const [queryParts, keyParts] = workspace(runs * D, runs * D)
    const args = [act(qkv, context), whole(rstd), act(dy, context), queryParts, keyParts, ...shape, int(rowsOfRun)]
    launches.push(kernel('rows', 'head_norm_weight_parts', [runs, 2, 1], args))
    if (dwq) launches.push(sumRows(queryParts, runs, D, dwq, adds(record, 'dwq')))
    if (dwk) launches.push(sumRows(keyParts, runs, D, dwk, adds(record, 'dwk')))
  }
  if (dqkv) {
    const inputs = [act(qkv, context), whole(wq), whole(wk), whole(rstd), act(dy, context)]
    launches.push(rowwise('head_norm_backward', N * (heads + 2 * kvHeads), [...inputs, act(dqkv, context), adds(record, 'dqkv'), ...shape]))
  }
  return launches
}

/** What says which bucket a distance falls into. */
function bucketArguments(w: Tensor, { attributes: { length, keyLength, maxDistance, bidirectional } }: OpRecord): Argument[] {
  const [buckets, heads] = w.shape
  const exact = Math.floor((bidirectional ? buckets / 2 : buckets) / 2)
  return [...[int(length), int(length + keyLength - 1), int(buckets), int(heads), int(bidirectional)], float(Math.log(maxDistance / exact))]
}

/** One matrix of a block, in f32. The polynomial is taken of the smaller Gram matrix, its last one times the factor. */
function orthogonalize({
  writes: { x, y },
  scratch: { gram, square, partials },
  attributes: { offset, rows, columns, factor },
}: OpRecord): Launch[] {
  const n = rows * columns
  const side = Math.min(rows, columns)
  const parts = blocksOf(n, ELEMENTS_PER_BLOCK)
  const part = (tensor: Tensor): Operand => ({ kind: 'tensor', tensor, offsetBytes: offset * 4 })
  const full = (operand: Operand, stride: number, isTransposed = false): Matrix => ({ operand, type: 'f32', stride, isTransposed })
  const launches: Launch[] = [
    kernel('elements', 'square_sum', parts, [part(x), whole(partials), int(n), int(ELEMENTS_PER_BLOCK)]),
    kernel('elements', 'normalize', blocksOf(n, ELEMENTS_PER_GRID_BLOCK), [part(x), whole(partials), int(parts), int(n)]),
  ]
  const [inner, outer] = [full(whole(gram), side), full(whole(square), side)]
  let [from, to] = [part(x), part(y)]
  for (let step = 1; step <= NEWTON_SCHULZ_STEPS; step++) {
    const [along, across] = [full(from, columns), full(from, columns, true)]
    const isWide = rows <= columns
    const coefficients = NEWTON_SCHULZ.map((value) => float(step === NEWTON_SCHULZ_STEPS ? value * factor : value))
    launches.push(
      product({ M: side, N: side, K: n / side }, isWide ? along : across, isWide ? across : along, inner, false),
      product({ M: side, N: side, K: side }, inner, inner, outer, false),
      kernel('elements', 'polynomial', blocksOf(side * side, ELEMENTS_PER_GRID_BLOCK), [
        whole(gram),
        whole(square),
        int(side),
        ...coefficients,
      ]),
      product({ M: rows, N: columns, K: side }, isWide ? outer : along, isWide ? along : outer, full(to, columns), false),
    )
    ;[from, to] = [to, from]
  }
  return launches
}

const lowerings: Readonly<Record<KernelName, (record: OpRecord, context: Context) => Launch[]>> = {
  linear,
  linear_backward: linearBackward,
  embedding,
  embedding_backward: embeddingBackward,

  norm: ({ reads: { x, w, b }, writes: { y, mean, rstd }, attributes: { epsilon } }, context) => {
    const [N, C] = [rowCount(x.shape), rowLength(x.shape)]
    const outputs = [act(y, context), optional(mean), whole(rstd)]
    return [rowwise('norm_forward', N, [act(x, context), whole(w), optional(b), ...outputs, int(N), int(C), float(epsilon)])]
  },
  norm_backward: normBackward,

  rope: (record, context) => rope(record.writes.y, record, 1, context),
  rope_backward: (record, context) => rope(record.writes.dx, record, -1, context),

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

  relative_bias: (record) => {
    const { w } = record.reads
    const { y } = record.writes
    return [kernel('rows', 'relative_bias', blocksOf(elements(y.shape), THREADS), [whole(w), whole(y), ...bucketArguments(w, record)])]
  },
  relative_bias_backward: (record) => {
    const { dw } = record.writes
    const args = [whole(dw), whole(record.reads.dy), ...bucketArguments(dw, record), adds(record, 'dw')]
    return [rowwise('relative_bias_backward', elements(dw.shape), args)]
  },

  head_norm: ({ reads: { qkv, wq, wk }, writes: { y, rstd }, attributes: { heads, kvHeads, headSize, epsilon } }, context) => {
    const N = rowCount(qkv.shape)
    const shape = [int(N), int(heads), int(kvHeads), int(headSize), float(epsilon)]
    const args = [act(qkv, context), whole(wq), whole(wk), act(y, context), whole(rstd), ...shape]
    return [rowwise('head_norm', N * (heads + 2 * kvHeads), args)]
  },
  head_norm_backward: headNormBackward,

  activation: ({ reads: { x }, writes: { y }, attributes: { kind } }, context) => {
    const n = elements(x.shape)
    return [elementwise('activation', n, [act(x, context), act(y, context), int(n), int(kind)])]
  },
  activation_backward: (record, context) => {
    const { x, dy } = record.reads
    const n = elements(x.shape)
    const args = [
      act(x, context),
      act(dy, context),
      act(record.writes.dx, context),
      adds(record, 'dx'),
      int(n),
      int(record.attributes.kind),
    ]
    return [elementwise('activation_backward', n, args)]
  },

  gated: ({ reads: { x }, writes: { y }, attributes: { kind } }, context) => {
    const args = [act(x, context), act(y, context), int(rowCount(y.shape)), int(rowLength(y.shape)), int(kind)]
    return [elementwise('gated', elements(y.shape), args)]
  },
  gated_backward: (record, context) => {
    const { x, dy } = record.reads
    const shape = [int(rowCount(dy.shape)), int(rowLength(dy.shape)), int(record.attributes.kind)]
    const args = [act(x, context), act(dy, context), act(record.writes.dx, context), adds(record, 'dx'), ...shape]
    return [elementwise('gated_backward', elements(dy.shape), args)]
  },

  scale: ({ reads: { x }, writes: { y }, attributes: { factor } }, context) => {
    const n = elements(x.shape)
    return [elementwise('scale', n, [act(x, context), act(y, context), int(0), int(n), float(factor)])]
  },
  scale_backward: (record, context) => {
    const { dy } = record.reads
    const n = elements(dy.shape)
    const args = [act(dy, context), act(record.writes.dx, context), adds(record, 'dx'), int(n), float(record.attributes.factor)]
    return [elementwise('scale', n, args)]
  },

  add: ({ reads: { a, b }, writes: { y } }, context) => {
    const n = elements(a.shape)
    return [elementwise('add', n, [act(a, context), act(b, context), act(y, context), int(n)])]
  },
  add_backward: (record, context) => {
    const { dy } = record.reads
    const { dx } = record.writes
    const n = elements(dy.shape)
    const before = optionalAct(record.adds.includes('dx') ? dx : undefined, context)
    return [elementwise('add', n, [act(dy, context), before, act(dx, context), int(n)])]
  },

  head_loss: (record, context) => headLoss(record, false, context),
  head_loss_backward: (record, context) => headLoss(record, true, context),

  square_sum: ({ reads: { x }, writes: { partials }, attributes: { offset } }) => {
    const n = elements(x.shape)
    const own: Operand = { kind: 'tensor', tensor: partials, offsetBytes: offset * 8 }
    return [kernel('elements', 'square_sum', blocksOf(n, ELEMENTS_PER_BLOCK), [whole(x), own, int(n), int(ELEMENTS_PER_BLOCK)])]
  },
  loss_sum: ({ reads: { losses }, writes: { sum } }) => [
    kernel('elements', 'loss_sum', 1, [whole(losses), whole(sum), int(elements(losses.shape))]),
  ],
  gate: ({ reads: { squares, limits }, writes: { sum, gate, report } }) => {
    const parts = int(elements(squares.shape) / 2)
    return [kernel('elements', 'gate', 1, [whole(squares), parts, whole(sum), whole(limits), whole(gate), whole(report)])]
  },
  adamw: ({ reads: { hyper, gate }, writes, attributes: { decays } }, { copies }) => {
    const { parameter, gradient, first, second } = writes
    const n = elements(parameter.shape)
    const copy = copies.has(parameter) ? copyOf(parameter) : none
    return [
      elementwise('adamw', n, [
        ...[whole(parameter), whole(gradient), whole(first), whole(second), copy],
        ...[int(n), int(decays), whole(hyper), optional(gate)],
      ]),
    ]
  },
  muon_momentum: ({ reads: { hyper, gate }, writes: { gradient, momentum, x } }) => {
    const n = elements(gradient.shape)
    return [elementwise('muon_momentum', n, [whole(gradient), whole(momentum), whole(x), int(n), whole(hyper), optional(gate)])]
  },
  orthogonalize,
  muon_update: ({ reads: { hyper, x, gate }, writes: { parameter }, attributes: { decays } }, { copies }) => {
    const n = elements(parameter.shape)
    const copy = copies.has(parameter) ? copyOf(parameter) : none
    return [elementwise('muon_update', n, [whole(parameter), whole(x), copy, int(n), int(decays), whole(hyper), optional(gate)])]
  },
  average: ({ reads: { hyper, parameter, gate }, writes }) => {
    const n = elements(parameter.shape)
    return [elementwise('average', n, [whole(parameter), whole(writes.average), int(n), whole(hyper), optional(gate)])]
  },
}
