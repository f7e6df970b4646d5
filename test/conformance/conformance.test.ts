import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runFile } from './cases.ts'
import { runners } from './registry.ts'

const folder = fileURLToPath(new URL('../../../shared/conformance', import.meta.url))
const skip = existsSync(folder) ? false : 'no ../shared/conformance here'
const files = skip ? [] : readdirSync(folder).filter((name) => name.endsWith('.jsonl'))

test('every case of the reference toolkit passes', { skip }, async (t) => {
  for (const file of files) {
    await t.test(file, async (t) => {
      const { outcomes, cases } = await runFile(folder, file, runners)
      if (outcomes === undefined) return t.skip(`no runner (${cases} cases)`)
      const failures = outcomes.filter((outcome) => outcome.difference !== undefined)
      assert.deepEqual(failures.slice(0, 5), [], `${failures.length} of ${outcomes.length} cases fail`)
    })
  }
})
