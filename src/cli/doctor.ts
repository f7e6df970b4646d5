// `sluice doctor`: what this machine has of what sluice uses, and what to do where something is missing.

import { existsSync, readdirSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { availableParallelism, cpus } from 'node:os'
import { Worker } from 'node:worker_threads'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { Command } from 'commander'
import { SluiceError } from '../core/errors.ts'
import { formatBytes } from '../core/format.ts'
import { loadKernel } from '../core/kernels.ts'
import { machineMemoryBytes } from '../core/machine-memory.ts'
import { packageVersion } from '../core/version.ts'
import { libdeflate } from '../io/libdeflate.ts'
import { largestArenaBytes } from '../tensor/cpu/cpu-device.ts'
import { chooseTier, cpuTiers, hasAmx, hasBf16, whyNot } from '../tensor/cpu/native/tier.ts'
import { openDriver } from '../tensor/cuda/driver.ts'
import { findLibrary } from '../tensor/cuda/libraries.ts'
import { exitCodes } from './exit-codes.ts'

interface Finding {
  readonly check: string
  readonly isFine: boolean
  readonly found: string
  readonly fix?: string
}

/** Less free space than this makes a run of a crawl file fail. */
const FREE_BYTES = 5e9

export const command = new Command()
  .option('--json', 'findings as JSON')
  .addHelpText('after', '\nExit codes: 0 all is there, 1 something is missing.')
  .action(async ({ json }: { json?: boolean }) => {
    const findings = await Promise.all(checks.map(({ check, look }) => examine(check, look)))
    if (json) process.stdout.write(`${JSON.stringify({ sluice: packageVersion, findings })}\n`)
    else
      for (const { check, isFine, found, fix } of findings)
        process.stdout.write(
          `${isFine ? 'ok     ' : 'MISSING'} ${check.padEnd(18)} ${found}${isFine || !fix ? '' : `\n        → ${fix}`}\n`,
        )
    if (findings.some(({ isFine }) => !isFine)) process.exitCode = exitCodes.failed
  })

type Look = () => Omit<Finding, 'check'> | Promise<Omit<Finding, 'check'>>

async function examine(check: string, look: Look): Promise<Finding> {
  try {
    return { check, ...(await look()) }
  } catch (error) {
    const fix = (error instanceof SluiceError && error.fix) || 'install sluice again: npm ci'
    return { check, isFine: false, found: error instanceof Error ? error.message : String(error), fix }
  }
}

const checks: readonly { readonly check: string; readonly look: Look }[] = [
  {
    check: 'Node',
    look: () => ({
      isFine: Number(process.versions.node.split('.')[0]) >= 26,
      found: `${process.version} at ${process.execPath}`,
      fix: 'install without --omit=optional',
    }),
  },
  { check: 'processor', look: () => ({ isFine: true, found: `${availableParallelism()} cores, ${cpus()[0]?.model ?? process.arch}` }) },
  {
    check: 'memory',
    look: () => {
      const bytes = machineMemoryBytes()
      const found = `${formatBytes(bytes)}; a model on the CPU may use ${formatBytes(largestArenaBytes(1))} of it`
      return { isFine: bytes > 2e9, found, fix: 'give small runs --threads 1 --memory 1GB' }
    },
  },
  {
    check: 'disk here',
    look: async () => {
      const { bavail, bsize } = await statfs('.')
      return {
        isFine: bavail * bsize > FREE_BYTES,
        found: `${formatBytes(bavail * bsize)} free`,
        fix: 'free some space, or run in another folder',
      }
    },
  },
  {
    check: 'zstd',
    look: () => ({
      isFine: zstdDecompressSync(zstdCompressSync(Buffer.from('sluice'))).toString() === 'sluice',
      found: `libzstd ${process.versions.zstd ?? ''}`,
    }),
  },
  {
    check: 'libdeflate',
    look: () => ({
      isFine: true, // nothing is missing without it
      found: libdeflate()
        ? 'found: gzip is decoded by it, 1.5 to 2 times as fast as by zlib (SLUICE_NATIVE=off leaves it alone)'
        : 'not found: zlib decodes gzip. Optional; Debian: libdeflate0, Fedora and Homebrew: libdeflate',
    }),
  },
  {
    check: 'kernels',
    look: () => {
      const folder = new URL('../../build/kernels/', import.meta.url)
      const names = existsSync(folder)
        ? readdirSync(folder)
            .filter((name) => name.endsWith('.wasm'))
            .map((name) => name.slice(0, -5))
        : []
      for (const name of names) loadKernel(name)
      return { isFine: names.length > 0, found: names.join(', ') || 'none', fix: 'npm run build:kernels' }
    },
  },
  {
    check: 'matrix products',
    look: () => {
      const chosen = chooseTier()
      const others = cpuTiers.filter((tier) => tier !== chosen)
      const also = others.filter((tier) => whyNot(tier) === undefined)
      return {
        isFine: true, // nothing is missing without it
        found: [
          chosen,
          hasBf16() ? `bf16 too (--precision bf16)${hasAmx() ? ' by AMX' : ''}` : 'no bf16',
          ...(also.length > 0 ? [`also ${also.join(', ')} by SLUICE_CPU`] : []),
          ...others.flatMap((tier) => {
            const reason = whyNot(tier)
            return reason ? [`no ${tier}: ${reason}`] : []
          }),
        ].join('; '),
      }
    },
  },
  {
    check: 'GPU',
    look: () => {
      const driver = findLibrary('driver')
      if (!driver) return { isFine: true, found: 'none: no NVIDIA driver (libcuda.so.1). The CPU trains; --device cuda needs one' }
      const found = [`driver ${driver}`, ...(['cublasLt', 'nvrtc'] as const).map((name) => `${name} ${findLibrary(name) ?? 'not found'}`)]
      const gpu = openDriver(driver)
      const named = `${gpu.name}, compute capability ${gpu.capability / 10}, ${formatBytes(gpu.totalBytes)}`
      gpu.dispose()
      const fix = 'install CUDA 12 or newer and name its folder in CUDA_HOME, or pip install nvidia-cublas nvidia-cuda-nvrtc'
      return { isFine: !found.some((line) => line.endsWith('not found')), found: [named, ...found].join('; '), fix }
    },
  },
  {
    check: 'worker threads',
    look: async () => {
      const worker = new Worker("require('node:worker_threads').parentPort.postMessage(1)", { eval: true })
      const isFine = await new Promise<boolean>((resolve) =>
        worker.once('message', () => resolve(true)).once('error', () => resolve(false)),
      )
      return { isFine, found: isFine ? 'start' : 'do not start', fix: 'raise the limit of processes (ulimit -u)' }
    },
  },
  {
    check: 'DuckDB (audit)',
    look: async () => {
      const duckdb = await import('@duckdb/node-api')
      return { isFine: true, found: duckdb.version() }
    },
  },
]
