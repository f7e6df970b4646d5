// What a training run is made of: its settings, stored in each checkpoint; the options that a person gives of them; and with
// which of them changed a run may go on. resolve-settings.ts makes the ones of the others.

import { z } from 'zod'
import { SluiceError } from '../core/errors.ts'
import { precisions } from '../tensor/precision.ts'
import { objectives } from './objective.ts'
import { packings } from './pack.ts'
import { schedules } from './schedule.ts'

/** Everything that decides what a run computes, resolved. Stored in each checkpoint. */
export const trainSettings = z.strictObject({
  steps: z.int().min(1).describe('updates of the weights'),
  rows: z.int().min(1).describe('rows of one forward and backward pass'),
  length: z.int().min(2).describe('tokens a row: the context the model is trained on'),
  passes: z.int().min(1).describe('passes whose gradients are added up before one update'),
  objective: z.enum(objectives).describe('what is learnt: by the architecture and the data where not given'),
  targetLength: z.int().min(0).describe('tokens a row of the target side, for encoder-decoders'),
  hiddenShare: z.number().min(0.01).max(0.9).describe('masked, spans: share of the tokens that is hidden'),
  meanSpan: z.number().min(1).max(100).describe('spans: mean length of what is taken out'),
  maskToken: z.int().min(0).describe('masked: the token shown in place of a hidden one'),
  sentinel: z.int().min(0).describe('spans: the first sentinel, the others count down from it'),
  packing: z.enum(packings).describe('how documents fill rows'),
  seed: z.uint32().describe('of the initial weights and of the order of documents'),
  validationShare: z.number().min(0).max(0.5).describe('share of the documents held out, by a hash of their ids'),
  windowTokens: z.int().min(1).describe('tokens shuffled together, held in memory'),
  learningRate: z.number().positive().describe('highest learning rate'),
  schedule: z.enum(schedules).describe('shape of the learning rate after the warm-up'),
  warmupSteps: z.int().min(0).describe('steps over which the rate rises from 0'),
  finalShare: z.number().min(0).max(1).describe('where the rate ends, as a share of the highest'),
  decayShare: z.number().min(0).max(1).describe('last share of the steps over which wsd decays'),
  beta1: z.number().min(0).lt(1).describe('AdamW: memory of the gradient'),
  beta2: z.number().min(0).lt(1).describe('AdamW: memory of its square'),
  epsilon: z.number().positive().describe('AdamW: added to the root of the second moment'),
  weightDecay: z.number().min(0).describe('decoupled decay of matrices and tables; norms and biases have none'),
  optimizer: z.enum(['adamw', 'muon']).describe('of the matrices inside blocks; all else has AdamW'),
  momentum: z.number().min(0).lt(1).describe('Muon: memory of the gradient'),
  matrixRate: z.number().min(0).describe('what the rate of matrices inside blocks is multiplied with'),
  embeddingRate: z.number().min(0).describe('the same of embeddings'),
  vectorRate: z.number().min(0).describe('the same of norms and biases'),
  headRate: z.number().min(0).describe('the same of an untied head'),
  maxNorm: z.number().min(0).describe('gradients longer than this are scaled down to it; 0: never'),
  zLoss: z.number().min(0).describe('weight of the squared logarithm of the softmax denominator: 1e-4 keeps logits small'),
  labelSmoothing: z.number().min(0).max(0.9).describe('share of each target that is spread over the vocabulary'),
  averageDecay: z
    .number()
    .min(0)
    .lt(1)
    .describe('what an average of the weights keeps at each step, 0: none is kept; evaluation then measures the average'),
  spikeDeviations: z
    .number()
    .min(0)
    .describe(
      'a step is left out whose loss, or gradient norm beyond what it is clipped to, is so far above the last 128, in standard deviations; 0: only one that is no number',
    ),
  rollbackAfter: z.int().min(0).describe('steps left out in a row after which the run goes back to its last checkpoint; 0: it stops'),
  device: z.enum(['cpu', 'cuda', 'auto']).describe('what computes: cuda is an NVIDIA GPU, auto takes it where there is one'),
  precision: z
    .enum(precisions)
    .describe(
      'of the operands of matrix products: bf16 is faster, on GPUs and on processors with AVX-512 BF16; f16, with a loss scale, on GPUs alone; weights, gradients and sums stay f32',
    ),
  evaluateEvery: z.int().min(1).describe('steps between measurements on held-out documents'),
  evaluationTokens: z.int().min(1).describe('held-out tokens that each measurement uses'),
  saveEvery: z.int().min(1).describe('steps between checkpoints'),
  keep: z.int().min(1).describe('newest checkpoints that stay on disk'),
  keepEvery: z.int().min(0).describe('checkpoints of steps divisible by it stay too; 0: none'),
  keepBest: z.boolean().describe('the checkpoint of the lowest validation loss stays too'),
  threads: z.int().min(1).max(1024).describe('threads that compute'),
  memory: z
    .number()
    .min(0)
    .describe(
      'bytes for weights, gradients, moments and activations: where all would take more, some are computed twice; 0: what there is',
    ),
})
export type TrainSettings = z.output<typeof trainSettings>

