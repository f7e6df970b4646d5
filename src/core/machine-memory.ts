// How much memory there is to have: the machine's, or that of the control group that this process is in.

import { totalmem } from 'node:os'

export function machineMemoryBytes(): number {
  const constrained = process.constrainedMemory()
  return constrained > 0 && constrained < totalmem() ? constrained : totalmem()
}
