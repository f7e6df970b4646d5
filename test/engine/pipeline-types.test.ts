// The compiler is the test here: each @ts-expect-error line fails `npm run typecheck` the day the mistake compiles.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Annotated, Document, Item, TokenizedDocument, WebPage } from '../../src/core/document.ts'
import type { Barrier, Sink, Source, Stage } from '../../src/core/stage.ts'
import { pipeline } from '../../src/engine/pipeline.ts'
import * as s from '../../stages/index.ts'

declare const pages: Source<WebPage>
declare const texts: Source<Document>
declare const extract: Stage<WebPage, Document>
declare const extractOrPass: Stage<WebPage | Document, Document>
declare const quality: Stage<Document>
declare function urlFilter<T extends Item>(): Stage<T>
declare const deduplicate: Barrier<Document>
declare const tokenize: Stage<Document, TokenizedDocument>
declare const tokenShards: Sink<TokenizedDocument>
declare const anyShards: Sink<Document | TokenizedDocument>
declare function score<T extends Document>(): Stage<T, Annotated<T, { readonly score: number }>>

// Never called: its body only has to typecheck.
export function typechecks() {
  pipeline('ok').from(pages).pipe(urlFilter()).pipe(extract).pipe(quality).pipe(deduplicate).pipe(tokenize).to(tokenShards)
  pipeline('ok').from<WebPage | Document>(pages, texts).pipe(extractOrPass).tee(anyShards).checkpoint().pipe(tokenize).to(anyShards)

  // Annotations keep their names and types through filters, changes and barriers, and add up.
  const scored = pipeline('ok').from(texts).pipe(score())
  const isGood = s.filter('good', ({ annotations }: Annotated<Document, { readonly score: number }>) => annotations.score > 0.5)
  scored
    .pipe(s.classify({ model: 'a.bin', label: 'good' }))
    .pipe(s.scoreWithModel({ model: 'judge' }))
    .pipe(s.embeddingSimilarity({ model: 'vectors', references: ['like this'] }))
    .pipe(isGood)
  scored.pipe(isGood).pipe(s.gopherQuality()).pipe(s.c4Quality()).pipe(s.language()).pipe(s.redactPii()).pipe(isGood)
  scored
    .pipe(deduplicate)
    .pipe(s.sample({ rate: 0.5 }))
    .checkpoint()
    .pipe(isGood)
    .pipe(tokenize)
    .to(tokenShards)
  scored
    .pipe(s.redPajamaSignals())
    .pipe(s.filter('both', ({ annotations: a }) => a.score > 0.5 && a.rps_doc_word_count >= 50 && a.rps_lines_num_words.length > 2))
    .pipe(s.map('trim', (document) => ({ ...document, text: document.text.trim() })))
    .pipe(isGood)
    .to(anyShards)

  // @ts-expect-error nothing was scored
  pipeline('wrong').from(texts).pipe(isGood)
  // @ts-expect-error no signal of that name
  scored.pipe(s.redPajamaSignals()).pipe(s.filter('wrong', ({ annotations }) => annotations.rps_doc_words >= 50))
  // @ts-expect-error not known before they are measured
  scored.pipe(s.filter('wrong', ({ annotations }) => annotations.rps_doc_word_count >= 50))

  // @ts-expect-error tokenizing before extracting
  pipeline('wrong').from(pages).pipe(tokenize).to(tokenShards)
  // @ts-expect-error filtering text that is not there yet
  pipeline('wrong').from(pages).pipe(quality)
  // @ts-expect-error extracting twice
  pipeline('wrong').from(pages).pipe(extract).pipe(extract)
  // @ts-expect-error a barrier on documents cannot see pages
  pipeline('wrong').from(pages).pipe(deduplicate)
  // @ts-expect-error documents in a token sink
  pipeline('wrong').from(texts).pipe(quality).to(tokenShards)
}

test('a wrong order of stages is refused by the compiler, which `npm run typecheck` proves', () => {
  assert.equal(typeof typechecks, 'function')
})
