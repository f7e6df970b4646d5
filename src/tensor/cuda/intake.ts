// Inputs on their way to the GPU. The host fills page-locked memory, a stream of its own copies that to the GPU while a step runs,
// and the step's stream moves it to where its programs read it. There are two of each; no side waits for another but where it
// would overwrite what has not been read:
//
//   host      fill A     fill B                  fill A, when it was sent
//   copies       └ send A   └ send B                └ send A, when it was taken
//   step            └ take A, run … └ take B, run …

import type { InputArrays, Intake } from '../device.ts'
import { elements } from '../shape.ts'
import type { Operands } from '../tensor.ts'
import type { Driver, Handle } from './driver.ts'

/** Of each input in a slot: what a vector load asks for. */
const ALIGNMENT = 256

interface Slot {
  readonly host: ArrayBuffer
  readonly arrays: InputArrays
  readonly onDevice: Handle
  /** Passes when the host's memory was read, and when the GPU's was. */
  readonly sent: Handle
  readonly taken: Handle
}

export interface CudaIntake extends Intake {
  dispose(): void
}

/** @param addressOf where programs read an input; what they read of it before must have been asked for before */
export function openIntake(driver: Driver, copies: Handle, inputs: Operands, addressOf: (name: string) => Handle): CudaIntake {
  let slotBytes = 0
  const places = Object.entries(inputs).map(([name, { shape }]) => {
    const [offset, count] = [slotBytes, elements(shape)]
    slotBytes += Math.ceil((count * 4) / ALIGNMENT) * ALIGNMENT
    return { name, offset, count, address: addressOf(name) }
  })
  const slots = [0, 1].map((): Slot => {
    const host = driver.allocateHost(slotBytes)
    const arrays = Object.fromEntries(places.map(({ name, offset, count }) => [name, new Int32Array(host, offset, count)]))
    return { host, arrays, onDevice: driver.allocate(slotBytes), sent: driver.createEvent(), taken: driver.createEvent() }
  })
  const free = [...slots]

  return {
    isAhead: true,
    send(fill) {
      const [slot] = free
      if (!slot) throw new RangeError('two fillings wait to be taken')
      const { host, arrays, onDevice, sent, taken } = slot
      driver.waitOnHost(sent)
      fill(arrays)
      free.shift()
      driver.waitFor(taken, copies)
      driver.upload(onDevice, new Uint8Array(host), copies)
      driver.record(sent, copies)
      return () => {
        driver.waitFor(sent, driver.stream)
        for (const { address, offset, count } of places) driver.copy(address, onDevice + BigInt(offset), count * 4)
        driver.record(taken, driver.stream)
        free.push(slot)
      }
    },
    dispose() {
      for (const { host, onDevice, sent, taken } of slots) {
        driver.waitOnHost(sent)
        driver.freeHost(host)
        driver.free(onDevice)
        driver.freeEvent(sent)
        driver.freeEvent(taken)
      }
    },
  }
}
