// llm.c's CPU program: fetched and built for a shape by bench/peers/llmc.sh, and what it prints while it runs.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** Path of the program for a shape; its source lies beside as `.c`. */
export function buildLlmc(rows: number, length: number): string {
  const script = fileURLToPath(new URL('../peers/llmc.sh', import.meta.url))
  return execFileSync(script, [`${rows}`, `${length}`], { encoding: 'utf8' }).trim()
}

/**
 * The lines that it prints. Who has read enough stops the program by leaving the loop: its main() would go on.
 *
 * @param folder with the files of bench/lib/llmc-files.ts
 */
export async function* runLlmc(program: string, folder: string, threads: number): AsyncGenerator<string> {
  const environment = { ...process.env, OMP_NUM_THREADS: `${threads}` }
  const child = spawn('stdbuf', ['-oL', program], { cwd: folder, env: environment, stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  try {
    yield* createInterface(child.stdout)
  } finally {
    child.kill('SIGKILL')
    await exited
  }
}
