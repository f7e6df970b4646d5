// The compiler is the test here: each @ts-expect-error line fails `npm run typecheck` the day the mistake compiles.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Document, Item, TokenizedDocument, WebPage } from '../../src/core/document.ts'
import type { Barrier, Sink, Source, Stage } from '../../src/core/stage.ts'
import { pipeline } from '../../src/engine/pipeline.ts'

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

// Never called: its body only has to typecheck.
export function typechecks() {
  pipeline('ok').from(pages).pipe(urlFilter()).pipe(extract).pipe(quality).pipe(deduplicate).pipe(tokenize).to(tokenShards)
  pipeline('ok').from<WebPage | Document>(pages, texts).pipe(extractOrPass).tee(anyShards).checkpoint().pipe(tokenize).to(anyShards)

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
