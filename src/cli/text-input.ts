// What commands over texts share: text files and JSON lines in, JSON lines out.

import { createReadStream, type Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { z } from 'zod'
import { SluiceError } from '../core/errors.ts'
import { decompress, type StreamDamage } from '../io/decompress.ts'
import { openFile } from '../io/file-source.ts'

export const lineId = z.union([z.string(), z.number()]).nullish()
export const textLine = z.object({ id: lineId, text: z.string() })

/**
 * Texts of files, or of standard input where there is none. Files named .jsonl (.gz, .zst) give the "text" of their lines,
 * others come in parts.
 *
 * @param cutAt offset in a text behind which its rest waits for what follows; 0 where there is no such place
 */
export async function* textsOf(files: readonly string[], cutAt: (text: string) => number): AsyncGenerator<string> {
  if (files.length === 0) for await (const { value } of jsonLines(process.stdin, 'standard input', textLine)) yield value.text
  for (const file of files) {
    if (!isJsonLines(file)) yield* partsOf(file, cutAt)
    else for await (const { value } of jsonLinesOf(file, textLine)) yield value.text
  }
}

/** Where a text is cut into lines: offset behind the last line feed; 0 where there is none. */
export function lastLineEnd(text: string): number {
  return text.lastIndexOf('\n') + 1
}

/** Where every pattern of a tokenizer cuts: offset of the last blank that follows a letter; 0 where there is none. */
export function lastWordEnd(text: string): number {
  let at = text.length - 1
  while (at > 0 && !(/\s/.test(text[at]) && /\p{L}/u.test(text[at - 1]))) at--
  return Math.max(0, at)
}

export function isJsonLines(file: string): boolean {
  return /\.jsonl(\.gz|\.zst)?$/.test(file)
}

/** Parsed lines of a file, decompressed. */
export function jsonLinesOf<T>(file: string, schema: z.ZodType<T>): AsyncGenerator<{ value: T; line: number }> {
  return jsonLines(Readable.from(bytesOf(file)), file, schema)
}

async function* partsOf(file: string, cutAt: (text: string) => number): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  let text = ''
  for await (const chunk of bytesOf(file)) {
    text += decoder.decode(chunk, { stream: true })
    const cut = cutAt(text)
    if (cut > 0) yield text.slice(0, cut)
    text = text.slice(cut)
  }
  text += decoder.decode()
  if (text !== '') yield text
}

/** What a file holds, decompressed. A pipe is read as it comes. */
async function* bytesOf(file: string): AsyncGenerator<Buffer> {
  if ((await checkReadable(file)).isFIFO()) return yield* createReadStream(file)
  const source = await openFile(file, {})
  const refuse = ({ code, message, offset }: StreamDamage) => {
    throw new SluiceError(code, message, { where: { file, byte: offset }, fix: 'fetch or make the file again' })
  }
  for await (const { chunk } of decompress(source, refuse)) yield chunk
}

/** Before hours of work. @throws SluiceError `SLUICE_FILE_MISSING` where there is no folder for an output */
export async function checkFolderOf(output: string): Promise<void> {
  const folder = dirname(output)
  if ((await checkReadable(folder)).isDirectory()) return
  throw new SluiceError('SLUICE_FILE_MISSING', `a folder was expected, this is a file: ${folder}`, {
    where: { file: output },
    fix: 'check the path',
  })
}

/** @throws SluiceError `SLUICE_FILE_MISSING` */
export async function checkReadable(file: string): Promise<Stats> {
  try {
    return await stat(file)
  } catch (cause) {
    throw new SluiceError('SLUICE_FILE_MISSING', `no such file or folder: ${file}`, { where: { file }, fix: 'check the path', cause })
  }
}

/** Parsed lines of a stream, empty ones left out. */
export async function* jsonLines<T>(
  input: NodeJS.ReadableStream,
  name: string,
  schema: z.ZodType<T>,
): AsyncGenerator<{ value: T; line: number }> {
  let line = 0
  // \r\n and \n end a line; readline knows no others once they are given together.
  for await (const text of createInterface({ input, crlfDelay: Infinity })) {
    line++
    if (text.trim() === '') continue
    yield { value: parseLine(text, schema, { input: name, line }), line }
  }
}

function parseLine<T>(text: string, schema: z.ZodType<T>, where: { input: string; line: number }): T {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new SluiceError('SLUICE_JSONL_LINE', 'a line is not JSON', { where, fix: 'give one JSON object a line', cause })
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  throw new SluiceError('SLUICE_JSONL_LINE', `a line has not the fields it needs:\n${z.prettifyError(parsed.error)}`, { where })
}

/** One JSON line on standard output. */
export async function print(value: object): Promise<void> {
  await printLine(JSON.stringify(value))
}

/** Waits where the reader is slower. */
export async function printLine(text: string): Promise<void> {
  if (!process.stdout.write(`${text}\n`)) await new Promise((resolve) => process.stdout.once('drain', resolve))
}
