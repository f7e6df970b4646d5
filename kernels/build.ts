// Compiles kernels/wasm/*.ts (AssemblyScript) into build/kernels/*.wasm, each only when its source or the compiler changed.
// The first line of a kernel may add compiler flags: `// asc: --importMemory --sharedMemory …`. Where a second line `// asc64: …`
// follows, it is compiled with those, too, as <name>64, for a memory with addresses of 64 bits. With --dist the results are
// copied into the package that `npm pack` makes.

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
/** For a memory with addresses of 64 bits. */
const memory64 = new URL('./memory64.ts', import.meta.url)
const wideFlags = ['--enable', 'memory64', '--transform', fileURLToPath(memory64)]

mkdirSync(output, { recursive: true })
const names = readdirSync(sources)
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.slice(0, -3))
await Promise.all(names.map(compileKernel))
if (process.argv.includes('--dist')) {
  cpSync(output, distribution, { recursive: true, filter: (path) => !path.endsWith('.hash') })
  cpSync(new URL('./cuda/', import.meta.url), new URL('../dist/kernels/cuda/', import.meta.url), { recursive: true }) // compiled where they run
}

async function compileKernel(name: string): Promise<void> {
  const source = readFileSync(new URL(`${name}.ts`, sources), 'utf8')
  const parts = new URL(`${name}/`, sources) // what a kernel imports lies in a folder of its name
  const imported = existsSync(parts)
    ? readdirSync(parts)
        .sort()
        .map((part) => readFileSync(new URL(part, parts), 'utf8'))
    : []
  const [, narrow, wide] = /^(?:\/\/ asc: (.*)\n)?(?:\/\/ asc64: (.*)\n)?/.exec(source) ?? []
  await compile(name, name, narrow?.split(' ') ?? [], [source, ...imported])
  if (wide) await compile(name, `${name}64`, [...wide.split(' '), ...wideFlags], [source, ...imported, readFileSync(memory64, 'utf8')])
}

async function compile(name: string, target: string, ownFlags: readonly string[], texts: readonly string[]): Promise<void> {
  const flags = [...commonFlags, ...ownFlags]
  const hash = createHash('sha256')
    .update(JSON.stringify([compilerVersion, flags, ...texts]))
    .digest('hex')
  const wasm = new URL(`${target}.wasm`, output)
  const stamp = new URL(`${target}.hash`, output)
  if (existsSync(wasm) && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return
  try {
    await run(process.execPath, [compiler, fileURLToPath(new URL(`${name}.ts`, sources)), '-o', fileURLToPath(wasm), ...flags])
  } catch (error) {
    console.error(error instanceof Error && 'stderr' in error ? String(error.stderr) : error)
    console.error(`kernels/wasm/${name}.ts does not compile`)
    process.exit(1)
  }
  writeFileSync(stamp, hash)
  console.error(`compiled kernel ${target}`)
}
