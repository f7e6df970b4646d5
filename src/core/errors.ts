// The one error that sluice throws on purpose: what happened, where, what to do. Codes are API, wording is not.
// A broken promise of our own code is an `assert`, not one of these.

/** Where it happened, as far as is known: what a person needs to open the place. */
export type Where = Readonly<Record<string, string | number>>

export interface SluiceErrorDetails {
  where?: Where
  /** What the reader can do about it, an imperative sentence without a full stop. */
  fix?: string
  cause?: unknown
}

/** An error that crosses threads and processes: structured clone drops an error's own fields, so these are sent instead. */
export interface PackedError {
  code: string
  message: string
  where?: Where
  fix?: string
  stack?: string
}

export class SluiceError extends Error {
  override readonly name = 'SluiceError'
  /** `SLUICE_AREA_PROBLEM`, stable across releases. */
  readonly code: string
  readonly where?: Where
  readonly fix?: string

  constructor(code: string, message: string, details: SluiceErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.where = details.where
    this.fix = details.fix
  }
}

/** Several lines for a person: the message, the place, the advice. No stack: the user made no mistake in our source. */
export function describeError(error: SluiceError | PackedError): string {
  const lines = [`${error.message} [${error.code}]`]
  if (error.where)
    lines.push(
      `  where: ${Object.entries(error.where)
        .map(([key, value]) => `${key} ${value}`)
        .join(', ')}`,
    )
  if (error.fix) lines.push(`  fix:   ${error.fix}`)
  return lines.join('\n')
}

export function packError(error: unknown): PackedError {
  if (error instanceof SluiceError)
    return { code: error.code, message: error.message, where: error.where, fix: error.fix, stack: error.stack }
  if (error instanceof Error) return { code: systemCode(error) ?? 'SLUICE_INTERNAL', message: error.message, stack: error.stack }
  return { code: 'SLUICE_INTERNAL', message: String(error) }
}

export function unpackError(packed: PackedError): SluiceError {
  const error = new SluiceError(packed.code, packed.message, { where: packed.where, fix: packed.fix })
  if (packed.stack) error.stack = packed.stack
  return error
}

/** The `code` of a Node error (`ENOSPC`, `EACCES`, `UND_ERR_SOCKET`), where it has one. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
