// Where personal data stands in a text: what detectors give and redaction takes.

/** Calls back with the bounds of each finding, in UTF-16 units, end exclusive, in order. Linear in the text's length. */
export type Find = (text: string, found: (start: number, end: number) => void) => void

export interface Span {
  readonly kind: Kind
  readonly start: number
  readonly end: number
}

/** Found by form and check digits. Where findings overlap, the kind that stands first names the redaction. */
export const patternKinds = [
  'private_key',
  'credentials',
  'api_key',
  'email',
  'iban',
  'card',
  'crypto_wallet',
  'ssn',
  'national_id',
  'passport',
  'licence',
  'medical_record',
  'ip',
  'mac',
  'coordinates',
  'birth_date',
  'phone',
] as const
/** Found by words around them and lists of names: less precise. */
export const wordKinds = ['address', 'name'] as const
export const kinds = [...patternKinds, ...wordKinds] as const
export type Kind = (typeof kinds)[number]

/** What is looked for where nothing else is said. */
export const defaultKinds = ['email', 'iban', 'card', 'ip', 'phone'] as const satisfies readonly Kind[]
