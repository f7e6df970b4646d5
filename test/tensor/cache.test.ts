import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cpuArenaStart, createCpuDevice } from '../../src/tensor/cpu/cpu-device.ts'
import type { Device } from '../../src/tensor/device.ts'
import { Graph } from '../../src/tensor/graph.ts'
import * as ops from '../../src/tensor/ops.ts'
import { createReferenceDevice } from '../../src/tensor/reference.ts'
import { distance, layOut, noise } from './harness.ts'

test('attention to a cache gives on the CPU device what the reference gives, position after position', async () => {
  const shape = { heads: 4, kvHeads: 2, headSize: 7 }
  const graph = new Graph()
  const qkv = graph.tensor('qkv', [1, 56], 'input')
  const [keys, values] = ['keys', 'values'].map((name) => graph.tensor(name, [9, 14], 'state'))
  const position = graph.tensor('position', [1], 'input', 'i32')
  const y = ops.attentionCached(graph, qkv, { keys, values, position }, shape)
  const { at, bytes, records } = layOut(graph, graph.records)
  const devices: Device[] = [
    await createCpuDevice({ arenaBytes: bytes - cpuArenaStart, threads: 2, records }),
    createReferenceDevice(bytes),
  ]
  const programs = devices.map((device) => device.compile(records, at))
  for (let t = 0; t < 9; t++) {
    const [cpu, reference] = devices.map((device, i) => {
      device.upload(
        at(qkv),
        noise(56, t + 1).map((x) => 3 * x),
      )
      device.upload(at(position), Int32Array.of(t))
      device.run(programs[i])
      const out = new Float32Array(28)
      device.download(at(y), out)
      return out
    })
    assert.ok(distance(cpu, reference) < 1e-6, `position ${t}`)
  }
  await Promise.all(devices.map((device) => device.dispose()))
})
