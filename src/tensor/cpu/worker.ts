// A thread of the CPU device: sleeps until a program begins, walks it with the others, sleeps again.

import { parentPort, workerData } from 'node:worker_threads'
import { COUNT, FIRST, joinTeam, RUN, type TeamSetup } from './team.ts'

const setup: TeamSetup = workerData
const member = joinTeam(setup)
let seen = Atomics.load(setup.control, RUN)
parentPort?.postMessage('ready')
for (;;) {
  Atomics.wait(setup.control, RUN, seen)
  const run = Atomics.load(setup.control, RUN)
  if (run === seen) continue
  seen = run
  const count = setup.control[COUNT]
  if (count === 0) break
  member.walk(setup.control[FIRST], count)
}
