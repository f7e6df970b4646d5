// Models of transformers: what they compute against transformers itself, and round trips. The fixtures are made by
// bench/peers/model_fixtures.py.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { cp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { SluiceError } from '../../src/core/errors.ts'
import type { Batch } from '../../src/model/batch.ts'
import { parameterNameOf } from '../../src/model/hf/names.ts'
import { createReader } from '../../src/model/reader.ts'
import { createTrainable } from '../../src/model/trainable.ts'
import { loadModel } from '../../src/train/load-model.ts'
import { isPretrained, readPretrained, writePretrained } from '../../src/train/pretrained.ts'
import { SafetensorsFile, writeSafetensors } from '../../src/train/safetensors.ts'
import { sample } from '../../src/train/sample.ts'
import { openStart, startFrom } from '../../src/train/start.ts'
import { train } from '../../src/train/train.ts'
import { referenceOf } from '../model/whole-model.ts'
import { markovDocuments, temporaryFolder, writeShard } from './corpora.ts'

const fixtures = fileURLToPath(new URL('../../fixtures/models/', import.meta.url))
const names = (await readdir(fixtures)).sort()

const rows = z.array(z.array(z.int()))
const expectedSchema = z.object({
  inputs: z.object({ input_ids: rows, labels: z.union([rows, z.array(z.int())]), token_type_ids: rows.optional() }),
  loss: z.number(),
  logits: z.array(z.number()),
  gradients: z.record(z.string(), z.number()),
})
type Expected = z.output<typeof expectedSchema>

async function expectedOf(name: string): Promise<Expected> {
  return expectedSchema.parse(JSON.parse(await readFile(join(fixtures, name, 'expected.json'), 'utf8')))
}

const isMatrix = (labels: Expected['inputs']['labels']): labels is number[][] => Array.isArray(labels[0])
const flat = (values: readonly (readonly number[])[]) => Int32Array.from(values.flat())
const filled = (length: number, value: (i: number) => number) => Int32Array.from({ length }, (_, i) => value(i))

/** The fixture's inputs as a batch here, and where its targets' logits stand among all logits. */
function batchOf(architecture: string, { inputs }: Expected): { batch: Batch; targets: number; logitsAt: number[] } {
  const ids = flat(inputs.input_ids)
  const length = inputs.input_ids[0].length
  const all = (count: number) => Array.from({ length: count }, (_, i) => i)
  const lo = new Int32Array(ids.length)
  const hi = filled(ids.length, () => length)
  if (architecture === 'decoder') {
    const targets = filled(ids.length, (i) => (i % length === length - 1 ? -1 : ids[i + 1]))
    return { batch: { kind: 'tokens', rows: 2, length, ids, targets, lo }, targets: 2 * (length - 1), logitsAt: all(ids.length) }
  }
  if (architecture === 'encoder') {
    const labels = isMatrix(inputs.labels) ? inputs.labels.flat() : undefined
    const picked = labels ? labels.flatMap((label, i) => (label >= 0 ? [i] : [])) : [0, length]
    const targets = labels ? picked.map((i) => labels[i]) : inputs.labels.flat()
    const types = inputs.token_type_ids && flat(inputs.token_type_ids)
    const common = { kind: 'picked' as const, rows: 2, length, ids, lo, hi, ...(types && { types }) }
    const batch = { ...common, picked: Int32Array.from(picked), targets: Int32Array.from(targets) }
    return { batch, targets: picked.length, logitsAt: labels ? picked : [0, 1] }
  }
  assert.ok(isMatrix(inputs.labels))
  const targets = flat(inputs.labels)
  const width = inputs.labels[0].length
  const target = {
    length: width,
    ids: filled(targets.length, (i) => (i % width === 0 ? 0 : targets[i - 1])),
    targets,
    lo: new Int32Array(targets.length),
    crossLo: new Int32Array(targets.length),
    crossHi: filled(targets.length, () => length),
  }
  return {
    batch: { kind: 'pairs', rows: 2, source: { length, ids, lo, hi }, target },
    targets: targets.length,
    logitsAt: all(targets.length),
  }
}

