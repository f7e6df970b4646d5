// WordPiece, Unigram and BPE over characters, sluice against Hugging Face's tokenizers: files of the published shapes, trained by
// the peer on texts in several hundred languages. First all ids and all decoded texts are compared, over the shared texts, every
// code point, random characters and bytes, and adversarial texts; then the speed on English and on many languages.
//
//   bench/peers/install.sh && npm run bench tokenizer-pieces [more tokenizer.json files] [-- --no-speed]

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { z } from 'zod'
import { loadTokenizer } from '../src/tokenizer/tokenizer.ts'
import { median, pairedRounds, peerPython, peerVersions, requirePeers, runPinned, runSelf, saveResult } from './lib/harness.ts'

const peerOutput = z.array(z.tuple([z.array(z.int()), z.string()]))
const ROUNDS = 3
const PASSES = 2
const peer = fileURLToPath(new URL('peers/pieces.py', import.meta.url))
/** Made once: training takes the peer minutes. */
const made = fileURLToPath(new URL('peers/installed/pieces', import.meta.url))
const shared = new URL('../../shared/data/', import.meta.url)

async function compare(published: readonly string[], timed: boolean): Promise<void> {
  requirePeers()
  const scratch = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const languages = languageTexts()
  const english = englishTexts()
  const write = (name: string, texts: readonly string[]) => {
    writeFileSync(join(scratch, name), JSON.stringify(texts))
    return join(scratch, name)
  }
  if (!existsSync(made)) {
    mkdirSync(made)
    const trainedOn = write(
      'training.texts',
      [...languages, ...english].filter((_, i) => i % 3 === 0),
    )
    execFileSync(peerPython, [peer, 'make', made, trainedOn], { stdio: 'inherit' })
  }
  const all = [...languages, ...english, ...everyCodePoint(), ...randomTexts(), ...adversarialTexts()].map((text) => text.toWellFormed())
  const allTexts = write('all.texts', all)
  const speeds = { english: write('english.texts', english), languages: write('languages.texts', languages) }
  const results: Record<string, unknown> = {}
  for (const file of [...readdirSync(made).map((name) => join(made, name)), ...published]) {
    const name = basename(file, '.json')
    const differences = await countDifferences(file, all, allTexts, join(scratch, 'ids'))
    console.error(`${name}: ${all.length} texts, ${differences} differ`)
    if (differences > 0) process.exitCode = 1
    results[name] = {
      texts: all.length,
      differences,
      ...(timed ? { english: speed(file, speeds.english), languages: speed(file, speeds.languages) } : {}),
    }
  }
  rmSync(scratch, { recursive: true })
  saveResult('tokenizer-pieces', { core: 'one, pinned', peer: peerVersions('tokenizers', 'sentencepiece'), results })
}

/** Ids, decoded texts, and the ids around a text. */
async function countDifferences(file: string, texts: readonly string[], textsFile: string, idsFile: string): Promise<number> {
  const printed = execFileSync(peerPython, [peer, 'encode', file, textsFile, idsFile], { encoding: 'utf8' })
  const { frame } = z.object({ frame: z.array(z.int()) }).parse(JSON.parse(printed))
  const theirs = peerOutput.parse(JSON.parse(readFileSync(idsFile, 'utf8')))
  const tokenizer = await loadTokenizer(file)
  let differences = [...tokenizer.frame.before, ...tokenizer.frame.after].join() === frame.join() ? 0 : 1
  texts.forEach((text, i) => {
    const ids = tokenizer.encode(text)
    const [theirIds, theirText] = theirs[i]
    const same =
      ids.join() === theirIds.join() && tokenizer.decode(ids) === theirText && streamed(tokenizer.decodeStream(), ids) === theirText
    if (same) return
    if (differences++ < 3) show(text, ids, theirIds)
  })
  return differences
}

function streamed(stream: { push(token: number): string; end(): string }, ids: Uint32Array): string {
  let text = ''
  for (const id of ids) text += stream.push(id)
  return text + stream.end()
}

function show(text: string, ours: Uint32Array, theirs: readonly number[]): void {
  const at = Math.max(
    0,
    [...ours].findIndex((id, i) => id !== theirs[i]),
  )
  console.error(`  ${JSON.stringify(text.slice(0, 200))} at token ${at}: ${ours.slice(at, at + 8)} for ${theirs.slice(at, at + 8)}`)
}

// ---- texts ----

function lines(name: string): string[] {
  return gunzipSync(readFileSync(new URL(name, shared)))
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
}

function languageTexts(): string[] {
  const column = (line: string) => line.split('\t').at(-1) ?? ''
  return [
    ...lines('langid/udhr2.tsv.gz').map(column),
    ...lines('langid/lingua_testdata.tsv.gz')
      .filter((_, i) => i % 10 === 0)
      .map(column),
  ]
}

