// Compiles kernels/wasm/*.ts (AssemblyScript) into build/kernels/*.wasm, each only when its source or the compiler changed.
// The first line of a kernel may add compiler flags: `// asc: --importMemory --sharedMemory …`. With --dist the results
// are copied into the package that `npm pack` makes.

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const sources = new URL('./wasm/', import.meta.url)
const output = new URL('../build/kernels/', import.meta.url)
const distribution = new URL('../dist/build/kernels/', import.meta.url)
const require = createRequire(import.meta.url)
const compiler = fileURLToPath(new URL('./bin/asc.js', `file://${require.resolve('assemblyscript/package.json')}`))
const compilerVersion: string = require('assemblyscript/package.json').version
const commonFlags = [
  '-O3',
  '--converge',
  '--noAssert',
  '--runtime',
  'stub',
  '--enable',
  'simd',
  '--enable',
  'relaxed-simd',
  '--enable',
  'threads',
]

mkdirSync(output, { recursive: true })
const names = readdirSync(sources)
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.slice(0, -3))
await Promise.all(names.map(compile))
if (process.argv.includes('--dist')) {
  cpSync(output, distribution, { recursive: true, filter: (path) => !path.endsWith('.hash') })
  cpSync(new URL('./cuda/', import.meta.url), new URL('../dist/kernels/cuda/', import.meta.url), { recursive: true }) // compiled where they run
}

async function compile(name: string): Promise<void> {
  const file = new URL(`${name}.ts`, sources)
  const source = readFileSync(file, 'utf8')
  const parts = new URL(`${name}/`, sources) // what a kernel imports lies in a folder of its name
  const imported = existsSync(parts)
    ? readdirSync(parts)
        .sort()
        .map((part) => readFileSync(new URL(part, parts), 'utf8'))
    : []
  const ownFlags = /^\/\/ asc: (.*)/.exec(source)?.[1].split(' ') ?? []
  const flags = [...commonFlags, ...ownFlags]
  const hash = createHash('sha256')
    .update(JSON.stringify([compilerVersion, flags, source, ...imported]))
    .digest('hex')
  const wasm = new URL(`${name}.wasm`, output)
  const stamp = new URL(`${name}.hash`, output)
  if (existsSync(wasm) && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return
  try {
    await run(process.execPath, [compiler, fileURLToPath(file), '-o', fileURLToPath(wasm), ...flags])
  } catch (error) {
    console.error(error instanceof Error && 'stderr' in error ? String(error.stderr) : error)
    console.error(`kernels/wasm/${name}.ts does not compile`)
    process.exit(1)
  }
  writeFileSync(stamp, hash)
  console.error(`compiled kernel ${name}`)
}
