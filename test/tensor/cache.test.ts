import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cpuArenaStart, createCpuDevice } from '../../src/tensor/cpu/cpu-device.ts'
import type { Device } from '../../src/tensor/device.ts'
import { Graph } from '../../src/tensor/graph.ts'
import * as ops from '../../src/tensor/ops.ts'
import { createReferenceDevice } from '../../src/tensor/reference.ts'
import { elements } from '../../src/tensor/shape.ts'
import { distance, layOut, noise } from './harness.ts'

const CONTEXT = 29

interface Features {
  /** Default 7: of no whole number of vectors. */
  readonly headSize?: number
  readonly window?: number
  readonly softcap?: number
  readonly hasBias?: boolean
}

/** One cache of `rows` sequences, which programs for different numbers of tokens at a time share. */
function cached(rows: number, lengths: readonly number[], { hasBias = false, headSize = 7, ...features }: Features) {
  const graph = new Graph()
  const heads = { heads: 4, kvHeads: 2, headSize }
  const width = 8 * headSize
  const [keys, values] = ['keys', 'values'].map((name) => graph.tensor(name, [rows * CONTEXT, 2 * headSize], 'state'))
  const position = graph.tensor('position', [rows], 'input', 'i32')
  const bias = hasBias ? graph.tensor('bias', [4, 2 * CONTEXT - 1], 'constant') : undefined
  const parts = lengths.map((length) => {
    const from = graph.records.length
    const qkv = graph.tensor(`qkv ${length}`, [rows * length, width], 'input')
    const y = ops.attentionCached(graph, qkv, { keys, values, position, bias }, { ...heads, ...features, length })
    return { qkv, y, records: graph.records.slice(from) }
  })
  return { graph, position, bias, parts }
}

for (const [name, features] of Object.entries({
  'a cache': {},
  'a cache with a window': { window: 5 },
  'a cache with capped scores and a bias': { softcap: 1.5, hasBias: true },
  'a cache of vectors': { headSize: 32 },
  'a cache of vectors with a window': { headSize: 16, window: 18 },
}))
  test(`attention to ${name} gives on the CPU device what the reference gives: many tokens at once, then one after another`, async () => {
    const rows = 3
    const { graph, position, bias, parts } = cached(rows, [10, 1], features)
    const { at, bytes, records } = layOut(graph, graph.records)
    const devices: Device[] = [
      await createCpuDevice({ arenaBytes: bytes - cpuArenaStart, threads: 2, records }),
      createReferenceDevice(bytes),
    ]
    const programs = devices.map((device) => parts.map((part) => device.compile(part.records, at)))
    const starts = Int32Array.of(0, 4, 11)
    const run = (part: number, positions: Int32Array, seed: number) => {
      const { qkv, y } = parts[part]
      const [cpu, reference] = devices.map((device, i) => {
        device.upload(
          at(qkv),
          noise(elements(qkv.shape), seed).map((x) => 3 * x),
        )
        device.upload(at(position), positions)
        device.run(programs[i][part])
        const out = new Float32Array(elements(y.shape))
        device.download(at(y), out)
        return out
      })
      const error = distance(cpu, reference)
      assert.ok(error < 2e-6, `tokens at ${positions}: off by ${error}`)
    }
    for (const device of devices) if (bias) device.upload(at(bias), noise(elements(bias.shape), 9))
    for (const start of [0, 10, 20])
      run(
        0,
        starts.map((_, row) => Math.max(0, start - row)),
        start + 1,
      )
    for (let t = 0; t < 9; t++)
      run(
        1,
        starts.map((p) => p + t),
        t + 5,
      )
    run(0, Int32Array.of(20, 27, 3), 99) // two rows outgrow the context: what does not fit is left out
    await Promise.all(devices.map((device) => device.dispose()))
  })
