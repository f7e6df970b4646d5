import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deviceOf } from '../../src/train/device.ts'

test('without native libraries auto is the CPU, and CUDA names the library that is missing', () => {
  const native = process.env.SLUICE_NATIVE
  process.env.SLUICE_NATIVE = 'off'
  try {
    assert.deepEqual(deviceOf({ device: 'auto', precision: 'f32' }), { device: 'cpu', precision: 'f32' })
    assert.deepEqual(deviceOf({ device: 'cpu', precision: 'bf16' }), { device: 'cpu', precision: 'bf16' })
    for (const device of ['cpu', 'auto'] as const)
      assert.throws(() => deviceOf({ device, precision: 'f16' }), {
        code: 'SLUICE_TRAIN_PRECISION',
        fix: /--device cuda, or with --precision bf16/,
      })
    assert.throws(() => deviceOf({ device: 'cuda', precision: 'f32' }), { code: 'SLUICE_CUDA_LIBRARY', message: /libcuda\.so\.1/ })
  } finally {
    if (native === undefined) delete process.env.SLUICE_NATIVE
    else process.env.SLUICE_NATIVE = native
  }
})
