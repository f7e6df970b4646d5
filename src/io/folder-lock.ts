// One process at a time in a folder: a lock file that says whose it is, and that does not hold when its owner is dead.

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { link, readFile, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { SluiceError, systemCode } from '../core/errors.ts'
import { makeFolder } from './make-folder.ts'

const holderShape = z.object({ pid: z.int(), host: z.string(), since: z.string(), started: z.string().optional() })
type Holder = z.infer<typeof holderShape>

/**
 * Takes the folder, which is made where it is not there; disposing of the answer gives it back.
 *
 * @param name of the lock file
 * @throws SluiceError `SLUICE_RUN_LOCKED` where another living process has it
 */
export async function lockFolder(folder: string, name = 'lock'): Promise<AsyncDisposable> {
  await makeFolder(folder)
  const file = join(folder, name)
  const own = `${file}.${randomBytes(4).toString('hex')}`
  const owner: Holder = { pid: process.pid, host: hostname(), since: new Date().toISOString(), started: startOf(process.pid) }
  await writeFile(own, JSON.stringify(owner))
  try {
    // A link appears with its content, or not at all.
    while (!(await tryLink(own, file))) {
      const holder = await readHolder(file)
      if (typeof holder === 'object' && isAlive(holder)) {
        throw new SluiceError('SLUICE_RUN_LOCKED', `another sluice works in this folder since ${holder.since}`, {
          where: { folder, pid: holder.pid, host: holder.host },
          fix: 'wait for it, stop it, or give another folder',
        })
      }
      await removeDead(file, own)
    }
  } finally {
    await rm(own, { force: true })
  }
  return { [Symbol.asyncDispose]: () => giveBack(file) }
}

async function giveBack(file: string): Promise<void> {
  try {
    await rm(file, { force: true })
  } catch (error) {
    if (systemCode(error) !== 'ENOTDIR') throw error // else the folder is gone, and the lock with it
  }
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

/**
 * Takes a dead lock away, one process at a time. Without the guard a start could take away, after it had judged the dead
 * lock, the living one that another start had put in its place.
 */
async function removeDead(file: string, own: string): Promise<void> {
  const guard = `${file}.guard`
  if (await tryLink(own, guard)) {
    try {
      if (await isDead(file)) await rm(file, { force: true })
    } finally {
      await rm(guard, { force: true })
    }
  } else if (await isDead(guard)) await rm(guard, { force: true })
  else await sleep(10)
}

async function isDead(file: string): Promise<boolean> {
  const holder = await readHolder(file)
  return holder !== 'free' && (holder === 'unreadable' || !isAlive(holder))
}

async function readHolder(file: string): Promise<Holder | 'free' | 'unreadable'> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch {
    return 'free' // given back just now
  }
  try {
    return holderShape.parse(JSON.parse(text))
  } catch {
    return 'unreadable' // no lock of ours
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
