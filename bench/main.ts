// `npm run bench [name …]`: runs the named benchmarks, or lists them.

import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'

const names = readdirSync(import.meta.dirname)
  .filter((name) => name.endsWith('.ts') && !['main.ts', 'harness.ts'].includes(name))
  .map((name) => name.slice(0, -3))
const [first, ...rest] = process.argv.slice(2)
if (first === undefined || !names.includes(first)) {
  console.error(`usage: npm run bench <name> [options of it]\nbenchmarks: ${names.join(', ')}`)
  process.exit(first === undefined ? 0 : 1)
}
execFileSync(process.execPath, ['--conditions=source', `${import.meta.dirname}/${first}.ts`, ...rest], { stdio: 'inherit' })