for (const name of names) {
  test(`${name}: logits, loss and gradients are those of transformers`, async () => {
    const expected = await expectedOf(name)
    assert.ok(await isPretrained(join(fixtures, name)))
    const model = await readPretrained(join(fixtures, name))
    const { batch, targets, logitsAt } = batchOf(model.config.architecture, expected)
    const shape = { rows: 2, length: 12, targetLength: 7, picks: 4 }
    const reader = await createReader(model, shape)
    const logits = reader.logits(batch)
    await reader.dispose()
    const width = logits.length / logitsAt.length
    logitsAt.forEach((at, i) => {
      for (let v = 0; v < width; v++) {
        const difference = Math.abs(logits[i * width + v] - expected.logits[at * width + v])
        assert.ok(difference < 1e-4, `logit ${v} of ${at} is off by ${difference}`)
      }
    })

    const trainable = await createTrainable(model.config, { ...shape, threads: 1, seed: 1 })
    for (const [parameter, values] of model.weights) trainable.write('weights', parameter, values)
    const { loss } = trainable.evaluate(batch)
    assert.ok(Math.abs(loss - expected.loss) < 1e-5 * (1 + expected.loss), `loss ${loss}, ${expected.loss} there`)
    const reference = referenceOf(trainable, batch, shape, targets)
    for (const [parameter, norm] of Object.entries(expected.gradients)) {
      const own = Math.hypot(...reference.parts(parameter).gradient)
      assert.ok(Math.abs(own - norm) < 1e-4 * (1 + norm), `gradient of ${parameter} has norm ${own}, ${norm} there`)
    }
    await trainable.dispose()
  })

  test(`${name}: written back, the weights have the bytes that transformers wrote, and the model is the same`, async () => {
    await using folder = await temporaryFolder()
    const out = join(folder.path, 'out')
    const model = await readPretrained(join(fixtures, name))
    await writePretrained(out, model, model.labels)
    assert.deepEqual(await readFile(join(out, 'model.safetensors')), await readFile(join(fixtures, name, 'model.safetensors')))
    const again = await readPretrained(out)
    assert.deepEqual([again.config, again.labels], [model.config, model.labels])
    await assert.rejects(writePretrained(out, model), code('SLUICE_MODEL_FOLDER'))
  })
}

test('a folder with other things in it takes no model, and what fails leaves no half of one', async () => {
  await using folder = await temporaryFolder()
  const { config, weights } = await readPretrained(join(fixtures, 'llama'))
  await writeFile(join(folder.path, 'log.jsonl'), '')
  await assert.rejects(writePretrained(folder.path, { config, weights }), code('SLUICE_MODEL_FOLDER'))
  const [name] = weights.keys()
  const out = join(folder.path, 'new', 'model')
  await assert.rejects(writePretrained(out, { config, weights: new Map(weights).set(name, new Float32Array(1)) }), RangeError)
  assert.deepEqual(await readdir(folder.path), ['log.jsonl'])
})

const code = (wanted: string) => (error: unknown) => error instanceof SluiceError && error.code === wanted

/** A copy of a fixture with other fields in its config.json. */
async function changed(name: string, path: string, fields: object): Promise<string> {
  const out = join(path, `${name}-${Object.keys(fields).join('-')}`)
  await cp(join(fixtures, name), out, { recursive: true })
  const config = JSON.parse(await readFile(join(out, 'config.json'), 'utf8'))
  await writeFile(join(out, 'config.json'), JSON.stringify({ ...config, ...fields }))
  return out
}

test('weights in several files, without the prefix of the family or under names of early versions, are the same model', async () => {
  await using folder = await temporaryFolder()
  const whole = await readPretrained(join(fixtures, 'gpt2'))
  const out = await changed('gpt2', folder.path, {})
  await rename(join(out, 'model.safetensors'), join(out, 'old'))
  await using file = await SafetensorsFile.open(join(out, 'old'))
  const map: Record<string, string> = {}
  for (const [part, first] of [0, 1].entries()) {
    const own = [...file.tensors].filter((_, i) => i % 2 === first)
    const tensors = await Promise.all(own.map(async ([name, { shape }]) => ({ name, shape, data: await file.read(name) })))
    const path = `model-${part}.safetensors`
    const named = tensors.map(({ name, shape, data }) => ({ name: name.replace('transformer.', ''), shape, values: () => data }))
    for (const { name } of named) map[name] = path
    await writeSafetensors(join(out, path), named)
  }
  await writeFile(join(out, 'model.safetensors.index.json'), JSON.stringify({ metadata: {}, weight_map: map }))
  assert.deepEqual((await readPretrained(out)).weights, whole.weights)
})

test('a model of transformers writes, and training goes on from it to a model that is exported again', async () => {
  await using folder = await temporaryFolder()
  const start = await changed('smollm2', folder.path, {})
  await writeFile(join(start, 'tokenizer.json'), '{}') // read by its hash alone
  const vocabularyHash = createHash('sha256').update('{}').digest('hex')
  const shards = join(folder.path, 'a.parquet')
  await writeShard(shards, markovDocuments(60, 48, 1), { vocabularyHash, vocabularySize: 48 })

  const loaded = await loadModel(start)
  const written: number[] = []
  for await (const token of sample({ model: start, prompt: [3, 5], maxTokens: 8, temperature: 0 })) written.push(token)
  const reader = await createReader(loaded, { rows: 1, length: 10 })
  const ids = Int32Array.from([3, 5, ...written])
  const logits = reader.logits({ kind: 'tokens', rows: 1, length: 10, ids, targets: new Int32Array(10), lo: new Int32Array(10) })
  await reader.dispose()
  written.forEach((token, i) => {
    const own = logits.subarray((i + 1) * 48, (i + 2) * 48)
    assert.equal(own.indexOf(Math.max(...own)), token)
  })

  const out = join(folder.path, 'run')
  const { state } = await train({ shards, init: start, out, steps: 20, batchTokens: 128, length: 16, learningRate: 5e-3, threads: 1 })
  assert.equal(state.step, 20)
  const trained = await loadModel(out)
  await writePretrained(join(folder.path, 'exported'), trained)
  const again = await readPretrained(join(folder.path, 'exported'))
  assert.deepEqual(again.config, loaded.config)
  const name = 'model.layers.0.mlp.up_proj.weight'
  assert.deepEqual(again.weights.get(name), trained.weights.get(name))
  assert.notDeepEqual(again.weights.get(name), loaded.weights.get(name))
})

