// Token shards for benchmarks, as `parquetShards` writes them.

import { serializeTokensMetadata, tokensSchema } from '../../schemas/tokens.ts'
import { int64Column, recordBatch, uint8ListColumn, uint16ListColumn, utf8Column } from '../../src/io/columns.ts'
import { ParquetWriter } from '../../src/io/parquet.ts'

export interface TokenShard {
  readonly vocabularyHash: string
  readonly vocabularySize: number
  readonly endOfText: number
  readonly rowGroupRows: number
  readonly documents: Iterable<{ readonly id: string; readonly tokens: Uint16Array }>
}

/** Returns the tokens written. */
export async function writeTokenShard(path: string, { documents, rowGroupRows, ...vocabulary }: TokenShard): Promise<number> {
  const schema = tokensSchema(vocabulary.vocabularySize)
  const writer = await ParquetWriter.open(path, schema, { rowGroupRows })
  let tokens = 0
  let written = 0
  const write = async (batch: readonly { id: string; tokens: Uint16Array }[]) => {
    const nothing = batch.map(() => undefined)
    const texts = [utf8Column(batch.map(({ id }) => id)), uint16ListColumn(batch.map((document) => document.tokens))]
    const origin = [utf8Column(batch.map(() => 'file:///bench.jsonl')), int64Column(batch.map((_, i) => written + i))]
    await writer.write(recordBatch(schema, [...texts, uint8ListColumn(nothing), utf8Column(nothing), utf8Column(nothing), ...origin]))
    written += batch.length
    for (const document of batch) tokens += document.tokens.length
  }
  let batch: { id: string; tokens: Uint16Array }[] = []
  for (const document of documents)
    if (batch.push(document) === 500) {
      await write(batch)
      batch = []
    }
  if (batch.length > 0) await write(batch)
  await writer.close(serializeTokensMetadata({ ...vocabulary, tokens, planHash: 'bench' }))
  return tokens
}
