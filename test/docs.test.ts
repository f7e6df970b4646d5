import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { stageReference } from '../docs/make-stages.ts'

test('the stage reference is what the stages say of themselves', () => {
  assert.equal(readFileSync(new URL('../docs/stages.md', import.meta.url), 'utf8'), stageReference(), 'run npm run docs')
})

test('the pipeline in the README is the file it names', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const file = readFileSync(new URL('../pipelines/fineweb.ts', import.meta.url), 'utf8')
  assert.ok(readme.includes(file.slice(file.indexOf('import')).trimEnd()))
})

test('every document that the README points to is there', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  for (const [, path] of readme.matchAll(/\]\(((?!https?:)[^)#]+)\)/g)) readFileSync(new URL(`../${path}`, import.meta.url))
})
