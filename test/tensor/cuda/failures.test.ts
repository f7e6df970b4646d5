import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import koffi from 'koffi'
import { SluiceError } from '../../../src/core/errors.ts'
import { createTrainable, type Trainable } from '../../../src/model/trainable.ts'
import { type CudaOptions, openCuda } from '../../../src/tensor/cuda/cuda-device.ts'
import { openDriver } from '../../../src/tensor/cuda/driver.ts'
import { findLibraries, findLibrary } from '../../../src/tensor/cuda/libraries.ts'
import { findCheckpoint, restoreCheckpoint } from '../../../src/train/checkpoint.ts'
import { runLoop, type TrainReport } from '../../../src/train/loop.ts'
import { resolveSettings } from '../../../src/train/resolve-settings.ts'
import { assertSameRun } from '../../../src/train/settings.ts'
import { temporaryFolder } from '../../train/corpora.ts'
import { relativeError } from './emulated.ts'
import { noEmulator } from './emulator.ts'
import { withEnvironment } from './environment.ts'
import { buildStub, stubOptions } from './stub.ts'
import { config, data, facts } from './tiny-run.ts'

const { settings } = resolveSettings(
  { steps: 9, batchTokens: 64, learningRate: 0.01, saveEvery: 3, validationShare: 0.1, threads: 1, rollbackAfter: 2 },
  facts,
)

interface Part {
  readonly device: 'cpu' | CudaOptions
  /** The last of its steps. */
  readonly until?: number
  readonly onReport?: (report: TrainReport) => void
  /** Of the steps taken in this part, counted from 1, those that are left out. */
  readonly leftOut?: readonly number[]
}

/** Goes on with the run in the folder, as sluice train does; returns the weights after it. */
async function goOn(folder: string, { device, until = settings.steps, onReport, leftOut = [] }: Part): Promise<Float32Array> {
  const { rows, length } = settings
  const whole = await createTrainable(config, { rows, length, threads: 1, seed: settings.seed, device })
  let steps = 0
  const model: Trainable = {
    ...whole,
    step: (options) => whole.step(leftOut.includes(++steps) ? { ...options, largestNorm: 0 } : options),
  }
  const controller = new AbortController()
  try {
    const { checkpoint } = await findCheckpoint(folder)
    if (checkpoint) await restoreCheckpoint(checkpoint.folder, model)
    await runLoop({
      ...{ model, data, settings, folder, validation: [], state: checkpoint?.state, signal: controller.signal },
      onReport(report) {
        if (report.step === until) controller.abort()
        onReport?.(report)
      },
    })
    return Float32Array.from(model.parameters.flatMap(({ name }) => [...model.read('weights', name)]))
  } finally {
    await model.dispose()
  }
}

for (const [precision, tolerance] of [
  ['f32', 1e-5],
  ['bf16', 1e-2], // of weights after updates that AdamW scales, as in the tests of whole steps
] as const)
  test(`a run that crosses from the CPU to CUDA in ${precision} and back ends where it would have on one`, {
    skip: noEmulator,
  }, async () => {
    assertSameRun(settings, { ...settings, device: 'cuda' }, '')
    await using whole = await temporaryFolder()
    await using crossing = await temporaryFolder()
    const expected = await goOn(whole.path, { device: 'cpu' })
    await goOn(crossing.path, { device: 'cpu', until: 3 })
    await goOn(crossing.path, { device: stubOptions(precision), until: 6 })
    const crossed = await goOn(crossing.path, { device: 'cpu' })
    const error = relativeError(crossed, expected)
    assert.ok(error < tolerance, `weights are off by ${error}`)
    assert.ok(error > 0, 'CUDA computed nothing of it')
  })

test('a GPU lost in mid-run ends it with the last checkpoint intact, says how to go on, and going on ends as if nothing had been', {
  skip: noEmulator,
}, async () => {
  const lose = koffi.load(buildStub()).func('int stubLose(int)')
  await using whole = await temporaryFolder()
  await using broken = await temporaryFolder()
  const expected = await goOn(whole.path, { device: stubOptions('f32') })
  const onReport = (report: TrainReport) => {
    if (report.event === 'step' && report.step === 5) lose(1)
  }
  try {
    await assert.rejects(goOn(broken.path, { device: stubOptions('f32'), onReport }), (error) => {
      assert.ok(error instanceof SluiceError)
      assert.equal(error.code, 'SLUICE_CUDA_LOST')
      assert.match(error.fix ?? '', /last checkpoint is intact: run the same command again/)
      return true
    })
  } finally {
    lose(0)
  }
  const { checkpoint, refused } = await findCheckpoint(broken.path)
  assert.deepEqual([checkpoint?.state.step, refused], [3, []])
  assert.deepEqual(await goOn(broken.path, { device: stubOptions('f32') }), expected)
  assert.ok((await readdir(broken.path)).includes('step-9'))
})

