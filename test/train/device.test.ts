import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deviceOf } from '../../src/train/device.ts'

test('without native libraries auto is the CPU, and CUDA names the library that is missing', () => {
  const native = process.env.SLUICE_NATIVE
  process.env.SLUICE_NATIVE = 'off'
  try {
    assert.equal(deviceOf({ device: 'auto', precision: 'f32' }), 'cpu')
    assert.equal(deviceOf({ device: 'cpu', precision: 'bf16' }), 'cpu')
    assert.throws(() => deviceOf({ device: 'cuda', precision: 'f32' }), { code: 'SLUICE_CUDA_LIBRARY', message: /libcuda\.so\.1/ })
  } finally {
    if (native === undefined) delete process.env.SLUICE_NATIVE
    else process.env.SLUICE_NATIVE = native
  }
})
