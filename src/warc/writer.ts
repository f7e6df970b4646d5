// Writes WARC/1.1 (ISO 28500:2017): warcinfo first, a gzip member a record, block and payload digests. With a seed and
// dates from the caller the same records give the same bytes.

import { createHash, randomUUID } from 'node:crypto'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { gzipSync } from 'node:zlib'
import { SluiceError } from '../core/errors.ts'
import { packageVersion } from '../core/version.ts'
import { diskError } from '../io/disk-errors.ts'
import { makeFolder } from '../io/make-folder.ts'
import { sha1Digest } from './digest.ts'

export type WarcRecordType = 'warcinfo' | 'response' | 'resource' | 'request' | 'metadata' | 'revisit' | 'conversion'

export interface WarcRecordInput {
  readonly type: WarcRecordType
  /** ISO 8601, UTC, to the second or finer. */
  readonly date: string
  /** `<urn:uuid:…>` */
  readonly id: string
  readonly url?: string
  readonly contentType: string
  readonly block: Uint8Array
  /** Where the payload begins in the block: behind the HTTP header of a response. Absent: no payload digest. */
  readonly payloadStart?: number
  /** Further header fields, in order. */
  readonly fields?: readonly (readonly [name: string, value: string])[]
}

/** One record, header to closing blank lines, not compressed. */
export function encodeWarcRecord(record: WarcRecordInput): Buffer {
  const lines = ['WARC/1.1', `WARC-Type: ${record.type}`, `WARC-Record-ID: ${record.id}`, `WARC-Date: ${record.date}`]
  if (record.url !== undefined) lines.push(`WARC-Target-URI: ${record.url}`)
  for (const [name, value] of record.fields ?? []) lines.push(`${name}: ${value}`)
  lines.push(`WARC-Block-Digest: ${sha1Digest(record.block)}`)
  if (record.payloadStart !== undefined) lines.push(`WARC-Payload-Digest: ${sha1Digest(record.block.subarray(record.payloadStart))}`)
  lines.push(`Content-Type: ${record.contentType}`, `Content-Length: ${record.block.length}`)
  const broken = lines.find((line) => /[\r\n]/.test(line))
  if (broken !== undefined)
    throw new SluiceError('SLUICE_WARC_FIELD', 'a header field of a WARC record holds a line end', {
      where: { field: JSON.stringify(broken.slice(0, 80)) },
      fix: 'escape it',
    })
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), record.block, Buffer.from('\r\n\r\n')])
}

export interface WarcWriterOptions {
  /** A gzip member a record; the file's name should end in .warc.gz then. */
  readonly gzip?: boolean
  /** Record ids come from it and the record's ordinal; without it they are random. */
  readonly seed?: string
  /** An existing file is replaced rather than refused. */
  readonly overwrite?: boolean
  /** Date of the warcinfo record. */
  readonly date: string
  /** Lines of the warcinfo record beside software and format. */
  readonly info?: Readonly<Record<string, string>>
}

/** A page for a response record. */
export interface WrittenResponse {
  readonly url: string
  readonly date: string
  readonly contentType: string
  readonly body: Uint8Array
}

/** A WARC file under a name of its own until `close`; left without it, nothing appears. */
export class WarcWriter {
  readonly path: string
  readonly #options: WarcWriterOptions
  readonly #partial: string
  readonly #file: FileHandle
  #records = 0
  #bytes = 0
  #infoId = ''
  #isDone = false

  private constructor(path: string, partial: string, file: FileHandle, options: WarcWriterOptions) {
    this.path = path
    this.#partial = partial
    this.#file = file
    this.#options = options
  }

  /** @throws SluiceError SLUICE_OUTPUT_EXISTS where the file is there and `overwrite` is not set */
  static async create(path: string, options: WarcWriterOptions): Promise<WarcWriter> {
    const partial = `${path}.${process.pid}.partial`
    try {
      if (!options.overwrite) await refuseExisting(path)
      await makeFolder(dirname(path))
      const writer = new WarcWriter(path, partial, await open(partial, 'w'), options)
      await writer.#writeInfo()
      return writer
    } catch (error) {
      throw diskError(error, path)
    }
  }

  get records(): number {
    return this.#records
  }

  get bytes(): number {
    return this.#bytes
  }

  /** A page as a `response` record with a plain HTTP header. */
  async writeResponse(page: WrittenResponse): Promise<void> {
    const head = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: ${page.contentType}\r\nContent-Length: ${page.body.length}\r\n\r\n`)
    const block = Buffer.concat([head, page.body])
    await this.write({
      type: 'response',
      date: page.date,
      url: page.url,
      contentType: 'application/http; msgtype=response',
      block,
      payloadStart: head.length,
    })
  }

  /** Any record; its id and the warcinfo that it belongs to are filled in. */
  async write(record: Omit<WarcRecordInput, 'id'>): Promise<void> {
    const fields = [['WARC-Warcinfo-ID', this.#infoId] as const, ...(record.fields ?? [])]
    await this.#append(encodeWarcRecord({ ...record, id: this.#nextId(), fields }))
  }

  /** Makes the file appear under its name. */
  async close(): Promise<void> {
    try {
      await this.#file.sync()
      await this.#file.close()
      await rename(this.#partial, this.path)
      this.#isDone = true
    } catch (error) {
      throw diskError(error, this.path)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDone) return
    this.#isDone = true
    await this.#file.close()
    await rm(this.#partial, { force: true })
  }

  async #writeInfo(): Promise<void> {
    const lines = { software: `sluice ${packageVersion}`, format: 'WARC File Format 1.1', ...this.#options.info }
    const text = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`)
    this.#infoId = this.#nextId()
    const block = Buffer.from(text.join(''))
    await this.#append(
      encodeWarcRecord({ type: 'warcinfo', date: this.#options.date, id: this.#infoId, contentType: 'application/warc-fields', block }),
    )
  }

  async #append(record: Buffer): Promise<void> {
    const stored = this.#options.gzip === false ? record : gzipSync(record)
    try {
      await this.#file.writeFile(stored)
    } catch (error) {
      throw diskError(error, this.path)
    }
    this.#records++
    this.#bytes += stored.length
  }

  #nextId(): string {
    return `<urn:uuid:${this.#options.seed === undefined ? randomUUID() : seededUuid(this.#options.seed, this.#records)}>`
  }
}

async function refuseExisting(path: string): Promise<void> {
  const existing = await open(path, 'r').catch(() => undefined)
  if (!existing) return
  await existing.close()
  throw new SluiceError('SLUICE_OUTPUT_EXISTS', 'the output file exists already', {
    where: { file: path },
    fix: 'choose another name, or pass --force to replace it',
  })
}

/** A version 8 UUID (RFC 9562: the bits are the writer's own). */
function seededUuid(seed: string, ordinal: number): string {
  const bytes = createHash('sha256').update(`${seed}\n${ordinal}`).digest().subarray(0, 16)
  bytes[6] = (bytes[6] & 0x0f) | 0x80
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
