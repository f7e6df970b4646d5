// The CPU device beyond 4 GiB: the same kernels over addresses of 64 bits, on tensors at both ends of a memory of which only a
// few pages are ever touched.

import assert from 'node:assert/strict'
import { totalmem } from 'node:os'
import { test } from 'node:test'
import { SluiceError } from '../../src/core/errors.ts'
import { type DecoderConfig, decoderConfig, type ModelConfig } from '../../src/model/config.ts'
import { traceDecoding } from '../../src/model/decoder.ts'
import { createOptimizer } from '../../src/model/optimizer.ts'
import { traceTraining } from '../../src/model/trace.ts'
import { type CpuProgram, createCpuDevice, largestArenaBytes } from '../../src/tensor/cpu/cpu-device.ts'
import { KERNELS } from '../../src/tensor/cpu/launch.ts'
import { createMemory } from '../../src/tensor/cpu/memory.ts'
import { type CpuTier, hasBf16, isAvailable } from '../../src/tensor/cpu/native/tier.ts'
import type { Device } from '../../src/tensor/device.ts'
import { differentiate } from '../../src/tensor/differentiate.ts'
import type { Graph, OpRecord } from '../../src/tensor/graph.ts'
import type { CpuPrecision } from '../../src/tensor/precision.ts'
import { elements } from '../../src/tensor/shape.ts'
import { storageOf, type Tensor } from '../../src/tensor/tensor.ts'
import { families, familyShape } from '../model/families.ts'
import { type Inputs, layOut, noise } from './harness.ts'

const GIB = 2 ** 30
/** Where tensors lie in turn: below 2 GiB, beyond it, beyond 4 GiB, and beyond 8 GiB, where words of 4 bytes need their 32nd bit. */
const PLACES = [0, 2.25 * GIB, 4.25 * GIB, 8.25 * GIB]
const ARENA = 8.5 * GIB

interface Case {
  readonly name: string
  readonly graph: Graph
  readonly records: readonly OpRecord[]
  readonly inputs: Inputs
}

const hyper = [0.01, 0.9, 0.95, 1e-8, 0.1, 1, 1.5, 1.5, 0.1, 0.05, 0.95, 0.1]

/** A step of training. */
function trainingCase(name: string, config: ModelConfig, size: { rows: number; length: number }): Case {
  const tape = traceTraining(config, familyShape(config, size))
  const { graph } = tape
  const { records, gradients } = differentiate(graph)
  const optimizer = createOptimizer(graph, tape.parameters, gradients, {
    groupOf: ({ role }) => ({ optimizer: role === 'matrix' ? 'muon' : 'adamw', decays: true, rateFactor: 1 }),
    keepsAverage: true,
  })
  const inputs = new Map<Tensor, Float32Array | Int32Array>([[tape.scale, Float32Array.of(0.1)]])
  for (const [key, tensor] of Object.entries({ ...tape.inputs, targets: tape.targets })) {
    const isEnd = key.toLowerCase().endsWith('hi') // of the keys that a query sees
    inputs.set(
      tensor,
      Int32Array.from({ length: elements(tensor.shape) }, (_, i) => (isEnd ? size.length : i % 2)),
    )
  }
  for (const { tensor, values } of tape.constants) inputs.set(tensor, values())
  for (const tensor of optimizer.hypers.values()) inputs.set(tensor, Float32Array.from(hyper))
  return { name, graph, records: [...records, ...optimizer.normRecords, ...optimizer.updateRecords], inputs }
}

/** Tokens that join a cache many at a time, then one. */
function decodingCase(name: string, config: DecoderConfig): Case {
  const { graph, parts, constants } = traceDecoding(config, { rows: 2, context: config.contextLength, lengths: [8, 1] })
  const inputs = new Map<Tensor, Float32Array | Int32Array>()
  for (const { tensor, values } of constants) inputs.set(tensor, values())
  for (const part of parts)
    for (const tensor of Object.values(part.inputs)) inputs.set(tensor, new Int32Array(elements(tensor.shape)).fill(1))
  return { name: `${name}, writing`, graph, records: graph.records, inputs }
}

/** Heads, rows and products that fill whole tiles of machine code, and edges beside them. */
const wider = decoderConfig.parse({ vocabularySize: 300, contextLength: 40, layers: 1, width: 128, heads: 2, hiddenWidth: 208 })
const cases = [
  ...[...families].map(([name, config]) => trainingCase(name, config, { rows: 2, length: 9 })),
  trainingCase('wider', wider, { rows: 3, length: 40 }),
  ...[...families, ['wider', wider] as const].flatMap(([name, config]) =>
    config.architecture === 'decoder' ? [decodingCase(name, config)] : [],
  ),
]

