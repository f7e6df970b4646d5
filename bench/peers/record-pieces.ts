// Writes what Hugging Face's tokenizers make of the tests' small tokenizers: ids and decoded text of each text.
//
//   node --conditions=source bench/peers/record-pieces.ts

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bert, llama, mistral, t5, texts } from '../../test/tokenizer/small-tokenizers.ts'
import { peerPython, requirePeers } from '../lib/harness.ts'

requirePeers()
const scratch = mkdtempSync(join(tmpdir(), 'sluice-record-'))
const file = (name: string) => join(scratch, name)
writeFileSync(file('texts'), JSON.stringify(texts))
const recorded = Object.entries({ bert, t5, llama, mistral }).map(([name, definition]) => {
  writeFileSync(file(name), JSON.stringify(definition))
  const peer = fileURLToPath(new URL('pieces.py', import.meta.url))
  execFileSync(peerPython, [peer, 'encode', file(name), file('texts'), file('ids')])
  return `  "${name}": ${readFileSync(file('ids'), 'utf8')}`
})
writeFileSync(new URL('../../test/tokenizer/small-tokenizers.expected.json', import.meta.url), `{\n${recorded.join(',\n')}\n}\n`)
rmSync(scratch, { recursive: true })
