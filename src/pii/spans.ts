// Where personal data stands in a text: what detectors give and redaction takes.

/** Calls back with the bounds of each finding, in UTF-16 units, end exclusive, in order. Linear in the text's length. */
export type Find = (text: string, found: (start: number, end: number) => void) => void

export interface Span {
  readonly kind: Kind
  readonly start: number
  readonly end: number
}

/** Where findings overlap, the kind that stands first names the redaction. */
export const kinds = ['email', 'iban', 'card', 'ip', 'phone'] as const
export type Kind = (typeof kinds)[number]
