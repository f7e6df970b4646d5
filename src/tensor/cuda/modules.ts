// The compilation units of kernels/cuda: which source with which definitions. NVRTC compiles the text as it stands, and the
// emulator of the tests includes the same.

import { readFileSync } from 'node:fs'
import { type Precision, precisions } from '../precision.ts'

export interface Module {
  readonly name: string
  /** Of kernels/cuda, without the extension. */
  readonly file: string
  readonly defines: Readonly<Record<string, string>>
  /** Precisions whose launches use it. */
  readonly precisions: readonly Precision[]
}

/** Heads that the tensor cores' kernels are made for. */
export const FLASH_HEAD_SIZES = [64, 128] as const

export const modules: readonly Module[] = [
  ...['elements', 'rows', 'loss', 'attention'].map((name): Module => ({ name, file: name, defines: {}, precisions })),
  ...FLASH_HEAD_SIZES.flatMap((size) =>
    [0, 1].map(
      (extras): Module => ({
        name: flashModule(size, extras === 1),
        file: 'flash',
        defines: { HEAD_SIZE: String(size), EXTRAS: String(extras) },
        precisions: ['bf16', 'f16'],
      }),
    ),
  ),
]

export function flashModule(headSize: number, hasExtras: boolean): string {
  return `flash_${headSize}${hasExtras ? '_extras' : ''}`
}

const folder = new URL('../../../kernels/cuda/', import.meta.url)

/** The text that NVRTC compiles; it includes nothing. */
export function sourceOf(module: Module): string {
  return [readFileSync(new URL('common.h', folder), 'utf8'), readFileSync(new URL(`${module.file}.cu`, folder), 'utf8')].join('\n')
}

/** Definitions, as `-Dname=value`. */
export function definitionsOf(module: Module, precision: Precision): string[] {
  const all = { ACT: precision === 'f32' ? 'float' : 'half', F16: precision === 'f16' ? '1' : '0', ...module.defines }
  return Object.entries(all).map(([name, value]) => `-D${name}=${value}`)
}

/** Kernels of a source, by name. */
export function kernelsOf(source: string): string[] {
  return [...source.matchAll(/^KERNEL\(\d+\) (\w+)\(/gm)].map((match) => match[1])
}
