import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import koffi from 'koffi'
import { decoderConfig } from '../../../src/model/config.ts'
import { createTrainable } from '../../../src/model/trainable.ts'
import { openCuda } from '../../../src/tensor/cuda/cuda-device.ts'
import { Graph, type OpRecord } from '../../../src/tensor/graph.ts'
import { addresses, placePersistent } from '../../../src/tensor/plan.ts'
import { adamw, noiseBatch } from '../../model/batches.ts'
import { noEmulator } from './emulator.ts'
import { withCache, withEnvironment } from './environment.ts'
import { buildStub, stubOptions } from './stub.ts'

const config = decoderConfig.parse({
  ...{ vocabularySize: 37, contextLength: 8, layers: 1, width: 16, heads: 2 },
  ...{ norm: 'layernorm', positions: 'learned', activation: 'gelu_tanh', biases: true },
})

interface Steps {
  readonly figures: readonly number[]
  /** Ways, counted from 1, of the products that the steps asked for, and how many of them had a GELU. */
  readonly ways: ReadonlySet<number>
  readonly withGelu: number
  /** Products asked for before anything ran. */
  readonly timed: number
  readonly notices: readonly string[]
}

/** @param ways milliseconds of each that the library has, the first by its own estimate first */
async function steps(ways: string, { geluMs = 0, timesProducts = true } = {}): Promise<Steps> {
  const calls = koffi.load(buildStub()).func('const char *stubCalls()')
  const asked = () => [...String(calls()).matchAll(/product (\d+) by (\d+) on/g)].map(([, ...words]) => words.map(Number))
  const notices: string[] = []
  return await withEnvironment({ STUB_WAYS: ways, STUB_GELU_MS: String(geluMs) }, async () => {
    asked()
    const device = { ...stubOptions('bf16'), timesProducts, onNotice: (line: string) => notices.push(line) }
    const model = await createTrainable(config, { rows: 2, length: 8, threads: 1, seed: 5, device })
    const timed = asked().length
    const figures = [1, 2].flatMap((step) => {
      const passes = [0, 1].map((pass) => model.accumulate(noiseBatch(2, 8, 37, 2 * step + pass), 32).lossSum)
      return [...passes, model.step({ ...adamw, step }).gradientNorm]
    })
    const products = asked()
    await model.dispose()
    const withGelu = products.filter(([epilogue]) => epilogue & (32 | 64)).length
    return { figures, ways: new Set(products.map(([, way]) => way)), withGelu, timed, notices }
  })
}

test('the fastest way is found once on a machine, and holds whatever is faster later', { skip: noEmulator }, () =>
  withCache(async (folder) => {
    const first = await steps('30,10,20')
    assert.deepEqual(first.ways, new Set([2]))
    assert.ok(first.timed > 0)
    assert.match(first.notices.join(), /^\d+ matrix products timed on stub/)
    const files = await readdir(join(folder, 'sluice', 'cuda-kernels'))
    assert.ok(files.length > 5 && files.every((name) => name.endsWith('.choice')))
    const second = await steps('10,30,20')
    assert.deepEqual([second.ways, second.timed, second.notices], [new Set([2]), 0, []])
    assert.deepEqual(second.figures, first.figures)
    assert.deepEqual((await readdir(join(folder, 'sluice', 'cuda-kernels'))).sort(), files.sort())
  }),
)

test('timing leaves zeroes in memory, and results are those without it', { skip: noEmulator }, () =>
  withCache(async () => {
    const { figures } = await steps('30,10', { timesProducts: false })
    assert.deepEqual((await steps('30,10')).figures, figures)
    await withEnvironment({ STUB_WAYS: '3,1,2' }, async () => {
      const graph = new Graph()
      const [x, w, y] = [
        [9, 16],
        [24, 16],
        [9, 24],
      ].map((shape) => graph.tensor('x', shape, 'input'))
      const cuda = openCuda({ ...stubOptions('f32'), timesProducts: true })
      const at = addresses(placePersistent(graph.tensors, 0))
      const record: OpRecord = { kernel: 'linear', reads: { x, w }, writes: { y }, adds: [], scratch: {}, attributes: { inOut: 0 } }
      const device = cuda.createDevice(4096, [record])
      device.compile([record], at)
      const all = new Float32Array(1024)
      device.download(0, all)
      assert.ok(all.every((value) => value === 0))
      await device.dispose()
    })
  }),
)

test("the library's own choice stands where another gains next to nothing", { skip: noEmulator }, () =>
  withCache(async () => assert.deepEqual((await steps('1000,990')).ways, new Set([1]))),
)

test('a GELU of its own kernel is taken where that is faster', { skip: noEmulator }, () =>
  withCache(async () => {
    const slow = await steps('10', { geluMs: 50 })
    assert.equal(slow.withGelu, 0)
    const kept = await steps('10', { geluMs: 0 })
    assert.deepEqual([kept.withGelu, kept.timed, kept.figures], [0, 0, slow.figures])
  }),
)

test('a GELU within the product is taken where that is faster', { skip: noEmulator }, () =>
  withCache(async () => assert.ok((await steps('10')).withGelu > 0)),
)

test('a way that the library refuses gives way to its own choice, is said once and is not forgotten', { skip: noEmulator }, () =>
  withCache(async () => {
    await steps('30,20,10')
    const later = await steps('30,20')
    assert.deepEqual([later.ways, later.timed], [new Set([1]), 0])
    assert.equal(later.notices.length, 1)
    assert.match(later.notices[0], /cuBLASLt refuses/)
    const again = await steps('10,20,30')
    assert.deepEqual([again.ways, again.timed, again.notices], [new Set([3]), 0, []])
  }),
)

test("where no choice can be kept, the library's own is taken every time", { skip: noEmulator }, () =>
  withCache(async (folder) => {
    await writeFile(join(folder, 'sluice'), '')
    const { ways, timed, notices } = await steps('30,10')
    assert.deepEqual([ways, timed, notices], [new Set([1]), 0, []])
  }),
)
