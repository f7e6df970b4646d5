// The import rule of docs/architecture.md: imports point down. A file that reaches up couples what should stay apart.

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** What each room may import besides itself. A room is the longest of these prefixes that fits a file. */
const rules: Record<string, readonly string[]> = {
  schemas: [],
  'src/core': [],
  'src/io': ['src/core'],
  'src/engine': ['src/io', 'src/core', 'schemas'],
  'src/warc': ['src/io', 'src/core'],
  'src/html': ['src/core'],
  'src/text': ['src/core'],
  'src/signals': ['src/text', 'src/core'],
  'src/lang': ['src/core', 'src/io'],
  'src/lists': ['src/text', 'src/core', 'src/io'],
  'src/dedup': ['src/text', 'src/core', 'src/io'],
  'src/pii': ['src/core'],
  'src/tokenizer': ['src/text', 'src/core', 'src/io'],
  'src/ngram': ['src/tokenizer', 'src/core', 'src/io'],
  'src/endpoint': ['src/core', 'src/io'],
  'src/tensor': ['src/core'],
  'src/model': ['src/tensor', 'src/core'],
  'src/sources': ['src/warc', 'src/html', 'src/io', 'src/core'],
  'src/tokens': ['schemas', 'src/core', 'src/io'],
  'src/train': ['src/model', 'src/tensor', 'src/tokens', 'schemas', 'src/core', 'src/io'],
  'src/audit': ['schemas', 'src/engine', 'src/dedup', 'src/text', 'src/pii', 'src/core', 'src/io'],
  'src/executors': ['src/engine', 'src/io', 'src/core', 'src/pii'],
  'src/cli': [
    'stages',
    'src/audit',
    'src/train',
    'src/model',
    'src/tensor',
    'src/dedup',
    'src/lang',
    'src/tokenizer',
    'src/tokens',
    'src/ngram',
    'src/executors',
    'src/engine',
    'src/warc',
    'src/io',
    'src/core',
    'schemas',
  ],
  'src/index.ts': ['src/engine', 'src/core', 'src/warc'],
  stages: [
    'src/sources',
    'src/warc',
    'src/html',
    'src/text',
    'src/signals',
    'src/lang',
    'src/dedup',
    'src/pii',
    'src/tokenizer',
    'src/ngram',
    'src/endpoint',
    'src/lists',
    'src/io',
    'src/core',
    'schemas',
  ],
  pipelines: ['src/index.ts', 'stages'],
  kernels: [],
}

const IMPORT = /(?:\bfrom\s*|\bimport\s*\(?\s*|new URL\(\s*)['"`](\.{1,2}\/[^'"`$]*)/g

test('imports point down only', () => {
  const broken: string[] = []
  for (const file of globSync(['src/**/*.ts', 'stages/*.ts', 'schemas/*.ts', 'pipelines/*.ts', 'kernels/**/*.ts'], { cwd: root })) {
    const room = roomOf(file)
    for (const [, specifier] of readFileSync(join(root, file), 'utf8').matchAll(IMPORT)) {
      const target = normalize(join(dirname(file), specifier))
      const other = roomOf(target)
      if (!target.endsWith('.ts') || other === room) continue
      if (!rules[room].includes(other)) broken.push(`${file} imports ${target}`)
    }
  }
  assert.deepEqual(broken, [])
})

test('every source file stands in a room that the rule knows', () => {
  const homeless = globSync('src/**/*.ts', { cwd: root }).filter((file) => roomOf(file) === '')
  assert.deepEqual(homeless, [])
})

function roomOf(file: string): string {
  const fitting = Object.keys(rules).filter((room) => file === room || file.startsWith(`${room}/`))
  return fitting.sort((a, b) => b.length - a.length)[0] ?? ''
}
