// `npm run conformance -- --dir D`: runs every case file of a folder against sluice, prints passed of total per file and what
// failed. A file that no runner knows is named. Exit 1 where a case failed.

import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type FileResult, type Outcome, runFile } from './cases.ts'
import { runners } from './registry.ts'

const usage = `usage: npm run conformance -- [--dir D] [--json] [--list N]
  --dir D    folder with *.jsonl case files (default: ../shared/conformance beside the checkout)
  --list N   failures to list per file (default 10)
  --json     results as JSON on stdout`

const { values } = parseArgs({
  options: { dir: { type: 'string' }, json: { type: 'boolean' }, list: { type: 'string' }, help: { type: 'boolean' } },
})
if (values.help) {
  console.log(usage)
  process.exit()
}
const folder = values.dir ?? fileURLToPath(new URL('../../../shared/conformance', import.meta.url))
const listed = Number(values.list ?? 10)
if (!existsSync(folder) || Number.isNaN(listed)) {
  console.error(Number.isNaN(listed) ? `--list needs a number\n${usage}` : `no folder ${folder}\n${usage}`)
  process.exit(2)
}

const results: FileResult[] = []
for (const file of readdirSync(folder)
  .filter((name) => name.endsWith('.jsonl'))
  .sort()) {
  const result = await runFile(folder, file, runners)
  results.push(result)
  if (!values.json) printFile(result)
}
const failed = results.flatMap((result) => failures(result))
if (values.json) console.log(JSON.stringify({ folder, files: results.map(summary) }, null, 2))
else printTotal()
process.exit(failed.length > 0 ? 1 : 0)

function failures(result: FileResult): Outcome[] {
  return (result.outcomes ?? []).filter((outcome) => outcome.difference !== undefined)
}

function summary(result: FileResult) {
  const { file, cases, outcomes } = result
  if (outcomes === undefined) return { file, cases, runner: false }
  const failing = failures(result)
  return { file, cases, runner: true, passed: outcomes.length - failing.length, total: outcomes.length, failures: failing.slice(0, listed) }
}

function printFile(result: FileResult): void {
  const name = result.file.padEnd(42)
  if (result.outcomes === undefined) {
    console.log(`${name} no runner (${result.cases} cases)`)
    return
  }
  const failing = failures(result)
  console.log(`${name} ${result.outcomes.length - failing.length}/${result.outcomes.length}`)
  for (const { id, difference } of failing.slice(0, listed)) console.log(`    ${id}: ${difference}`)
  if (failing.length > listed) console.log(`    … and ${failing.length - listed} more`)
}

function printTotal(): void {
  const total = results.reduce((sum, result) => sum + (result.outcomes?.length ?? 0), 0)
  const without = results.filter((result) => result.outcomes === undefined)
  const rest = without.length > 0 ? `; ${without.length} files without a runner` : ''
  console.log(`${total - failed.length}/${total} cases pass${rest}`)
}
