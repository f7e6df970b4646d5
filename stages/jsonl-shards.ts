// Sink: documents as JSON lines, for tools that read nothing else.

import { join } from 'node:path'
import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import type { Shard, Sink, SinkContext, SinkRun } from '../src/core/stage.ts'
import { CompressedFile } from '../src/io/compressed-file.ts'

export const jsonlShardsOptions = z.strictObject({
  path: z.string().min(1).describe('folder for the shards'),
  compression: z.enum(['zst', 'gz', 'none']).default('zst').describe('also the end of the file names: .jsonl.zst, .jsonl.gz, .jsonl'),
  shardBytes: z
    .int()
    .min(1)
    .default(512 * 2 ** 20)
    .describe('a shard is closed with the line that reaches this many bytes, before compression'),
})
export type JsonlShardsOptions = z.input<typeof jsonlShardsOptions>
type Limits = Omit<z.output<typeof jsonlShardsOptions>, 'path'>

/** Writes `<partition>-<part>.jsonl[.zst|.gz]`, a line a document with all its fields. */
export function jsonlShards(options: JsonlShardsOptions): Sink<Document> {
  const { path, ...limits } = jsonlShardsOptions.parse(options)
  return { kind: 'sink', name: 'jsonlShards', version: 1, options: limits, path, open: async (context) => new JsonlShards(limits, context) }
}

/** Lines that go to the compressor together: its bytes may depend on the cuts, so these depend on the lines alone. */
const BLOCK_BYTES = 2 ** 20

class JsonlShards implements SinkRun<Document> {
  readonly #limits: Limits
  readonly #context: SinkContext
  readonly #shards: Shard[] = []
  #file: CompressedFile | undefined
  #block: Buffer[] = []
  #blockBytes = 0
  #shardBytes = 0
  #rows = 0

  constructor(limits: Limits, context: SinkContext) {
    this.#limits = limits
    this.#context = context
  }

  readonly write = async (batch: Document[]): Promise<void> => {
    for (const document of batch) {
      const line = Buffer.from(JSON.stringify(document) + '\n')
      this.#block.push(line)
      this.#blockBytes += line.length
      this.#shardBytes += line.length
      this.#rows++
      if (this.#shardBytes >= this.#limits.shardBytes) await this.#endShard()
      else if (this.#blockBytes >= BLOCK_BYTES) await this.#endBlock()
    }
  }

  readonly close = async (): Promise<Shard[]> => {
    if (this.#rows > 0) await this.#endShard()
    return this.#shards
  }

  get #name(): string {
    const { compression } = this.#limits
    return `${this.#context.partition}-${this.#shards.length}.jsonl${compression === 'none' ? '' : `.${compression}`}`
  }

  async #endBlock(): Promise<CompressedFile> {
    this.#file ??= await CompressedFile.create(join(this.#context.folder, this.#name), this.#limits.compression)
    await this.#file.write(Buffer.concat(this.#block))
    this.#block = []
    this.#blockBytes = 0
    return this.#file
  }

  async #endShard(): Promise<void> {
    const file = await this.#endBlock()
    this.#shards.push({ name: this.#name, rows: this.#rows, bytes: await file.close() })
    this.#file = undefined
    this.#shardBytes = 0
    this.#rows = 0
  }
}
