// When a run has seen too much damage to go on.

import { SluiceError } from '../core/errors.ts'
import type { Summary } from './summary.ts'

/** So many errors are borne whatever their share: a small input with one damaged record is no reason to stop. */
const BORNE_ERRORS = 10

/** Counts the errors of a phase's tasks as they come in. */
export class ErrorRate {
  readonly #allowed: number
  #errors = 0
  #records = 0
  #documents = 0
  #first: Summary['damages'][number] | Summary['quarantines'][number] | undefined

  /** @param allowed share of records that may be damaged or quarantined */
  constructor(allowed: number) {
    this.#allowed = allowed
  }

  add({ damaged, quarantined, records, documents, damages, quarantines }: Summary): void {
    this.#errors += damaged + quarantined
    this.#records += records || documents
    this.#documents += documents
    this.#first ??= damages[0] ?? quarantines[0]
  }

  /** @throws SluiceError `SLUICE_ERROR_RATE` */
  check(): void {
    const rate = this.#errors / Math.max(1, this.#records)
    if (this.#errors <= BORNE_ERRORS || rate <= this.#allowed) return
    const percent = (share: number) => `${(share * 100).toFixed(1)} %`
    throw new SluiceError(
      'SLUICE_ERROR_RATE',
      `${this.#errors} of ${this.#records} records are damaged or quarantined: ${percent(rate)}, and --max-error-rate allows ${percent(this.#allowed)}`,
      {
        where: this.#where(),
        fix: 'mend the input or the stage, or allow more with --max-error-rate; what is done stays done',
      },
    )
  }

  /** @throws SluiceError `SLUICE_NOTHING_READ` where all that was read is damaged */
  checkSomethingRead(): void {
    const first = this.#first
    if (this.#documents > 0 || !first) return
    throw new SluiceError('SLUICE_NOTHING_READ', `no document could be read: ${first.message}`, {
      where: this.#where(),
      fix: 'check that the file is what the source expects (sluice warc check tells for WARC files)',
    })
  }

  #where() {
    const first = this.#first
    if (!first) return undefined
    const { source, offset, message } = first
    return { source, offset, ...('stage' in first ? { stage: first.stage } : { code: first.code }), first: message }
  }
}
