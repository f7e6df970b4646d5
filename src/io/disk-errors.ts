// Errors of the disk that a person can do something about, as SluiceErrors.

import { SluiceError, systemCode } from '../core/errors.ts'

const known: Record<string, readonly [code: string, message: string, fix: string]> = {
  ENOSPC: [
    'SLUICE_DISK_FULL',
    'the disk is full',
    'free some space (sluice clean removes what finished runs no longer need), then run again: it resumes',
  ],
  EDQUOT: ['SLUICE_DISK_FULL', 'the disk quota is used up', 'free some space, then run again: it resumes'],
  EACCES: ['SLUICE_PERMISSION', 'permission denied', 'check the owner and the mode of the file and its folder'],
  EPERM: ['SLUICE_PERMISSION', 'operation not permitted', 'check the owner and the mode of the file and its folder'],
  EROFS: ['SLUICE_PERMISSION', 'the file system is read-only', 'write to another folder'],
  ENOENT: ['SLUICE_FILE_MISSING', 'there is no such file or folder', 'check the path'],
  EISDIR: ['SLUICE_FILE_MISSING', 'a file was expected, this is a folder', 'check the path'],
  ENOTDIR: ['SLUICE_FILE_MISSING', 'a part of the path is not a folder', 'check the path'],
}

/** The error to throw in place of `error`: itself where it is none of the disk's. */
export function diskError(error: unknown, file: string): unknown {
  const entry = known[systemCode(error) ?? '']
  if (!entry) return error
  const [code, message, fix] = entry
  return new SluiceError(code, message, { where: { file }, fix, cause: error })
}
