// Token files in datatrove's format, byte for byte, shuffled ones too.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { writeDatatroveFiles } from '../../src/tokens/datatrove-files.ts'
import { difference, type Runner, rowByRow } from './cases.ts'

const tokenCase = z.object({
  vocab_size: z.int(),
  /** "each UTF-8 byte + N, then 0 as end of text" */
  tokens: z.string(),
  texts: z.array(z.string()),
  shuffle_documents: z.boolean(),
  max_tokens_per_file: z.int().nullable(),
  seed: z.int(),
  files_base64: z.record(z.string(), z.string()),
})

export const tokenFileRunners: readonly Runner[] = [
  rowByRow('token_files*.jsonl', tokenCase, async (row) => {
    const shift = Number(/\+ (\d+)/.exec(row.tokens)?.[1])
    const documents = row.texts.map((text) => [...Array.from(Buffer.from(text), (byte) => byte + shift), 0])
    const folder = mkdtempSync(join(tmpdir(), 'sluice-token-files-'))
    try {
      await writeDatatroveFiles(documents, {
        folder,
        vocabularySize: row.vocab_size,
        tokenizerName: 'bytes',
        rank: 0,
        shuffleSeed: row.shuffle_documents ? row.seed : undefined,
        maxTokensPerFile: row.max_tokens_per_file ?? undefined,
      })
      const names = readdirSync(folder)
      for (const [name, content] of Object.entries(row.files_base64)) {
        const unequal = difference(name, content, names.includes(name) && readFileSync(join(folder, name)).toString('base64'))
        if (unequal) return unequal
      }
      return difference('file names', Object.keys(row.files_base64).sort(), names.sort())
    } finally {
      rmSync(folder, { recursive: true })
    }
  }),
]
