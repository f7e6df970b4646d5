import assert from 'node:assert/strict'
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { serveModel } from '../endpoint/model-server.ts'
import { runWords, scratch, sluice } from './sluice.ts'

const pipelineFile = fileURLToPath(new URL('./pipelines/models.ts', import.meta.url))
const model = fileURLToPath(new URL('../../fixtures/ngram/model.arpa', import.meta.url))
const sentences = readFileSync(new URL('../../fixtures/ngram/text.txt', import.meta.url), 'utf8').split('\n')
/** The same as another to the n-gram model, too much for the judge. */
const POISON = sentences[4].toUpperCase()

/** 60 documents in three files; every third is no language that the model knows, one of them is more than the judge bears. */
function writeInput(folder: string): void {
  mkdirSync(join(folder, 'in'))
  for (let file = 0; file < 3; file++) {
    const texts = Array.from({ length: 20 }, (_, i) =>
      i % 3 === 2 ? `xyzzy ${file} plugh ${i}` : `${sentences[20 * file + i]}${i % 2 ? ' !' : ''}`,
    )
    texts[4] = file === 0 ? POISON : texts[4]
    writeFileSync(join(folder, 'in', `${file}.jsonl`), texts.map((text) => `${JSON.stringify({ text })}\n`).join(''))
  }
}

const line = z.object({ text: z.string(), annotations: z.record(z.string(), z.union([z.string(), z.number()])) })

/** Texts and annotations of the shards; ids and order depend on the folder. */
function documentsOf(folder: string): z.output<typeof line>[] {
  const lines = globSync(join(folder, 'out', '*.jsonl')).flatMap((file) => readFileSync(file, 'utf8').trimEnd().split('\n'))
  return lines.map((text) => line.parse(JSON.parse(text))).sort((a, b) => (a.text < b.text ? -1 : 1))
}

/** Without shadows: dropped documents on which the rules still run are asked about as well. */
function judged(...[file, folder, ...more]: Parameters<typeof runWords>): string[] {
  return runWords(file, folder, '--shadows', '0', ...more)
}

test('a run scores by both kinds of models, stops at its budget, resumes, and does the same again without asking', async (t) => {
  const folder = scratch(t)
  writeInput(folder)
  await using server = await serveModel((question) => `Score: ${question.split('!').length - 1}`, {
    allergy: { to: POISON, status: 500 },
  })
  const words = (requests: number) =>
    judged(
      pipelineFile,
      folder,
      '--model',
      model,
      '--base-url',
      server.baseUrl,
      '--cache',
      join(folder, 'cache.sqlite'),
      '--requests',
      String(requests),
    )

  const stopped = await sluice(words(10))
  assert.equal(stopped.code, 1, stopped.stderr)
  assert.match(stopped.stderr, /SLUICE_ENDPOINT_BUDGET/)
  // The worker that meets the end stops the other one, whose last requests may be counted and not yet sent.
  assert.ok(server.requests.length > 5 && server.requests.length <= 10, `${server.requests.length} requests`)

  const finished = await sluice(words(1000))
  assert.equal(finished.code, 0, finished.stderr)
  const documents = documentsOf(folder)
  assert.ok(documents.length > 10)
  for (const { text, annotations } of documents) {
    assert.match(text, / !$/)
    assert.equal(annotations.model_score, 1)
    assert.ok(annotations.perplexity_bucket === 'head' || annotations.perplexity_bucket === 'middle')
  }
  const summary = readFileSync(join(folder, 'run', 'summary.json'), 'utf8')
  assert.match(summary, /"perplexity_bucket":20/)
  assert.match(summary, /"quarantined":1/)

  const asked = server.requests.filter(({ body }) => !body.includes(POISON)).length
  const again = scratch(t)
  writeInput(again)
  const repeated = await sluice(
    judged(pipelineFile, again, '--model', model, '--base-url', server.baseUrl, '--cache', join(folder, 'cache.sqlite')),
  )
  assert.equal(repeated.code, 0, repeated.stderr)
  assert.equal(server.requests.filter(({ body }) => !body.includes(POISON)).length, asked)
  assert.deepEqual(documentsOf(again), documents)
})
