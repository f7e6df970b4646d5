// How far a command is: one line on standard error, in place on a terminal, now and then elsewhere.

const TERMINAL_MS = 500
const LOG_MS = 5000

export class ProgressLine {
  #shownMs = performance.now()

  /** Where the last line is old enough. */
  show(describe: () => string): void {
    const now = performance.now()
    if (now - this.#shownMs < (process.stderr.isTTY ? TERMINAL_MS : LOG_MS)) return
    this.#shownMs = now
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${describe()}` : `${describe()}\n`)
  }

  /** Puts the result in the line's place. */
  done(text: string): void {
    this.clear()
    process.stderr.write(`${text}\n`)
  }

  clear(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  }
}