test('an encoder without a head is fine-tuned, and does not restore masked tokens', async () => {
  await using folder = await temporaryFolder()
  const out = await changed('bert', folder.path, {})
  await using whole = await SafetensorsFile.open(join(fixtures, 'bert', 'model.safetensors'))
  const body = [...whole.tensors].filter(([name]) => !name.startsWith('cls.'))
  const data = new Map(await Promise.all(body.map(async ([name]) => [name, await whole.read(name)] as const)))
  await rm(join(out, 'model.safetensors'))
  const tensors = body.map(([name, { shape }]) => ({ name: name.slice(5), shape, values: () => data.get(name) ?? assert.fail() }))
  await writeSafetensors(join(out, 'model.safetensors'), tensors)
  const bare = await readPretrained(out)
  assert.deepEqual(bare.weights.get('bert.embeddings.word_embeddings.weight'), data.get('bert.embeddings.word_embeddings.weight'))
  await assert.rejects(createReader(bare, { rows: 1, length: 4 }), code('SLUICE_MODEL_PARAMETER'))
  const model = await createTrainable(
    { ...(await readPretrained(join(fixtures, 'bert-classifier'))).config },
    { rows: 1, length: 4, threads: 1, seed: 1 },
  )
  await startFrom(await openStart(out), model)
  assert.deepEqual(model.read('weights', 'bert.encoder.layer.0.output.dense.weight'), data.get('bert.encoder.layer.0.output.dense.weight'))
  await model.dispose()
})

test('what would be computed otherwise is refused by its name', async () => {
  await using folder = await temporaryFolder()
  const cases: [name: string, fields: object, message: RegExp][] = [
    ['llama', { attention_bias: true }, /attention_bias/],
    ['llama', { rope_parameters: { rope_type: 'yarn', factor: 2 } }, /rope_type "yarn"/],
    ['llama', { partial_rotary_factor: 0.5 }, /partial_rotary_factor/],
    ['llama', { hidden_act: 'mish' }, /hidden_act "mish"/],
    ['llama', { model_type: 'gemma' }, /family gemma/],
    ['qwen2', { use_sliding_window: true, sliding_window: 4 }, /use_sliding_window/],
    ['gpt2', { scale_attn_by_inverse_layer_idx: true }, /scale_attn_by_inverse_layer_idx/],
    ['gpt2', { n_layer: null }, /n_layer/],
    ['bert', { position_embedding_type: 'relative_key' }, /position_embedding_type/],
    ['modernbert-classifier', { classifier_pooling: 'mean' }, /classifier_pooling "mean"/],
    ['modernbert', { mlp_bias: true }, /norm_bias/],
    ['t5', { feed_forward_proj: 'gated-mish' }, /feed_forward_proj/],
  ]
  for (const [name, fields, message] of cases)
    await assert.rejects(readPretrained(await changed(name, folder.path, fields)), (error) => {
      assert.ok(error instanceof SluiceError && error.code === 'SLUICE_MODEL_FAMILY', String(error))
      assert.match(error.message, message)
      return true
    })
  const wrong = code('SLUICE_MODEL_WEIGHTS')
  await assert.rejects(readPretrained(await changed('llama', folder.path, { intermediate_size: 24 })), wrong)
  await assert.rejects(readPretrained(await changed('llama', folder.path, { num_hidden_layers: 3 })), wrong)
  await assert.rejects(readPretrained(await changed('llama', folder.path, { num_hidden_layers: 1 })), wrong)
})

test('what released files hold beside the weights is no parameter, and early names are those of today', async () => {
  const nameIn = async (fixture: string, stored: string) => parameterNameOf(stored, (await readPretrained(join(fixtures, fixture))).config)
  assert.equal(await nameIn('gpt2', 'h.0.attn.bias'), undefined)
  assert.equal(await nameIn('gpt2', 'h.0.attn.c_attn.bias'), 'transformer.h.0.attn.c_attn.bias')
  assert.equal(await nameIn('smollm2', 'lm_head.weight'), undefined)
  assert.equal(await nameIn('llama', 'model.layers.0.self_attn.rotary_emb.inv_freq'), undefined)
  assert.equal(await nameIn('bert', 'cls.seq_relationship.weight'), undefined)
  assert.equal(await nameIn('bert', 'bert.embeddings.LayerNorm.gamma'), 'bert.embeddings.LayerNorm.weight')
  assert.equal(await nameIn('t5', 'decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight'), undefined)
  assert.equal(await nameIn('t5', 'decoder.embed_tokens.weight'), undefined)
})
