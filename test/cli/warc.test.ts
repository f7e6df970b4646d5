import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const fixtures = fileURLToPath(new URL('../../fixtures/warc/', import.meta.url))
const folder = await mkdtemp(join(tmpdir(), 'sluice-cli-'))
after(() => rm(folder, { recursive: true }))

function sluice(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--conditions=source', main, 'warc', ...args], { encoding: 'utf8' })
  assert.doesNotMatch(stderr, /\n\s+at /, 'a stack trace')
  return { status, stdout, stderr }
}

test('ls lists records, with damage where it lies', () => {
  const { status, stdout } = sluice('ls', '--json', `${fixtures}cut-member.warc.gz`)
  assert.equal(status, 1)
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    lines.map((line) => line.type ?? line.damage.code),
    ['warcinfo', 'response', 'SLUICE_WARC_GZIP', 'response'],
  )
  assert.deepEqual(
    [lines[1].url, lines[1].status, lines[1].mime, lines[1].digest, lines[1].offset],
    ['https://example.org/one', 200, 'text/html', 'ok', 231],
  )
  assert.match(sluice('ls', `${fixtures}good.warc.gz`).stdout, /^ +0 +231 warcinfo +ok/)
})

test('check passes good files and exits with 1 on damaged ones, with byte ranges', () => {
  assert.equal(sluice('check', `${fixtures}good.warc.gz`, `${fixtures}good.warc`).status, 0)
  const bad = sluice('check', `${fixtures}bad-checksum.warc.gz`)
  assert.equal(bad.status, 1)
  assert.match(bad.stdout, /bytes 646–1062: .*SLUICE_WARC_CHECKSUM/)
  const [report] = sluice('check', '--json', `${fixtures}whole-file.warc.gz`)
    .stdout.trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual([report.records, report.layout, report.damaged[0].code], [9, 'gzip-shared', 'SLUICE_WARC_SHARED_GZIP'])
})

test('check goes on behind a file that cannot be read', () => {
  const { status, stdout } = sluice('check', `${fixtures}other.warc`, `${fixtures}bad-dictionary.warc.zst`, `${fixtures}good.warc.gz`)
  assert.equal(status, 1)
  assert.match(stdout, /other\.warc: DAMAGED\n.*SLUICE_WARC_FORMAT[\s\S]*zst: DAMAGED\n.*SLUICE_WARC_DICTIONARY[\s\S]*good\.warc\.gz: ok/)
})

test('every format is listed, printed and checked alike', () => {
  for (const name of [
    'good.warc',
    'good.warc.gz',
    'dictionary.warc.zst',
    'good.warc.lz4',
    'good.wacz',
    'good.arc',
    'good.arc.gz',
    'good.arc.zst',
  ]) {
    const checked = sluice('check', `${fixtures}${name}`)
    assert.equal(checked.status, 0, checked.stdout)
    const listed = sluice('ls', '--json', '--type', 'response', `${fixtures}${name}`).stdout.trim().split('\n')
    const { offset, url, status, mime, date } = JSON.parse(listed[0])
    assert.match(url, /^https?:\/\/example\.org\/one$/)
    assert.deepEqual([status, mime, date.slice(0, 2)], [200, 'text/html', '20'], name)
    assert.match(sluice('cat', `${fixtures}${name}`, '--offset', String(offset)).stdout, /^<!doctype html>/, name)
  }
})

test('help says what is read, what an offset is, and how each subcommand is used', () => {
  const { stdout } = sluice('--help')
  for (const word of ['WARC', 'ARC', 'WACZ', 'zstd', 'lz4', 'DAMAGE', 'Examples:', 'Exit codes']) assert.ok(stdout.includes(word), word)
  for (const name of ['ls', 'cat', 'check', 'pack']) assert.match(sluice(name, '--help').stdout, /Examples:/)
})

test('cat prints the decoded payload, the headers, or the record as stored', () => {
  const page = sluice('cat', `${fixtures}encodings.warc.gz`, '--url', 'https://example.org/chunked-gzip')
  assert.match(page.stdout, /^<!doctype html>.*вода\.<\/p>/)
  assert.match(sluice('cat', `${fixtures}good.warc.gz`, '--offset', '231', '--headers').stdout, /^WARC\/1\.1\r\nWARC-Type: request\r\n/)
  const raw = sluice('cat', `${fixtures}good.warc.gz`, '--offset', '0', '--raw').stdout
  assert.match(raw, /^WARC\/1\.1\r\nWARC-Type: warcinfo[\s\S]*\r\n\r\nsoftware: fixtures/)
  const { offset } = JSON.parse(sluice('ls', '--json', `${fixtures}whole-file.warc.gz`).stdout.split('\n')[2])
  assert.match(sluice('cat', `${fixtures}whole-file.warc.gz`, '--offset', String(offset)).stdout, /^<!doctype html>/)
})