/** Bits of every tensor after one run. */
function bitsOn(device: Device<CpuProgram>, { graph, records, inputs }: Case, at: (tensor: Tensor) => number) {
  for (const tensor of graph.tensors) {
    if (tensor.storage) continue
    const count = elements(tensor.shape)
    const isPositive = tensor.role === 'moment'
    const values = noise(count, tensor.id + 1).map((value) => (isPositive ? Math.abs(value) / 10 : value))
    device.upload(at(tensor), inputs.get(tensor) ?? (tensor.dtype === 'i32' ? new Int32Array(count) : values))
  }
  const program = device.compile(records, at)
  device.run(program)
  const bits = graph.tensors.map((tensor) => {
    const out = new Float32Array(elements(tensor.shape))
    device.download(at(tensor), out)
    return new Uint32Array(out.buffer)
  })
  return { bits, kernels: program.launches.map(({ kernel }) => kernel) }
}

const refusal = await createCpuDevice({ arenaBytes: ARENA, threads: 1, records: [] }).then(
  async (device) => {
    await device.dispose()
    return false as const
  },
  (error: unknown) => String(error),
)

const kinds: readonly (readonly [CpuTier, CpuPrecision])[] = [
  ['avx512', 'f32'],
  ['avx2', 'f32'],
  ['wasm', 'f32'],
  ['avx512', 'bf16'],
]
for (const [tier, precision] of kinds)
  test(`${tier}, ${precision}: beyond 4 GiB every kernel leaves the bits that it leaves below`, {
    skip: !isAvailable(tier) || (precision === 'bf16' && !hasBf16()) ? `no ${tier} with ${precision} here` : refusal,
  }, async () => {
    const options = { threads: 2, records: cases.flatMap(({ records }) => records), tier, precision }
    const [narrow, wide] = [
      await createCpuDevice({ ...options, arenaBytes: 2 ** 26 }),
      await createCpuDevice({ ...options, arenaBytes: ARENA }),
    ]
    const launched = new Set<string>()
    for (const one of cases) {
      const { at } = layOut(one.graph, one.records)
      const spread = (tensor: Tensor) => at(tensor) + PLACES[storageOf(tensor).id % PLACES.length]
      const [below, beyond] = [bitsOn(narrow, one, at), bitsOn(wide, one, spread)]
      one.graph.tensors.forEach((tensor, i) => {
        assert.deepEqual(beyond.bits[i], below.bits[i], `${one.name}: ${tensor.name}`)
      })
      for (const kernel of beyond.kernels) launched.add(kernel)
    }
    assert.deepEqual([...launched].sort(), [...KERNELS].sort())
    await Promise.all([narrow.dispose(), wide.dispose()])
    assert.ok(process.memoryUsage.rss() < GIB, 'pages that nobody touched are resident')
  })

test('fills and doubles reach beyond 4 GiB', { skip: refusal }, async () => {
  const device = await createCpuDevice({ arenaBytes: ARENA, threads: 1, records: [] })
  const address = device.arenaStart + PLACES[3]
  device.fill(address, 6, 3)
  device.upload(address + 8, Float32Array.from(new Float32Array(Float64Array.of(0.1).buffer)))
  const [floats, doubles] = [new Float32Array(6), new Float64Array(1)]
  device.download(address, floats)
  device.downloadDoubles(address + 8, doubles)
  assert.deepEqual([floats[0], floats[5], doubles[0]], [3, 3, 0.1])
  await device.dispose()
})

const refused = (words: RegExp) => (error: unknown) => {
  assert.ok(error instanceof SluiceError && error.code === 'SLUICE_TENSOR_MEMORY', `${error}`)
  assert.match(error.message, words)
  assert.match(error.fix ?? '', /fewer rows/)
  return true
}

test('what cannot be addressed, or is not in the machine, is refused with what to lower', async () => {
  await assert.rejects(
    createCpuDevice({ arenaBytes: 16 * GIB, threads: 1, records: [] }),
    refused(/need 16\.0 GiB, the CPU device has at most 16\.0/),
  )
  assert.throws(() => createMemory(3 * GIB, 2 * GIB), refused(/need 3\.0 GiB, this machine has 2\.0 GiB/))
})

test('a plan may count on what was asked for, and on no more than can be addressed', () => {
  assert.equal(largestArenaBytes(2, 2 ** 20), 2 ** 20)
  const most = largestArenaBytes(2, 2 ** 40)
  assert.ok(most >= largestArenaBytes(2) && most < 16 * GIB && most < totalmem())
})

test('a tensor with more elements than kernels count to is refused', async () => {
  const [a, b, y] = ['a', 'b', 'y'].map((name, id): Tensor => ({ id, name, shape: [2 ** 16, 2 ** 15], dtype: 'f32', role: 'state' }))
  const records: OpRecord[] = [{ kernel: 'add', reads: { a, b }, writes: { y }, adds: [], scratch: {}, attributes: {} }]
  await assert.rejects(createCpuDevice({ arenaBytes: GIB, threads: 1, records }), refused(/a would have 2,147,483,648 elements/))
})
