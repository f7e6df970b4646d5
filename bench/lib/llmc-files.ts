// The files that llm.c's CPU program reads: tokens and a GPT-2 checkpoint.

import { mkdir, open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Trainable } from '../../src/model/trainable.ts'

/** A header of 256 integers, then u16 tokens, where its main() looks for them. */
export async function writeTokens(
  folder: string,
  splits: { readonly train: ArrayLike<number>; readonly val: ArrayLike<number> },
): Promise<void> {
  const data = join(folder, 'dev/data/tinyshakespeare')
  await mkdir(data, { recursive: true })
  for (const [split, stream] of Object.entries(splits)) {
    const tokens = Uint16Array.from(stream)
    const header = new Int32Array(256)
    header.set([20240520, 1, tokens.length])
    await writeFile(join(data, `tiny_shakespeare_${split}.bin`), Buffer.concat([Buffer.from(header.buffer), Buffer.from(tokens.buffer)]))
  }
}

/** Its checkpoint: a header of 256 integers, then each kind of tensor for all layers, matrices as [out, in]. */
export async function writeCheckpoint(path: string, model: Trainable): Promise<void> {
  const header = new Int32Array(256)
  const { contextLength, vocabularySize, layers, heads, width } = model.config
  const paddedVocabulary = Math.ceil(vocabularySize / 128) * 128 // its kernels want a multiple of 128
  header.set([20240326, 3, contextLength, vocabularySize, layers, heads, width, paddedVocabulary])
  const file = await open(path, 'w')
  const write = (values: Int32Array | Float32Array) => file.writeFile(Buffer.from(values.buffer, values.byteOffset, values.byteLength))
  await write(header)
  const embedding = new Float32Array(paddedVocabulary * width)
  embedding.set(model.read('weights', 'transformer.wte.weight'))
  await write(embedding)
  await write(model.read('weights', 'transformer.wpe.weight'))
  for (const part of ['ln_1', 'attn.c_attn', 'attn.c_proj', 'ln_2', 'mlp.c_fc', 'mlp.c_proj'])
    for (const kind of ['weight', 'bias'])
      for (let layer = 0; layer < layers; layer++) await write(outByIn(model, `transformer.h.${layer}.${part}.${kind}`))
  for (const kind of ['weight', 'bias']) await write(model.read('weights', `transformer.ln_f.${kind}`))
  await file.close()
}

/** A parameter with its matrix transposed: ours is [in, out], as Hugging Face's Conv1D. */
function outByIn(model: Trainable, name: string): Float32Array {
  const values = model.read('weights', name)
  const shape = model.parameters.find((parameter) => parameter.name === name)?.shape ?? []
  if (shape.length < 2) return values
  const [inputs, outputs] = shape
  const transposed = new Float32Array(values.length)
  for (let i = 0; i < inputs; i++) for (let o = 0; o < outputs; o++) transposed[o * inputs + i] = values[i * outputs + o]
  return transposed
}
