// What extraction keeps of a page is no larger than what it returns.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { extract } from '../../src/html/extract.ts'

function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
}

test('the results of many pages, and the names remembered, do not hold the pages in memory', () => {
  const results: unknown[] = []
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < 100; i++) {
    const bytes = new TextEncoder().encode(
      `<title>a-title-without-blanks-${i}</title><div class="a-class-that-only-page-${i}-has"><p>one-paragraph-without-any-blank-in-it-${i},really.` +
        `</p>&nbsp;<!--${'x'.repeat(1_000_000)}-->`,
    )
    results.push(extract(new TextDecoder().decode(bytes)))
  }
  collectGarbage()
  const grownBytes = process.memoryUsage().heapUsed - before
  assert.ok(grownBytes < 20_000_000, `${grownBytes} bytes are held by ${results.length} results`)
})
