// One process at a time in a folder: a lock file that says whose it is, and that does not hold when its owner is dead.

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { SluiceError, systemCode } from '../core/errors.ts'

const holderShape = z.object({ pid: z.int(), host: z.string(), since: z.string(), started: z.string().optional() })
type Holder = z.infer<typeof holderShape>

/**
 * Takes the folder, which is made where it is not there; disposing of the answer gives it back.
 *
 * @throws SluiceError `SLUICE_RUN_LOCKED` where another living process has it
 */
export async function lockFolder(folder: string): Promise<AsyncDisposable> {
  await mkdir(folder, { recursive: true })
  const file = join(folder, 'lock')
  const own = `${file}.${randomBytes(4).toString('hex')}`
  const owner: Holder = { pid: process.pid, host: hostname(), since: new Date().toISOString(), started: startOf(process.pid) }
  await writeFile(own, JSON.stringify(owner))
  try {
    // A link appears with its content, or not at all.
    while (!(await tryLink(own, file))) {
      const holder = await readHolder(file)
      if (holder && isAlive(holder)) {
        throw new SluiceError('SLUICE_RUN_LOCKED', `another sluice works in this folder since ${holder.since}`, {
          where: { folder, pid: holder.pid, host: holder.host },
          fix: 'wait for it, stop it, or give another folder',
        })
      }
      await removeDead(file, `${own}.dead`, holder)
    }
  } finally {
    await rm(own, { force: true })
  }
  return { [Symbol.asyncDispose]: () => rm(file, { force: true }) }
}

async function tryLink(own: string, file: string): Promise<boolean> {
  try {
    await link(own, file)
    return true
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false
    throw error
  }
}

/** Two starts may judge the same dead lock: each takes away only what it judged, and puts back what is not that. */
async function removeDead(file: string, aside: string, judged: Holder | undefined): Promise<void> {
  try {
    await rename(file, aside)
  } catch {
    return // gone already
  }
  const taken = await readHolder(aside)
  if (taken && taken.since !== judged?.since) await tryLink(aside, file)
  await rm(aside, { force: true })
}

async function readHolder(file: string): Promise<Holder | undefined> {
  try {
    return holderShape.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch {
    return undefined // given back just now, or no lock of ours
  }
}

/** On another host nobody can tell, so the lock is respected. */
function isAlive({ pid, host, started }: Holder): boolean {
  if (host !== hostname()) return true
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (systemCode(error) !== 'EPERM') return false
  }
  // Process numbers are used again, in containers all the time: another start is another process.
  return started === startOf(pid)
}

/** When the process started, in the kernel's ticks; undefined where there is no /proc. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? 'ended' : fields[19] // a zombie works no more
  } catch {
    return undefined
  }
}
