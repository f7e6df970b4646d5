// What `npm run bench:gpu` and `npm run test:gpu` need, in one archive, for a machine with a GPU and without Node: Node's binary,
// the trainer, the packages it loads, and two scripts that start them.

import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { SluiceError } from '../../src/core/errors.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const LARGEST_BYTES = 64e6

const ours = [
  ...[
    'package.json',
    'LICENSE',
    'src',
    'schemas',
    'stages',
    'build/kernels',
    'kernels/cuda',
    'test/tensor',
    'test/model',
    'test/train/corpora.ts',
  ],
  ...['bench/gpu.ts', 'bench/lib', 'bench/peers/train_torch_gpu.py', 'bench/peers/gpt2_torch.py'],
]
/** With what these depend on. */
const packages = [
  'koffi',
  '@koromix/koffi-linux-x64',
  'parquet-wasm',
  'apache-arrow',
  'zod',
  'commander',
  'cli-progress',
  'hash-wasm',
  'ignore',
  'undici',
  'pino',
  'htmlparser2',
  '@smithy/core',
  '@smithy/signature-v4',
  '@aws-sdk/credential-provider-node',
  '@huggingface/jinja',
]
/** Types, maps, and builds of apache-arrow and parquet-wasm for browsers. */
const unneeded = /\.d\.[cm]?ts$|\.map$|\/Arrow\.es\w+\.min\.js$|externs|\/parquet-wasm\/(bundler|esm)\/|\/koffi\/(doc|vendor)\//

const scripts = {
  'run-bench': 'exec ./node --conditions=source bench/gpu.ts "$@"',
  'run-tests':
    "SLUICE_TEST_CUDA=gpu exec ./node --conditions=source --test --test-concurrency=1 'test/tensor/cuda/{kernels,updates,models,cuda-device,intake,loss-scale}.test.ts'",
}

/** @throws SluiceError SLUICE_BENCH_ARCHIVE where it is larger than what is allowed to travel */
export function pack(file: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-gpu-'))
  const target = join(folder, 'sluice-gpu')
  try {
    for (const path of ours) if (existsSync(join(root, path))) copy(join(root, path), join(target, path))
    for (const name of withDependencies(packages)) copy(join(root, 'node_modules', name), join(target, 'node_modules', name))
    cpSync(realpathSync(process.execPath), join(target, 'node'))
    for (const [name, line] of Object.entries(scripts))
      writeFileSync(join(target, name), `#!/bin/sh\ncd "$(dirname "$0")" || exit 1\n${line}\n`, { mode: 0o755 })
    mkdirSync(dirname(resolve(file)), { recursive: true })
    execFileSync('tar', ['-czf', resolve(file), '-C', folder, 'sluice-gpu'])
  } finally {
    rmSync(folder, { recursive: true })
  }
  const bytes = statSync(file).size
  console.error(`${file}: ${(bytes / 1e6).toFixed(1)} MB; there: tar xzf ${file} && sluice-gpu/run-tests && sluice-gpu/run-bench`)
  if (bytes >= LARGEST_BYTES)
    throw new SluiceError('SLUICE_BENCH_ARCHIVE', `the archive has ${bytes} bytes, at most ${LARGEST_BYTES} may travel`)
}

function copy(from: string, to: string): void {
  cpSync(from, to, { recursive: true, dereference: true, filter: (path) => !unneeded.test(path) })
}

const manifest = z.object({ dependencies: z.record(z.string(), z.string()).default({}) })

/** Of packages that lie flat in node_modules. */
function withDependencies(names: readonly string[]): string[] {
  const all = new Set<string>()
  const visit = (name: string) => {
    const file = join(root, 'node_modules', name, 'package.json')
    if (all.has(name) || !existsSync(file)) return
    all.add(name)
    for (const next of Object.keys(manifest.parse(JSON.parse(readFileSync(file, 'utf8'))).dependencies)) visit(next)
  }
  names.forEach(visit)
  return [...all].filter((name) => !name.startsWith('@types/'))
}
