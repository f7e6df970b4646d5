import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import koffi from 'koffi'
import { noEmulator } from './emulator.ts'

/** A kernel that reads what a neighbour in another warp wrote, by way of an asynchronous copy. */
const source = `
KERNEL(256) mirror(const float *x, float *y) {
  DYNAMIC_SHARED(memory);
  if (threadIdx.x < 64) copyAsync(sharedAddress(memory) + threadIdx.x * 16, x + threadIdx.x * 4, true);
  commitCopies();
  waitForCopies<0>();
  __syncthreads();
  y[threadIdx.x] = ((float *)memory)[255 - threadIdx.x];
}
KERNEL(256) stuck(float *y) {
  if (threadIdx.x < 128) __syncthreads();
  y[threadIdx.x] = 0.f;
}
`

function compile(text: string): ReturnType<typeof koffi.load> {
  const folder = mkdtempSync(join(tmpdir(), 'emulator-'))
  try {
    writeFileSync(join(folder, 'kernel.cu'), text)
    const common = fileURLToPath(new URL('../../../kernels/cuda/common.h', import.meta.url))
    const emulator = fileURLToPath(new URL('emulator.cpp', import.meta.url))
    const definitions = [
      '-DACT=float',
      '-DF16=0',
      `-DSOURCE_COMMON="${common}"`,
      `-DSOURCE="${join(folder, 'kernel.cu')}"`,
      '-DENTRIES=ENTRY(mirror) ENTRY(stuck)',
    ]
    execFileSync('g++', [
      '-O1',
      '-std=c++17',
      '-shared',
      '-fPIC',
      '-fvisibility=hidden',
      '-w',
      ...definitions,
      emulator,
      '-o',
      join(folder, 'a.so'),
    ])
    return koffi.load(join(folder, 'a.so'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** What the kernel leaves of 0, 1, 2, …, or what went wrong. */
function run(text: string, name: 'mirror' | 'stuck'): string | number[] {
  const emulate = compile(text).func('const char *emulate(const char *, uint32_t *, uint64_t *, int)')
  const pointer = koffi.alloc('float', 512)
  const memory = new Float32Array(koffi.view(pointer, 2048))
  for (let i = 0; i < 256; i++) memory[i] = i
  const from = koffi.address(pointer)
  const slots = name === 'mirror' ? BigUint64Array.of(from, from + 1024n) : BigUint64Array.of(from + 1024n)
  const problem: unknown = emulate(name, Uint32Array.of(1, 1, 1, 256, 1, 1, 1024), slots, slots.length)
  return typeof problem === 'string' ? problem : [...memory.subarray(256)]
}

const mirrored = Array.from({ length: 256 }, (_, i) => 255 - i)

test('a kernel with its waits and barriers computes what it should', { skip: noEmulator }, () => {
  assert.deepEqual(run(source, 'mirror'), mirrored)
})

test('a missing wait for a copy, or a missing barrier, is seen', { skip: noEmulator }, () => {
  assert.notDeepEqual(run(source.replace('waitForCopies<0>();', ''), 'mirror'), mirrored)
  assert.notDeepEqual(run(source.replace('waitForCopies<0>();\n  __syncthreads();', 'waitForCopies<0>();'), 'mirror'), mirrored)
})

test('threads that wait for each other for ever are an error', { skip: noEmulator }, () => {
  assert.equal(run(source, 'stuck'), 'threads wait for each other for ever')
})
