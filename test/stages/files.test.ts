// Local folders of text and source code: which files are read, and what is said of each.

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { stringify } from 'yaml'
import { SluiceError } from '../../src/core/errors.ts'
import { splitFrontMatter } from '../../src/sources/front-matter.ts'
import { licenseOf } from '../../src/sources/licenses.ts'
import { htmlFiles } from '../../stages/html-files.ts'
import { sourceCode } from '../../stages/source-code.ts'
import { textFiles } from '../../stages/text-files.ts'
import { readAll } from './read-source.ts'

const root = await mkdtemp(join(tmpdir(), 'sluice-files-'))
after(() => rm(root, { recursive: true }))

async function folderOf(name: string, files: Readonly<Record<string, string | Buffer>>): Promise<string> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, name, path)), { recursive: true })
    await writeFile(join(root, name, path), content)
  }
  return join(root, name)
}

const paths = (items: readonly { metadata: Readonly<Record<string, unknown>> }[]) => items.map(({ metadata }) => metadata.file)

test('patterns choose files as .gitignore files do, and folders of tools are not entered', async () => {
  const path = await folderOf('tree', {
    'a.txt': 'a',
    'docs/b.txt': 'b',
    'docs/draft/c.txt': 'c',
    'docs/deep/docs/d.md': 'd',
    'node_modules/pack/readme.md': 'x',
    'sub/node_modules/pack/readme.md': 'x',
    '.git/description.txt': 'x',
    'e.pdf': 'x',
  })
  const read = async (options: object) => paths((await readAll(textFiles({ path, ...options }))).items)
  assert.deepEqual(await read({}), ['tree/a.txt', 'tree/docs/b.txt', 'tree/docs/deep/docs/d.md', 'tree/docs/draft/c.txt'])
  assert.deepEqual(await read({ include: ['docs/**/*.txt'] }), ['tree/docs/b.txt', 'tree/docs/draft/c.txt'])
  assert.deepEqual(await read({ include: ['*.md'], exclude: ['node_modules/'] }), ['tree/docs/deep/docs/d.md'])
  assert.deepEqual(await read({ exclude: ['node_modules/', '.git/', 'docs/*', '!docs/b.txt'] }), ['tree/a.txt', 'tree/docs/b.txt'])
  assert.deepEqual(await read({ path: join(path, '**/*.txt'), include: ['docs/'] }), ['tree/docs/b.txt', 'tree/docs/draft/c.txt'])
  await assert.rejects(read({ include: ['*.none'] }), (error) => error instanceof SluiceError && error.code === 'SLUICE_INPUT_MISSING')
})

test('.gitignore files hold for their folder and below, the deepest one decides', async () => {
  const path = await folderOf('repo', {
    '.gitignore': 'build/\n*.gen.ts\n/only-here.ts\n',
    'a.ts': 'let a',
    'a.gen.ts': 'let g',
    'only-here.ts': 'x',
    'sub/only-here.ts': 'let h',
    'sub/.gitignore': '!wanted.gen.ts\nsecret.ts',
    'sub/wanted.gen.ts': 'let w',
    'sub/secret.ts': 'x',
    'build/out.ts': 'x',
  })
  assert.deepEqual(paths((await readAll(sourceCode({ path }))).items), ['repo/a.ts', 'repo/sub/only-here.ts', 'repo/sub/wanted.gen.ts'])
  assert.equal((await readAll(sourceCode({ path, gitignore: false }))).items.length, 7)
})

test('source code has its language, and the license of its own line or of the nearest file above', async () => {
  const mit =
    'MIT License\n\nCopyright\n\nPermission is hereby granted, free of charge, to any person obtaining a copy\nof this software and associated documentation files'
  const path = await folderOf('code', {
    LICENSE: mit,
    'main.py': 'print()',
    Makefile: 'all:',
    'vendor/LICENSE.txt': 'Apache License\n                           Version 2.0, January 2004',
    'vendor/x/lib.rs': 'fn main() {}',
    'vendor/x/own.c': '/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */\nint x;',
    'notes.txt': 'no code',
    'blob.c': Buffer.from([0, 1, 2]),
    'large.js': 'x'.repeat(2 << 20),
    'empty.go': '',
  })
  const { items, ignored, damages } = await readAll(sourceCode({ path }))
  assert.deepEqual(
    items.map(({ metadata }) => [metadata.path, metadata.programming_language, metadata.license, metadata.license_file]),
    [
      ['Makefile', 'Makefile', 'MIT', 'LICENSE'],
      ['main.py', 'Python', 'MIT', 'LICENSE'],
      ['vendor/x/lib.rs', 'Rust', 'Apache-2.0', 'vendor/LICENSE.txt'],
      ['vendor/x/own.c', 'C', 'GPL-2.0-only WITH Linux-syscall-note', 'vendor/LICENSE.txt'],
    ],
  )
  assert.deepEqual(ignored, { binary_file: 1, too_large: 1, empty_file: 1 })
  assert.deepEqual(damages, [])
  assert.deepEqual(paths((await readAll(sourceCode({ path, languages: ['Rust', 'Makefile'] }))).items), [
    'code/Makefile',
    'code/vendor/x/lib.rs',
  ])
  assert.throws(() => sourceCode({ path, languages: ['Pyhton'] }), /no such language: Pyhton/)
})

