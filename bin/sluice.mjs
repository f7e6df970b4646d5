#!/usr/bin/env node
// Entry guard, in syntax that any Node since 14 parses. It makes sure that the command runs on a Node that strips types
// and knows zstd (26 or newer: the one this package brings, where the host's is older), and, in a checkout that has the
// sources, with the `source` condition, so that `import … from 'sluice'` finds TypeScript and not a build.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import module, { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const NEEDED_MAJOR = 26
const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const isCheckout = existsSync(join(root, 'src', 'cli', 'main.ts'))
const isNewEnough = Number(process.versions.node.split('.')[0]) >= NEEDED_MAJOR
const hasCondition = !isCheckout || process.execArgv.includes('--conditions=source')

if (isNewEnough && hasCondition) {
  // Compiled code is kept between starts, for the processes that this one starts too: 0.28 s instead of 0.47 for a stage.
  module.enableCompileCache?.()
  const cache = module.getCompileCacheDir?.()
  if (cache) process.env.NODE_COMPILE_CACHE ??= cache
  await import(isCheckout ? '../src/cli/main.ts' : '../dist/src/cli/main.js')
} else if (process.env.SLUICE_REEXECUTED) {
  console.error(`sluice: started twice and still on Node ${process.version}; it needs Node ${NEEDED_MAJOR} or newer`)
  process.exit(1)
} else {
  const node = isNewEnough ? process.execPath : bundledNode()
  if (!node) {
    console.error(`sluice needs Node ${NEEDED_MAJOR} or newer; this is ${process.version} on ${process.platform} ${process.arch}.`)
    console.error('The Node that sluice brings is an optional dependency and is not installed here:')
    console.error('install again without --omit=optional, or start sluice with a newer Node.')
    process.exit(1)
  }
  reexecute(node)
}

function bundledNode() {
  const require = createRequire(import.meta.url)
  const platform = process.platform === 'win32' ? 'win' : process.platform
  for (const name of [`node-${platform}-${process.arch}`, `node-bin-${platform}-${process.arch}`]) {
    try {
      const manifest = require.resolve(`${name}/package.json`)
      return join(dirname(manifest), require(manifest).bin.node)
    } catch {
      // not this platform's package: try the next name
    }
  }
  return undefined
}

function reexecute(node) {
  const condition = isCheckout && !hasCondition ? ['--conditions=source'] : []
  const child = spawn(node, [...process.execArgv, ...condition, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, SLUICE_REEXECUTED: '1' },
  })
  // A terminal sends SIGINT to the child itself; the parent only has to outlive it.
  process.on('SIGINT', () => {})
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    console.error(`sluice: cannot start ${node}: ${error.message}`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    if (!signal) process.exit(code ?? 1)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}