test('mistakes are answered with a code and advice', () => {
  for (const [args, code] of [
    [['cat', `${fixtures}good.warc.gz`, '--offset', '7'], 'SLUICE_WARC_NO_RECORD'],
    [['cat', `${fixtures}good.warc.gz`], 'SLUICE_USAGE'],
    [['ls', `${fixtures}missing.warc.gz`], 'SLUICE_INPUT_MISSING'],
    [['ls', `${fixtures}other.warc`], 'SLUICE_WARC_FORMAT'],
    [['ls', `${fixtures}bad-dictionary.warc.zst`], 'SLUICE_WARC_DICTIONARY'],
    [['ls', '/dev/null'], 'SLUICE_INPUT_MISSING'],
    [['cat', fixtures, '--offset', '0'], 'SLUICE_USAGE'],
    [['pack', fixtures, '-o', join(folder, 'x.warc'), '--base-url', 'mailto:x'], 'SLUICE_USAGE'],
  ] as const) {
    const { status, stderr } = sluice(...args)
    assert.equal(status, 1)
    assert.ok(stderr.includes(`[${code}]`) && stderr.includes('  fix:'), stderr)
  }
})

test('pack writes a file that check passes, and keeps an existing one', async () => {
  await writeFile(join(folder, 'a.html'), '<p>a</p>')
  await writeFile(join(folder, 'b.txt'), 'b')
  const output = join(folder, 'packed.warc.gz')
  const args = ['pack', folder, '-o', output, '--base-url', 'https://docs.example.org', '--date', '2024-05-01', '--seed', 'x']
  assert.equal(sluice(...args).status, 0)
  const lines = sluice('ls', '--json', '--type', 'response', output)
    .stdout.trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    lines.map(({ url, mime, date, digest }) => [url, mime, date, digest]),
    [
      ['https://docs.example.org/a.html', 'text/html', '2024-05-01T00:00:00Z', 'ok'],
      ['https://docs.example.org/b.txt', 'text/plain', '2024-05-01T00:00:00Z', 'ok'],
    ],
  )
  const again = sluice(...args)
  assert.equal(again.status, 1)
  assert.match(again.stderr, /SLUICE_OUTPUT_EXISTS/)
  assert.equal(sluice(...args, '--force').status, 0)
  assert.equal(sluice('check', output).status, 0)
})

test('pack takes all of a file name for the path of its URL', async () => {
  const names = ['a#b.html', 'colon:c.html', 'x?y=1.html', 'ü 100%.html']
  await mkdir(join(folder, 'names'))
  for (const name of names) await writeFile(join(folder, 'names', name), '<p>')
  const output = join(folder, 'names.warc.gz')
  assert.equal(sluice('pack', join(folder, 'names'), '-o', output, '--base-url', 'https://example.org/docs').status, 0)
  const listed = sluice('ls', '--json', '--type', 'response', output).stdout.trim().split('\n')
  const base = 'https://example.org/docs/'
  assert.deepEqual(
    listed.map((line) => decodeURIComponent(JSON.parse(line).url)),
    names.map((name) => base + name),
  )
})

test('a pack that fails leaves nothing behind', async () => {
  const output = join(folder, 'failed')
  await mkdir(join(output, 'folder.warc'), { recursive: true })
  await writeFile(join(output, 'large.html'), '')
  await truncate(join(output, 'large.html'), 3e9)
  const large = sluice('pack', join(output, 'large.html'), '-o', join(output, 'large.warc'), '--base-url', 'https://example.org')
  assert.match(large.stderr, /SLUICE_WARC_RECORD_TOO_LARGE/)
  const args = ['pack', `${fixtures}make.ts`, '-o', join(output, 'folder.warc'), '--base-url', 'https://example.org', '--force']
  assert.equal(sluice(...args).status, 1)
  assert.deepEqual(await readdir(output), ['folder.warc', 'large.html'])
})

test('a header of a record cannot steer the terminal', async () => {
  const file = join(folder, 'escape.warc')
  await writeFile(file, 'WARC/1.0\r\nWARC-Type: resource\r\nWARC-Target-URI: http://x/\u001b[2J\r\nContent-Length: 0\r\n\r\n\r\n\r\n')
  assert.match(sluice('ls', file).stdout, /http:\/\/x\/\ufffd\[2J/)
})
