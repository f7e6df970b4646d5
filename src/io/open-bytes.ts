// Opens an input by the scheme of its URL.

import type { ByteSource, OpenOptions } from './byte-source.ts'
import { openCached } from './cached-source.ts'
import { openFile } from './file-source.ts'
import { httpTarget, openTarget } from './http-source.ts'
import { isRemote, isS3 } from './inputs.ts'
import { s3Target } from './s3-source.ts'

/** @param url as `expandInputs` gives it */
export async function openBytes(url: string, options: OpenOptions = {}): Promise<ByteSource> {
  if (!isRemote(url)) return await openFile(url, options)
  const target = isS3(url) ? await s3Target(url) : httpTarget(url)
  return options.cache ? await openCached(target, options, options.cache) : await openTarget(target, options)
}
