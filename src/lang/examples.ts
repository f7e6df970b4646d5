// Documents that a classifier learns from, and those that its threshold is set on: a sample by id, the same in every run, in
// bounded memory, that can be put together from the samples of partitions.

import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { sampleFraction } from '../core/identity.ts'

export interface Example {
  readonly id: string
  readonly text: string
  /** Undefined: nothing is known. */
  readonly isPositive?: boolean
}

export interface Sample {
  readonly examples: readonly Example[]
  /** All documents whose fraction is below are among the examples. */
  readonly limit: number
}

/** The documents with the smallest fractions, which their ids decide: so many of them, of so many bytes in all. */
export class Sampler {
  readonly #most: number
  readonly #mostBytes: number
  #examples: (Example & { readonly fraction: number })[] = []
  #bytes = 0
  #limit = 1

  constructor(most: number, mostBytes: number) {
    this.#most = most
    this.#mostBytes = mostBytes
  }

  add(example: Example): void {
    const fraction = sampleFraction(example.id, 'classifier')
    if (fraction >= this.#limit) return
    this.#examples.push({ ...example, fraction })
    this.#bytes += 2 * example.text.length
    if (this.#examples.length >= 2 * this.#most || this.#bytes > this.#mostBytes) this.#cut(this.#mostBytes / 2)
  }

  #cut(bytes: number): void {
    this.#examples.sort((a, b) => a.fraction - b.fraction)
    let kept = 0
    this.#bytes = 0
    while (kept < Math.min(this.#most, this.#examples.length) && this.#bytes <= bytes) this.#bytes += 2 * this.#examples[kept++].text.length
    if (kept < this.#examples.length) this.#limit = this.#examples[kept].fraction
    this.#examples.length = kept
  }

  /** @param limit no example from there on */
  take(limit = 1): Sample {
    this.#cut(Number.POSITIVE_INFINITY)
    const bound = Math.min(limit, this.#limit)
    return { examples: this.#examples.filter(({ fraction }) => fraction < bound), limit: bound }
  }
}

/** What a partition keeps: a sample of all its documents, and one of those known to be positive, which may be rare. */
export interface Samples {
  readonly all: Sample
  readonly positive: Sample
}

const kinds = ['all', 'positive'] as const
const head = z.object({ limits: z.object({ all: z.number(), positive: z.number() }) })
const line = z.object({ kind: z.enum(kinds), id: z.string(), text: z.string(), isPositive: z.boolean().optional() })

/** As JSON lines: the limits, then the examples. */
export async function writeSamples(path: string, samples: Samples): Promise<void> {
  const file = await open(path, 'w')
  try {
    await file.writeFile(`${JSON.stringify({ limits: { all: samples.all.limit, positive: samples.positive.limit } })}\n`)
    for (const kind of kinds) {
      for (const { id, text, isPositive } of samples[kind].examples)
        await file.writeFile(`${JSON.stringify({ kind, id, text, isPositive })}\n`)
    }
  } finally {
    await file.close()
  }
}

/** The samples of all from those of parts. */
export async function mergeSamples(paths: readonly string[], most: number, mostBytes: number): Promise<Samples> {
  const samplers = { all: new Sampler(most, mostBytes), positive: new Sampler(most, mostBytes) }
  const limits = { all: 1, positive: 1 }
  for (const path of paths) {
    let isHead = true
    for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
      const value: unknown = JSON.parse(text)
      if (isHead) {
        const own = head.parse(value).limits
        for (const kind of kinds) limits[kind] = Math.min(limits[kind], own[kind])
      } else {
        const { kind, ...example } = line.parse(value)
        samplers[kind].add(example)
      }
      isHead = false
    }
  }
  return { all: samplers.all.take(limits.all), positive: samplers.positive.take(limits.positive) }
}

/** A line for training: the text in one line, without what would be taken for labels. */
export function exampleLine(label: string, text: string): string {
  return `${label} ${text.replace(/\s+/g, ' ').replace(/(?<=^| )__label__[^ ]*/g, '')}\n`
}
