// Models that a stage loads from a file: another file is another plan, and a missing one is refused before anything runs.

import { fileVersion } from '../core/file-version.ts'
import { diskError } from './disk-errors.ts'
import { localPath } from './inputs.ts'

/** @throws SluiceError `SLUICE_FILE_MISSING`, `SLUICE_PERMISSION` */
export function modelVersion(model: string): string {
  const path = localPath(model)
  try {
    return fileVersion(path)
  } catch (error) {
    throw diskError(error, path)
  }
}
