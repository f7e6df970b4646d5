// Opens an input by the scheme of its URL.

import type { ByteSource, OpenOptions } from './byte-source.ts'
import { openFile } from './file-source.ts'
import { openHttp } from './http-source.ts'
import { isRemote } from './inputs.ts'

/** @param url as `expandInputs` gives it */
export async function openBytes(url: string, options: OpenOptions = {}): Promise<ByteSource> {
  return isRemote(url) ? await openHttp(url, options) : await openFile(url, options)
}