/** What may change between the parts of a resumed run: it changes no weight, or, as a device does, by rounding alone. */
const changeable: ReadonlySet<string> = new Set<keyof TrainSettings>([
  'evaluateEvery',
  'evaluationTokens',
  'saveEvery',
  'keep',
  'keepEvery',
  'keepBest',
  'threads',
  'memory',
  'device',
])

/** Settings that runs of the first version did not have: what they did, and the defaults of now. */
export const laterSettings = {
  objective: 'causal',
  targetLength: 0,
  hiddenShare: 0.15,
  meanSpan: 3,
  maskToken: 0,
  sentinel: 0,
  optimizer: 'adamw',
  momentum: 0.95,
  matrixRate: 1,
  embeddingRate: 1,
  vectorRate: 1,
  headRate: 1,
  zLoss: 0,
  labelSmoothing: 0,
  averageDecay: 0,
  spikeDeviations: 6,
  rollbackAfter: 5,
  device: 'cpu',
  precision: 'f32',
  keepEvery: 0,
  keepBest: true,
  memory: 0,
} as const satisfies Partial<TrainSettings>

/** A step that no run has, for `evaluateEvery`: only the last one is measured, as it is in any run. */
export const AT_THE_END = 2 ** 31

const { rows: _rows, passes: _passes, ...settable } = trainSettings.shape
export const settingOptions = z
  .strictObject({
    tokens: z.int().min(1).describe('tokens to train on, in place of steps'),
    epochs: z.number().positive().describe('times to go through the training documents, in place of steps'),
    batchTokens: z.int().min(1).describe('tokens of one update'),
    ...settable,
  })
  .partial()
export type SettingOptions = z.input<typeof settingOptions>

/**
 * Refuses to go on from a checkpoint with settings under which it would be another run.
 *
 * @throws SluiceError `SLUICE_TRAIN_CHANGED`, naming the setting
 */
export function assertSameRun(stored: TrainSettings, asked: TrainSettings, folder: string): void {
  const shown = (settings: TrainSettings): Map<string, unknown> => {
    const { rows, passes, ...others } = settings
    return new Map(Object.entries({ ...others, batchTokens: rows * settings.length * passes }))
  }
  const before = shown(stored)
  for (const [name, now] of shown(asked)) {
    if (now === before.get(name) || changeable.has(name)) continue
    throw new SluiceError(
      'SLUICE_TRAIN_CHANGED',
      `the run in this folder has ${flagOf(name)} ${before.get(name)}, now it is ${now}: it cannot go on from its checkpoint`,
      {
        where: { folder },
        fix: `give the options it was started with, or another --out for a new run; --init ${folder} starts that from its weights`,
      },
    )
  }
}

/** How a setting is asked for on the command line. */
export function flagOf(setting: string): string {
  if (setting === 'learningRate') return '--lr'
  return `--${setting.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}