test('licenses that quote others are named by their own title', () => {
  assert.equal(
    licenseOf('GNU LESSER GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007 … GNU General Public License version 3'.replace(',', '')),
    'LGPL-3.0',
  )
  assert.equal(licenseOf('# Apache License\n## Version 2.0'), 'Apache-2.0')
  assert.equal(licenseOf(`Redistribution and use in source and binary forms, ${'x '.repeat(900)} Neither the name of`), 'BSD-3-Clause')
  assert.equal(licenseOf('All rights reserved.'), undefined)
})

test('texts are decoded by their own encoding, and what is no text is ignored', async () => {
  const russian = 'Не всё то золото, что блестит: старая пословица, которую знают все.'
  const bytes = Buffer.from(Array.from(russian, (letter) => encode1251(letter)))
  const path = await folderOf('encodings', {
    'a-utf8-mark.txt': '\ufeffmarked',
    'b-utf16.txt': Buffer.from('\ufeffwide', 'utf16le'),
    'c-utf16-big.txt': Buffer.from('\ufeffwide', 'utf16le').swap16(),
    'd-1251.txt': bytes,
    'e-binary.txt': Buffer.from([0x50, 0x4b, 3, 4, 0, 0, 0xff, 0xfe, 0x12, 0]),
  })
  const { items, ignored } = await readAll(textFiles({ path }))
  assert.deepEqual(
    items.map(({ text, metadata }) => [text, metadata.encoding]),
    [
      ['marked', undefined],
      ['wide', 'utf-16le'],
      ['wide', 'utf-16be'],
      [russian, 'windows-1251'],
    ],
  )
  assert.deepEqual(ignored, { binary_file: 1 })
})

function encode1251(letter: string): number {
  const code = letter.charCodeAt(0)
  if (letter === 'ё') return 0xb8
  return code < 128 ? code : code - 0x410 + 0xc0
}

test('front matter becomes metadata, and its date the date', async () => {
  const path = await folderOf('pages', {
    'a.md': '---\ntitle: "A: b"\ndate: 2024-05-01\ntags: [x, y]\n---\n\n# Heading\n\n---\nmore',
    'b.md': '---\nnot: [closed\n---\ntext',
    'c.md': '---\n\nA break, then text.\n',
    'd.txt': '---\ntitle: x\n---\nas it is',
  })
  await utimes(join(path, 'a.md'), 1_000_000_000, 1_000_000_000)
  const { items } = await readAll(textFiles({ path }))
  assert.equal(items[0].text, '# Heading\n\n---\nmore')
  assert.equal(items[0].date, '2024-05-01')
  assert.deepEqual(items[0].metadata, {
    file: 'pages/a.md',
    bytes: 72,
    modified: '2001-09-09T01:46:40.000Z',
    front_matter: { title: 'A: b', date: '2024-05-01', tags: ['x', 'y'] },
  })
  assert.deepEqual(
    items.slice(1).map(({ text }) => text.slice(0, 7)),
    ['---\nnot', '---\n\nA ', '---\ntit'],
  )
  assert.match((await readAll(textFiles({ path: join(path, 'a.md'), frontMatter: false }))).items[0].text, /^---\ntitle/)
})

test('any YAML that is written as front matter is read back, and the text behind it is whole', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ minLength: 1 }), fc.oneof(fc.string(), fc.integer(), fc.boolean()), { minKeys: 1 }),
      fc.string(),
      (matter, text) => {
        const body = `x${text}`
        const split = splitFrontMatter(`---\n${stringify(matter)}---\n${body}`)
        assert.equal(split.text, body)
        assert.deepEqual(split.matter, JSON.parse(JSON.stringify(matter)))
      },
    ),
  )
})

test('files that change between plan and read are noticed, and links to folders are not followed', async () => {
  const path = await folderOf('changing', { 'a.txt': 'a', 'b.html': '<p>b' })
  await symlink(path, join(path, 'loop'))
  const { signal } = new AbortController()
  const context = { signal, batchBytes: 1, begin: () => true, damaged: () => {}, ignored: () => {}, consumed: () => {} }
  for (const source of [textFiles({ path }), htmlFiles({ path })]) {
    const partitions = await source.partitions({ signal, partitionBytes: 1 })
    assert.equal(partitions.length, 1)
    await writeFile(join(path, 'a.txt'), 'longer')
    await writeFile(join(path, 'b.html'), '<p>longer')
    await assert.rejects(Array.fromAsync<unknown>(source.read(partitions[0], context)), { code: 'SLUICE_INPUT_CHANGED' })
    const [again] = await source.partitions({ signal, partitionBytes: 1 })
    assert.equal((await Array.fromAsync<unknown>(source.read(again, context))).length, 1)
  }
})
