import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decoderConfig } from '../../src/model/config.ts'
import { createReader } from '../../src/model/reader.ts'
import { createTrainable } from '../../src/model/trainable.ts'
import { noiseBatch } from './batches.ts'

const config = decoderConfig.parse({ vocabularySize: 31, contextLength: 16, layers: 2, width: 16, heads: 2 })

test('logits are those whose cross entropy training measures, in the order of a batch smaller than planned', async () => {
  const model = await createTrainable(config, { rows: 3, length: 12, threads: 1, seed: 2 })
  const reader = await createReader(model, { rows: 4, length: 16 })
  const batch = noiseBatch(3, 9, 31)
  const logits = reader.logits(batch)
  assert.equal(logits.length, 3 * 9 * 31)
  let sum = 0
  batch.targets.forEach((target, i) => {
    if (target < 0) return
    const row = logits.subarray(i * 31, (i + 1) * 31)
    sum += Math.log(row.reduce((total, logit) => total + Math.exp(logit), 0)) - row[target]
  })
  const { loss, targets } = model.evaluate(batch)
  assert.ok(Math.abs(sum / targets - loss) < 1e-5, `${sum / targets}, trained on ${loss}`)
  assert.equal(reader.hidden(batch).length, 3 * 9 * 16)
  await Promise.all([model.dispose(), reader.dispose()])
})

test('rows longer than the context are refused: positions beyond it have no embedding', async () => {
  const learned = decoderConfig.parse({ ...config, positions: 'learned', contextLength: 8 })
  const refused = { code: 'SLUICE_MODEL_LENGTH' }
  await assert.rejects(createReader({ config: learned, weights: new Map() }, { rows: 1, length: 12 }), refused)
})

test('weights of another model are refused by the name of the parameter', async () => {
  await assert.rejects(createReader({ config, weights: new Map() }, { rows: 1, length: 4 }), { code: 'SLUICE_MODEL_PARAMETER' })
})
