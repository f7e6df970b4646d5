// What lies beside documents and says more of each, line by line: Dolma's attributes (docs/data-format.md of the toolkit), the
// quality signals of RedPajama 2. Line n of one file belongs to line n of the other.

import type { Document } from '../core/document.ts'
import { SluiceError, systemCode } from '../core/errors.ts'
import type { ByteSource } from '../io/byte-source.ts'
import { type Line, readLines } from '../io/lines.ts'
import { openBytes } from '../io/open-bytes.ts'
import { type BadLine, parseLine } from './json-line.ts'
import type { JsonObject } from './record-fields.ts'

export interface Attributes {
  /** @returns undefined where the documents' own URL does not show where they lie */
  readonly urlOf: (documents: string) => string | undefined
  /** @returns what the line says, or undefined where it speaks of another document */
  readonly read: (attributes: JsonObject, record: JsonObject, ordinal: number) => Said | undefined
}
export interface Said {
  readonly annotations: Readonly<Record<string, number | string>>
  readonly metadata?: JsonObject
}

/**
 * The files that belong to one of documents, opened.
 *
 * @throws SluiceError `SLUICE_ATTRIBUTES_MISSING`, and what opening throws
 */
export async function openAttributes(documents: string, attributes: readonly Attributes[], signal: AbortSignal): Promise<ByteSource[]> {
  const opened: ByteSource[] = []
  for (const { urlOf } of attributes) {
    const url = urlOf(documents)
    try {
      if (url !== undefined) opened.push(await openBytes(url, { signal }))
    } catch (cause) {
      if (!isMissing(cause)) throw cause
      throw new SluiceError('SLUICE_ATTRIBUTES_MISSING', 'there are documents without the attributes that were asked for', {
        where: { documents, attributes: url ?? '' },
        fix: 'fetch that file too, or ask for other attributes',
        cause,
      })
    }
    if (url === undefined)
      throw new SluiceError('SLUICE_ATTRIBUTES_MISSING', 'the documents do not lie in the folders of their layout', {
        where: { documents },
        fix: 'name files below a folder documents/, as the corpus is published, or ask for no attributes',
      })
  }
  return opened
}

function isMissing(error: unknown): boolean {
  return systemCode(error) === 'SLUICE_FILE_MISSING' || systemCode(error) === 'SLUICE_INPUT_MISSING'
}

/** The lines of a file of attributes, asked for in order. */
export class AttributeLines {
  readonly #attributes: Attributes
  readonly #lines: AsyncGenerator<Line>
  readonly #url: string
  #line: Line | undefined
  #problem = 'it ends before this line'

  constructor(attributes: Attributes, source: ByteSource, maxLineBytes: number) {
    this.#attributes = attributes
    this.#url = source.url
    this.#lines = this.#read(source, maxLineBytes)
  }

  async of(ordinal: number, record: JsonObject): Promise<Said | BadLine> {
    while (this.#line === undefined || this.#line.ordinal < ordinal) {
      const next = await this.#lines.next()
      if (next.done) return this.#bad(this.#problem)
      this.#line = next.value
    }
    if (this.#line.ordinal > ordinal) return this.#bad('its line is too long')
    const attributes = parseLine(this.#line)
    if ('bad' in attributes) return this.#bad('message' in attributes.bad ? attributes.bad.message : 'its line is blank')
    return this.#attributes.read(attributes.value, record, ordinal) ?? this.#bad('its line is of another document')
  }

  async close(): Promise<void> {
    await this.#lines.return(undefined)
  }

  async *#read(source: ByteSource, maxLineBytes: number): AsyncGenerator<Line> {
    const damaged = ({ message }: { message: string }) => (this.#problem = message)
    for await (const { lines } of readLines(source, { maxLineBytes, damaged })) yield* lines
  }

  #bad(reason: string): BadLine {
    return { code: 'SLUICE_ATTRIBUTES_LINE', message: `its attributes cannot be read from ${this.#url}: ${reason}` }
  }
}

/** The document with all that is said of it, or why something is not. */
export function withSaid(document: Document, said: readonly (Said | BadLine)[]): Document | BadLine {
  let { metadata } = document
  let annotations: Document['annotations'] = {}
  for (const one of said) {
    if ('code' in one) return one
    annotations = { ...annotations, ...one.annotations }
    metadata = { ...metadata, ...one.metadata }
  }
  return { ...document, metadata, annotations }
}
