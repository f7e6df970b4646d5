// A decoder out of one GGUF file, as f32 weights by parameter name, and its tokenizer.

import { SluiceError } from '../core/errors.ts'
import { ggufParameterName, ggufTokenizer, readGgufConfig, turnBack, turnedHeads } from '../model/hf/read-gguf.ts'
import type { Weights } from '../model/weights.ts'
import { elements } from '../tensor/shape.ts'
import { GgufFile } from './gguf.ts'
import { parameterShapes } from './pretrained.ts'

export interface GgufModel extends Weights {
  /** Content of a tokenizer.json; undefined where its kind is not known. */
  readonly tokenizer: object | undefined
  /** How messages become a prompt, in Jinja. */
  readonly chatTemplate: string | undefined
}

/**
 * Reads a whole model into memory.
 *
 * @throws SluiceError `SLUICE_MODEL_FAMILY` where the model would be computed otherwise here, `SLUICE_MODEL_WEIGHTS` where tensors
 *   are missing, of another shape or unknown, and those of `GgufFile`
 */
export async function readGgufModel(path: string): Promise<GgufModel> {
  await using file = await GgufFile.open(path)
  const { metadata, tensors } = file
  const config = readGgufConfig(metadata, tensors, path)
  const wanted = parameterShapes(config)
  const weights = new Map<string, Float32Array>()
  for (const [stored, { shape }] of tensors) {
    const name = ggufParameterName(stored)
    const expected = name === undefined ? undefined : wanted.get(name)
    if (name === undefined || !expected) throw wrongWeights(path, `tensor ${stored} has no place in the model that the file describes`)
    if (elements(expected) !== elements(shape))
      throw wrongWeights(path, `tensor ${stored} is ${shape.join('×')}, not ${expected.join('×')}`)
    const values = await file.read(stored)
    const heads = turnedHeads(stored, metadata, config)
    weights.set(name, heads > 0 ? turnBack(values, heads, config.headSize) : values)
  }
  const missing = [...wanted.keys()].find((name) => !weights.has(name))
  if (missing) throw wrongWeights(path, `there is no ${missing}`)
  const template = metadata.get('tokenizer.chat_template')
  return { config, weights, tokenizer: ggufTokenizer(metadata), chatTemplate: typeof template === 'string' ? template : undefined }
}

function wrongWeights(file: string, problem: string): SluiceError {
  return new SluiceError('SLUICE_MODEL_WEIGHTS', problem, { where: { file }, fix: 'fetch the file again' })
}
