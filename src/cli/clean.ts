// `sluice clean`: removes what a finished run needs no longer: the documents between its phases and its barriers' working
// files. What the audit reads (statistics, rejected documents, summaries) stays, unless asked.

import { existsSync } from 'node:fs'
import { readdir, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import { SluiceError } from '../core/errors.ts'
import { formatBytes } from '../core/format.ts'
import { RunFolder } from '../engine/run-folder.ts'
import { lockFolder } from '../io/folder-lock.ts'
import { treeBytes } from '../io/tree-bytes.ts'

export const command = new Command()
  .argument('<run>', 'run folder')
  .option('--all', 'the whole run folder, audit included; shards stay')
  .option('--dry-run', 'only say what would go')
  .option('--json', 'the result as JSON')
  .addHelpText('after', '\nA cleaned run can be audited; started again, it does its work anew.\n\nExample:\n  sluice clean runs/quickstart')
  .action(async (path: string, flags: { all?: boolean; dryRun?: boolean; json?: boolean }) => {
    const folder = new RunFolder(path)
    if (!(await folder.plan()))
      throw new SluiceError('SLUICE_RUN_MISSING', 'the folder holds no run', {
        where: { folder: path },
        fix: 'give the folder that sluice run named',
      })
    await using _lock = await lockFolder(path)
    if (!flags.all && !(await folder.summary())) {
      throw new SluiceError('SLUICE_RUN_OPEN', 'the run is not finished: what would be removed is what it goes on from', {
        where: { folder: path },
        fix: 'finish it with sluice run, or give it up with --all',
      })
    }
    const doomed = flags.all ? everythingOf(path) : await intermediates(path)
    let bytes = 0
    for (const item of doomed) bytes += await treeBytes(item)
    if (!flags.dryRun) {
      for (const item of doomed) await rm(item, { recursive: true, force: true })
      if (flags.all) await rmdir(path).catch(() => undefined) // something of the user's is in it
    }
    const result = { removed: doomed, bytes, dryRun: flags.dryRun ?? false }
    process.stdout.write(
      flags.json ? `${JSON.stringify(result)}\n` : `${flags.dryRun ? 'would remove' : 'removed'} ${formatBytes(bytes)} from ${path}\n`,
    )
  })

/** All that a run writes, its plan last; what else lies in the folder, shards maybe, is not ours to remove. */
function everythingOf(path: string): string[] {
  const names = ['summary.json', 'manifest.json', 'phases', 'quarantine.json', 'audit.html', 'in-flight', 'lock', 'run.json']
  return names.map((name) => join(path, name)).filter((item) => existsSync(item))
}

/** The markers, first: they promise the rest, the items, collections and merges of all phases. */
async function intermediates(path: string): Promise<string[]> {
  const phases = join(path, 'phases')
  const names = existsSync(phases) ? await readdir(phases) : []
  return names
    .flatMap((name) => ['tasks', 'items', 'collected', 'merged'].map((kind) => join(phases, name, kind)))
    .filter((item) => existsSync(item))
}