function englishTexts(): string[] {
  const texts: string[] = []
  for (const name of ['alice29.txt.gz', 'lcet10.txt.gz', 'sherlock-holmes-adventures.txt.gz', 'wikitext2-valid.txt.gz']) {
    const text = gunzipSync(readFileSync(new URL(`text/${name}`, shared))).toString('utf8')
    for (let at = 0; at < text.length; at += 5000) texts.push(text.slice(at, at + 5000).toWellFormed())
  }
  return texts
}

/** Between letters, behind a blank, and under an accent. */
function everyCodePoint(): string[] {
  const texts: string[] = []
  for (let start = 0; start < 0x110000; start += 64) {
    let text = ''
    for (let codePoint = start; codePoint < start + 64; codePoint++)
      text += `a${String.fromCodePoint(codePoint)}b ${String.fromCodePoint(codePoint)}\u0301 `
    if (start < 0xd800 || start >= 0xe000) texts.push(text)
  }
  return texts
}

/** A linear congruential generator: the same texts each time. */
function randomTexts(): string[] {
  let state = 1
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const tricky = [
    ' ',
    '  ',
    '\n',
    '\r\n',
    '\t',
    '\u00a0',
    '\u3000',
    '\u200d',
    '\u200b',
    '\u0301',
    '\u0323',
    '\u093f',
    '\u0e33',
    '\u1100',
    '\u1161',
    '\u11a8',
    '\ufb01',
    'e\u0301',
    '▁',
    '▁▁',
    '##',
    '``',
    "''",
    '<unk>',
    '</s>',
    '[CLS]',
    '<extra_id_1>',
    '<0x41>',
    '👨‍👩‍👧',
    '🇩🇪',
    'İ',
    'ß',
    'Σ',
    'ｱ',
    'ﾞ',
    '中',
    'x',
    'the',
    ' of',
    '12',
    "n't",
    '.',
    '!',
  ]
  return Array.from({ length: 6000 }, (_, i) => {
    if (i % 3 === 0) return Buffer.from(Array.from({ length: random(200) }, () => random(256))).toString(i % 2 ? 'utf8' : 'latin1')
    if (i % 3 === 1) return Array.from({ length: random(40) }, () => tricky[random(tricky.length)]).join('')
    return Array.from({ length: random(60) }, () => String.fromCodePoint(random(i % 2 ? 0x3100 : 0x20000) % 0xd800)).join('')
  })
}

function adversarialTexts(): string[] {
  return ['a', ' ', '▁', '!', 'ab', '0', '中', '😀', '\u0301', 'e\u0301', ' \n', 'Aa', '\u00e9', '\u200d', '\0', ' a', '\u{1f1e6}'].flatMap(
    (unit) => [99, 101, 20_000].map((length) => unit.repeat(length)),
  )
}

// ---- speed ----

function speed(file: string, texts: string) {
  const bytes = z
    .array(z.string())
    .parse(JSON.parse(readFileSync(texts, 'utf8')))
    .reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  const rounds = pairedRounds(
    ROUNDS,
    () => runSelf(import.meta.url, ['--encode', file, texts]).seconds,
    () => runPinned(peerPython, [peer, 'time', file, texts]).seconds,
  )
  const megabytesPerSecond = (seconds: number) => Number((bytes / 1e6 / seconds).toFixed(2))
  return {
    bytes,
    sluiceMBs: megabytesPerSecond(median(rounds.map(({ sluice }) => sluice))),
    peerMBs: megabytesPerSecond(median(rounds.map(({ peer }) => peer))),
    ratio: Number(median(rounds.map(({ sluice, peer }) => peer / sluice)).toFixed(2)),
  }
}

async function timeOurs(file: string, textsFile: string) {
  const texts = z.array(z.string()).parse(JSON.parse(readFileSync(textsFile, 'utf8')))
  const tokenizer = await loadTokenizer(file)
  let seconds = Infinity
  let tokens = 0
  for (let pass = 0; pass <= PASSES; pass++) {
    tokens = 0
    const start = process.cpuUsage()
    for (const text of texts) tokens += tokenizer.encode(text).length
    const { user, system } = process.cpuUsage(start)
    if (pass > 0) seconds = Math.min(seconds, (user + system) / 1e6)
  }
  return { seconds, tokens }
}

const words = process.argv.slice(2)
if (words[0] === '--encode') console.log(JSON.stringify(await timeOurs(words[1], words[2])))
else
  await compare(
    words.filter((word) => word !== '--no-speed'),
    !words.includes('--no-speed'),
  )
