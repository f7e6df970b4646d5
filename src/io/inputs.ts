// What a user names as input (files, folders, globs, URLs, prefixes of a bucket) becomes a list of URLs in a fixed order.

import type { Dirent, Stats } from 'node:fs'
import { glob, readdir, stat } from 'node:fs/promises'
import { basename, dirname, join, posix, relative, resolve, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { SluiceError, systemCode } from '../core/errors.ts'
import { diskError } from './disk-errors.ts'
import { entriesBelow, type FilePatterns, pathMatcher } from './file-tree.ts'
import { listS3, parseS3, s3Exists, s3Url } from './s3-source.ts'

export interface Input {
  readonly url: string
  /** Path below the folder that the user named, or below a pattern's fixed part. */
  readonly path: string
  /** The same with that folder's own name before it: unlike a base name it is rarely met twice. */
  readonly name: string
}

/**
 * All inputs: names in the order given; what one folder or pattern stands for sorted by path (UTF-16 order).
 *
 * @param extensions which files of a folder count, lower case with the dot; a file named outright counts whatever it is called
 * @param patterns which of them, and of what a pattern stands for, do
 * @throws SluiceError SLUICE_INPUT_MISSING where a name stands for nothing, SLUICE_INPUT_SCHEME where nobody can read it
 */
export async function expandInputs(names: readonly string[], extensions: readonly string[], patterns?: FilePatterns): Promise<Input[]> {
  const inputs = new Map<string, Input>()
  for (const name of names)
    for (const input of await expandInput(name, extensions, patterns)) if (!inputs.has(input.url)) inputs.set(input.url, input)
  return [...inputs.values()]
}

async function expandInput(name: string, extensions: readonly string[], patterns?: FilePatterns): Promise<Input[]> {
  const takes = patterns ? pathMatcher(patterns) : () => true
  if (isS3(name)) return (await s3Inputs(name, extensions)).filter(({ path }) => takes(path))
  if (isRemote(name)) return [remoteInput(checkedUrl(name))]
  const path = localPath(name)
  const found = await statOrUndefined(path)
  if (found?.isFile()) return [localInput(path, dirname(path))]
  if (found && !found.isDirectory())
    throw new SluiceError('SLUICE_INPUT_MISSING', `${name} is a pipe or a device, which cannot be read`, {
      where: { path },
      fix: 'write its data into a file first',
    })
  const base = found?.isDirectory() ? path : fixedPart(path)
  const paths = found?.isDirectory() ? await filesOf(path, extensions, patterns) : await filesOfGlob(path)
  const inputs = paths.map((file) => localInput(file, base)).filter((input) => takes(input.path))
  if (inputs.length > 0) return inputs
  if (found?.isDirectory())
    throw new SluiceError(
      'SLUICE_INPUT_MISSING',
      `the folder ${name} holds no ${listed(extensions)} file${patterns ? ' that the patterns let pass' : ''}`,
      {
        where: { folder: path },
        fix: 'name the files, or a pattern such as folder/**/*.txt',
      },
    )
  throw new SluiceError('SLUICE_INPUT_MISSING', `there is no input ${name}`, {
    where: { path },
    fix: 'check the path; patterns may use *, ** and {a,b}',
  })
}

/** For a message. */
function listed(extensions: readonly string[]): string {
  return extensions.length > 8 ? `${extensions.slice(0, 8).join(', ')}, …` : extensions.join(', ')
}

function localInput(file: string, base: string): Input {
  const path = relative(base, file).split(sep).join('/')
  return { url: pathToFileURL(file).href, path, name: `${basename(base)}/${path}` }
}

function remoteInput(url: string): Input {
  const path = new URL(url).pathname.slice(1)
  return { url, path, name: path }
}

/** An object, all below a prefix that ends in a slash or is no object, or what a pattern matches: as for files. */
async function s3Inputs(name: string, extensions: readonly string[]): Promise<Input[]> {
  const { bucket, key } = parseS3(name)
  const isPattern = WILDCARD.test(key)
  if (!isPattern && key !== '' && !key.endsWith('/') && (await s3Exists({ bucket, key }))) return [s3Input(bucket, key, posix.dirname(key))]
  const base = isPattern ? fixedPart(key, '/') : key.replace(/\/+$/, '')
  const prefix = base === '' ? '' : `${base}/`
  const counts = isPattern ? (path: string) => posix.matchesGlob(path, key) : (path: string) => hasExtension(path, extensions)
  const inputs: Input[] = []
  for await (const path of listS3({ bucket, key: prefix }))
    if (!path.endsWith('/') && counts(path)) inputs.push(s3Input(bucket, path, base))
  if (inputs.length === 0)
    throw new SluiceError('SLUICE_INPUT_MISSING', `there is no input ${name}`, {
      where: { bucket, prefix },
      fix: isPattern
        ? 'check the pattern: it may use *, ** and {a,b}'
        : `name an object, a prefix with ${extensions.join(', ')} objects below it, or a pattern such as s3://bucket/folder/**`,
    })
  return inputs.sort((a, b) => (a.path < b.path ? -1 : 1))
}

function s3Input(bucket: string, key: string, base: string): Input {
  const path = base === '' || base === '.' ? key : key.slice(base.length + 1)
  return { url: s3Url({ bucket, key }), path, name: `${base === '' || base === '.' ? bucket : posix.basename(base)}/${path}` }
}

const WILDCARD = /[*?[{]/

/** The folders of a pattern before its first wildcard. */
function fixedPart(pattern: string, separator = sep): string {
  const parts = pattern.split(separator)
  const wild = parts.findIndex((part) => WILDCARD.test(part))
  return parts.slice(0, wild === -1 ? undefined : wild).join(separator)
}

function hasExtension(path: string, extensions: readonly string[]): boolean {
  const lower = path.toLowerCase()
  return extensions.some((extension) => lower.endsWith(extension))
}

async function filesOf(folder: string, extensions: readonly string[], patterns?: FilePatterns): Promise<string[]> {
  const entries = patterns ? await entriesBelow(folder, patterns) : await readdir(folder, { withFileTypes: true, recursive: true })
  return (await filePaths(entries)).filter((path) => hasExtension(path, extensions))
}

async function filesOfGlob(pattern: string): Promise<string[]> {
  return await filePaths(await Array.fromAsync(glob(pattern, { withFileTypes: true })))
}

async function filePaths(entries: readonly Dirent[]): Promise<string[]> {
  const paths: string[] = []
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile() || (entry.isSymbolicLink() && (await statOrUndefined(path))?.isFile())) paths.push(path)
  }
  return paths.sort()
}

async function statOrUndefined(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path)
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined
    throw diskError(error, path)
  }
}

/** The URL of a file that is published below a base. All of its name belongs to the path: `?`, `#` and a colon too. */
export function urlBelow(base: string, path: string): string {
  const folder = base.endsWith('/') ? base : `${base}/`
  return new URL(`./${encodeURI(path).replace(/[?#]/g, encodeURIComponent)}`, folder).href
}

/** True for `scheme://…` other than `file:`. */
export function isRemote(name: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(name) && !/^file:/i.test(name)
}

export function isS3(name: string): boolean {
  return /^s3:\/\//i.test(name)
}

/** Absolute path of a path or a `file:` URL. */
export function localPath(name: string): string {
  return /^file:/i.test(name) ? fileURLToPath(name) : resolve(name)
}

function checkedUrl(name: string): string {
  const scheme = name.slice(0, name.indexOf(':')).toLowerCase()
  if ((scheme !== 'http' && scheme !== 'https') || !URL.canParse(name))
    throw new SluiceError('SLUICE_INPUT_SCHEME', `no reader for ${scheme}:// inputs`, {
      where: { input: name },
      fix: 'use a path, a file: URL, an http(s):// URL, or s3://bucket/key',
    })
  return new URL(name).href
}
