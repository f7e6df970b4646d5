import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { platform } from 'node:os'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { modelConfig } from '../../src/model/config.ts'
import { createInference } from '../../src/model/inference.ts'
import { createReader } from '../../src/model/reader.ts'
import { createSequenceInference } from '../../src/model/sequence.ts'

const size = { vocabularySize: 16, contextLength: 8, layers: 1, width: 8, heads: 1 }
const decoder = modelConfig.parse({ ...size, architecture: 'decoder' })
const pairs = modelConfig.parse({ ...size, architecture: 'encoder-decoder' })
const weights = new Map<string, Float32Array>()
const skip = platform() === 'linux' ? false : 'threads are counted below /proc'
const threads = () => readdirSync('/proc/self/task').length

for (const [name, create] of [
  ['reads', () => createReader({ config: decoder, weights }, { rows: 1, length: 4, threads: 3 })],
  ['goes on with texts', () => createInference({ config: decoder, weights }, { threads: 3 })],
  ['writes from a source', () => createSequenceInference({ config: pairs, weights }, { threads: 3 })],
] as const)
  test(`a model that ${name} and lacks weights leaves no thread behind`, { skip }, async () => {
    const refused = () => assert.rejects(create(), { code: 'SLUICE_MODEL_PARAMETER' })
    await refused() // threads of the process's own begin
    await setTimeout(50)
    const before = threads()
    for (let i = 0; i < 3; i++) await refused()
    for (let i = 0; i < 50 && threads() > before; i++) await setTimeout(20) // one that has ended is there for a moment
    assert.equal(threads(), before)
  })
