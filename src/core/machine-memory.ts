// How much memory there is to have: the machine's, or what the control group or a limit of this process leaves of it; and how
// much of it is taken where nobody says.

import { totalmem } from 'node:os'

export function machineMemoryBytes(): number {
  const constrained = process.constrainedMemory()
  return constrained > 0 && constrained < totalmem() ? constrained : totalmem()
}

/** Four fifths: the rest is for the system and others. */
export const unaskedMemoryBytes = () => Math.floor(machineMemoryBytes() * 0.8)
