import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openCorpus } from '../../src/tokens/corpus.ts'
import { serve } from '../io/faulty-server.ts'
import { s3Keys, serveS3 } from '../io/s3-server.ts'
import { markovDocuments, temporaryFolder, writeShard } from '../train/corpora.ts'

async function twoShards(folder: string): Promise<Record<string, Buffer>> {
  await writeShard(join(folder, 'a.parquet'), markovDocuments(90, 64, 1), { rowGroupRows: 40 })
  await writeShard(join(folder, 'b.parquet'), markovDocuments(30, 64, 2), { firstOrdinal: 90 })
  return { 'a.parquet': await readFile(join(folder, 'a.parquet')), 'b.parquet': await readFile(join(folder, 'b.parquet')) }
}

test('a shard over HTTP is the shard on disk, on a bad day too', async () => {
  await using folder = await temporaryFolder()
  const files = await twoShards(folder.path)
  await using server = await serve({ 'tokens/a.parquet': files['a.parquet'] }, { busy: 1, cuts: 1, cutBytes: 100 })
  const remote = await openCorpus(new URL('tokens/a.parquet', server.url).href)
  const local = await openCorpus(join(folder.path, 'a.parquet'))
  assert.equal(remote.hash, local.hash)
  for (const [index, group] of remote.rowGroups.entries())
    assert.deepEqual(await remote.readRows(group), await local.readRows(local.rowGroups[index]))
})

test('all shards below a prefix of a bucket are one corpus', async () => {
  await using folder = await temporaryFolder()
  const files = await twoShards(folder.path)
  await using server = await serveS3({
    'corpora/web/a.parquet': files['a.parquet'],
    'corpora/web/b.parquet': files['b.parquet'],
    'corpora/x.txt': '',
  })
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_S3: server.endpoint,
    AWS_ACCESS_KEY_ID: s3Keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3Keys.secretAccessKey,
    AWS_REGION: 'us-east-1',
  })
  const remote = await openCorpus(`s3://${server.bucket}/corpora/web/`)
  const local = await openCorpus(folder.path)
  assert.deepEqual([remote.shards, remote.hash, remote.tokens], [local.shards, local.hash, local.tokens])
  const [, , , last] = remote.rowGroups
  assert.deepEqual(await remote.readRows(last), await local.readRows(local.rowGroups[3]))
})
