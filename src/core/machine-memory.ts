// How much memory there is to have: the machine's, or what the control group or a limit of this process leaves of it.

import { totalmem } from 'node:os'

export function machineMemoryBytes(): number {
  const constrained = process.constrainedMemory()
  return constrained > 0 && constrained < totalmem() ? constrained : totalmem()
}
