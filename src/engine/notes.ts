// What each worker thread is doing, in a file that outlives the process: before a worker looks at a document it writes
// (stage, partition, offset, id) into its slot. When the process aborts, hangs or is killed for its memory, the
// supervisor reads here which documents it had in hand. One 64-byte pwrite into the page cache, about 2 µs a document.

import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'

const SLOT_BYTES = 64
const SLOTS = 1024

export type Activity = 'idle' | 'working' | 'reading'
const activities: readonly Activity[] = ['idle', 'working', 'reading']

export interface Note {
  readonly slot: number
  readonly activity: Activity
  /** Grows with every note of this slot: the same twice means that the document is still the same. */
  readonly sequence: number
  readonly phase: number
  /** Ordinal in the phase's stage names. */
  readonly stage: number
  /** Ordinal of the partition in its phase. */
  readonly partition: number
  readonly offset: number
  /** Document id; of a record's first document while the record is not yet read. */
  readonly id: string
}

export class NoteSlot {
  readonly #file: number
  readonly #position: number
  readonly #buffer = Buffer.alloc(SLOT_BYTES)
  #sequence = 0

  /** @param slot any number that no other living thread of this process has */
  constructor(path: string, slot: number) {
    this.#file = openSync(path, 'r+')
    this.#position = (slot % SLOTS) * SLOT_BYTES
  }

  /** @param phase and partition: where the worker is from now on */
  enter(phase: number, partition: number): void {
    this.#buffer.writeUInt32LE(phase, 8)
    this.#buffer.writeUInt32LE(partition, 16)
  }

  working(stage: number, offset: number, id: string): void {
    this.#buffer.writeUInt32LE(stage, 12)
    this.#buffer.write(id, 32, 32, 'latin1')
    this.#write(1, offset)
  }

  reading(offset: number, id: string): void {
    this.#buffer.write(id, 32, 32, 'latin1')
    this.#write(2, offset)
  }

  idle(): void {
    this.#buffer.fill(0, 32)
    this.#write(0, 0)
  }

  close(): void {
    this.idle()
    closeSync(this.#file)
  }

  #write(activity: number, offset: number): void {
    this.#buffer[0] = activity
    this.#buffer.writeUInt32LE(++this.#sequence >>> 0, 4)
    this.#buffer.writeDoubleLE(offset, 24)
    writeSync(this.#file, this.#buffer, 0, SLOT_BYTES, this.#position)
  }
}

/** Empties the note file, before a process starts its workers. */
export function clearNotes(path: string): void {
  const file = openSync(path, 'w')
  writeSync(file, Buffer.alloc(SLOT_BYTES * SLOTS))
  closeSync(file)
}

/** Slots in which something was going on. */
export function readNotes(path: string): Note[] {
  const bytes = readFileSync(path)
  const notes: Note[] = []
  for (let slot = 0; slot * SLOT_BYTES < bytes.length; slot++) {
    const at = slot * SLOT_BYTES
    if (bytes[at] === 0) continue
    notes.push({
      slot,
      activity: activities[bytes[at]] ?? 'idle',
      sequence: bytes.readUInt32LE(at + 4),
      phase: bytes.readUInt32LE(at + 8),
      stage: bytes.readUInt32LE(at + 12),
      partition: bytes.readUInt32LE(at + 16),
      offset: bytes.readDoubleLE(at + 24),
      id: bytes[at + 32] === 0 ? '' : bytes.toString('latin1', at + 32, at + 64),
    })
  }
  return notes
}