test('a run that goes back to its checkpoint on a GPU, with a batch on its way, ends with the same bits stopped or not', {
  skip: noEmulator,
}, async () => {
  await using whole = await temporaryFolder()
  await using parts = await temporaryFolder()
  const device = stubOptions('bf16')
  const rollbacks: number[] = []
  const onReport = (report: TrainReport) => {
    if (report.event === 'rollback') rollbacks.push(report.to)
  }
  const expected = await goOn(whole.path, { device, leftOut: [5, 6], onReport })
  await goOn(parts.path, { device, leftOut: [5, 6], until: 7, onReport })
  assert.deepEqual(await goOn(parts.path, { device }), expected)
  assert.deepEqual(rollbacks, [3, 3])
  const states = await Promise.all([whole, parts].map(async ({ path }) => (await findCheckpoint(path)).checkpoint?.state))
  assert.deepEqual(states[1], states[0])
  // nine steps, and the three that were gone back
  assert.equal(states[0]?.cursors[0].rows, 12 * settings.rows * settings.passes)
})

for (const [result, code, words] of [
  [35, 'SLUICE_CUDA_DRIVER', /older than this CUDA: update the driver/],
  [803, 'SLUICE_CUDA_DRIVER', /restart the machine/],
  [100, 'SLUICE_CUDA_DEVICE', /CUDA_VISIBLE_DEVICES/],
] as const)
  test(`a driver that answers ${result} is told as what it is`, { skip: noEmulator }, () =>
    withEnvironment({ STUB_INIT_RESULT: String(result) }, () => assert.throws(() => openDriver(buildStub()), refusal(code, words))),
  )

test('a driver too old to have what is called is named', { skip: noEmulator }, () => {
  assert.throws(() => openDriver('libm.so.6'), refusal('SLUICE_CUDA_DRIVER', /update the driver/))
})

test('a GPU older than the kernels, and machine code for another, are refused as wrong architectures', { skip: noEmulator }, async () => {
  await withEnvironment({ STUB_CAPABILITY: '75' }, () =>
    assert.throws(() => openCuda(stubOptions('f32')), refusal('SLUICE_CUDA_ARCHITECTURE', /A100 or newer/)),
  )
  const device = { ...stubOptions('f32'), compileModule: () => new TextEncoder().encode('no such library\0') }
  await assert.rejects(
    createTrainable(config, { rows: 1, length: 8, threads: 1, seed: 1, device }),
    refusal('SLUICE_CUDA_ARCHITECTURE', /its architecture/),
  )
})

/** Without python3 on the PATH no wheels are found. */
const noOwnCuda = process.platform === 'linux' && !findLibrary('driver') ? noEmulator : 'this machine has a driver of its own'

test('each missing library is named with the way to get it', { skip: noOwnCuda }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-cuda-'))
  const { CUDA_HOME, PATH } = process.env
  const stub = buildStub()
  try {
    await mkdir(join(folder, 'lib64'))
    process.env.CUDA_HOME = folder
    process.env.PATH = ''
    for (const [name, words, fix] of [
      ['libcuda.so.1', /libcuda\.so\.1/, /install NVIDIA's driver/],
      ['libcublasLt.so.13', /libcublasLt/, /pip install nvidia-cublas/],
      ['libnvrtc.so.13', /libnvrtc/, /pip install nvidia-cuda-nvrtc/],
    ] as const) {
      assert.throws(findLibraries, (error) => {
        assert.ok(error instanceof SluiceError && error.code === 'SLUICE_CUDA_LIBRARY')
        assert.match(error.message, words)
        assert.match(error.fix ?? '', fix)
        return true
      })
      await symlink(stub, join(folder, 'lib64', name))
    }
    assert.equal(findLibraries().nvrtc, join(folder, 'lib64', 'libnvrtc.so.13'))
  } finally {
    process.env.PATH = PATH
    if (CUDA_HOME === undefined) delete process.env.CUDA_HOME
    else process.env.CUDA_HOME = CUDA_HOME
    await rm(folder, { recursive: true })
  }
})

function refusal(code: string, fix: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof SluiceError, String(error))
    assert.equal(error.code, code)
    assert.match(error.fix ?? '', fix)
    return true
  }
}
