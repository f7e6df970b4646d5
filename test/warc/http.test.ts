import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { decodeBody, type HttpResponse, parseHttpResponse } from '../../src/warc/http.ts'
import { field } from '../../src/warc/record.ts'

function message(head: string, body: Uint8Array | string = ''): HttpResponse {
  const response = parseHttpResponse(Buffer.concat([Buffer.from(head), Buffer.from(body)]))
  assert.ok(response)
  return response
}

function decoded(headers: string, body: Uint8Array | string): string {
  const { bytes, problem } = decodeBody(message(`HTTP/1.1 200 OK\r\n${headers}\r\n\r\n`, body), 1 << 24)
  assert.equal(problem, undefined)
  return bytes.toString('latin1')
}

const codings: Readonly<Record<string, (bytes: Uint8Array) => Buffer>> = {
  gzip: (bytes) => gzipSync(bytes),
  'x-gzip': (bytes) => gzipSync(bytes),
  deflate: (bytes) => deflateSync(bytes),
  Deflate: (bytes) => deflateRawSync(bytes),
  br: (bytes) => brotliCompressSync(bytes),
  zstd: (bytes) => zstdCompressSync(bytes),
  identity: (bytes) => Buffer.from(bytes),
}

function chunked(body: Buffer, sizes: readonly number[], extension: string): Buffer {
  const parts: Buffer[] = []
  for (let start = 0, index = 0; start < body.length; index++) {
    const piece = body.subarray(start, start + (sizes[index % sizes.length] ?? 7))
    start += piece.length
    const line = index % 2 === 0 ? piece.length.toString(16) : piece.length.toString(16).toUpperCase().padStart(6, '0')
    parts.push(Buffer.from(`${line}${extension}\r\n`), piece, Buffer.from('\r\n'))
  }
  return Buffer.concat([...parts, Buffer.from('0\r\nX-Trailer: 1\r\n\r\n')])
}

test('any stack of encodings comes off, in chunks of any size, whatever else stands on their lines', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 1, maxLength: 3000 }),
      fc.array(fc.constantFrom(...Object.keys(codings)), { maxLength: 3 }),
      fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 4 }),
      fc.constantFrom('', ';part=1', ' ; a="b;c"', '   '),
      fc.boolean(),
      async (content, names, sizes, extension, isSplit) => {
        // Markup: a body in an encoding without a magic number is not taken for one that was decoded before.
        const body = Buffer.concat([Buffer.from('<p>'), content])
        const stored = chunked(
          names.reduce<Buffer>((bytes, name) => codings[name](bytes), body),
          sizes,
          extension,
        )
        const lines = isSplit ? names.map((name) => `Content-Encoding: ${name}`) : [`Content-Encoding: ${names.join(', ')}`]
        assert.equal(decoded(['Transfer-Encoding: chunked', ...lines].join('\r\n'), stored), body.toString('latin1'))
      },
    ),
    { numRuns: 200 },
  )
})

test('a transfer encoding is one too', () => {
  const body = Buffer.from('<p>page')
  assert.equal(decoded('Transfer-Encoding: gzip, chunked', chunked(gzipSync(body), [5], '')), '<p>page')
})

test('a body that was decoded before, or is not chunked, stays as it is', () => {
  for (const headers of ['Content-Encoding: gzip', 'Content-Encoding: br', 'Content-Encoding: deflate', 'Transfer-Encoding: chunked'])
    assert.equal(decoded(headers, '<html>as it is</html>'), '<html>as it is</html>')
})

test('broken chunks lose no bytes of the page', () => {
  const headers = 'Transfer-Encoding: chunked'
  assert.equal(decoded(headers, '4\r\n<p>a\r\nzz\r\nrest'), '<p>azz\r\nrest') // no size
  assert.equal(decoded(headers, '4\r\n<p>a\r\nff\r\nrest'), '<p>arest') // cut short
  assert.equal(decoded(headers, '4\n<p>a\n3\nb\r\n\n0\n\n'), '<p>ab\r\n') // bare line feeds
  assert.equal(decoded(headers, '0\r\n\r\n'), '')
})

test('what came out before a body was cut short is kept; a corrupt one is a problem', () => {
  const page = Buffer.from(`<p>${Array.from({ length: 5000 }, (_, index) => index * 7919).join(' ')}`)
  for (const name of ['gzip', 'deflate', 'Deflate', 'br', 'zstd']) {
    const stored = codings[name](page)
    const text = decoded(`Content-Encoding: ${name}`, stored.subarray(0, stored.length - 20))
    assert.ok(page.toString('latin1').startsWith(text) && (text.length > 1000 || name === 'zstd'), `${name}: ${text.length}`)
  }
  const corrupt = gzipSync(page)
  corrupt.fill(0xff, 100, 200)
  assert.match(
    decodeBody(message('HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n', corrupt), 1 << 20).problem ?? '',
    /gzip body is corrupt/,
  )
})

test('heads of all kinds are read', () => {
  assert.equal(message('HTTP/1.1 404\r\n\r\n').status, 404) // no reason
  assert.equal(message('http/1.0  301  Moved\n\n').status, 301) // bare line feeds, other case
  assert.equal(message('HTTP/2 200\r\n\r\n').status, 200)
  assert.equal(message('HTTP/1.1 abc\r\n\r\n').status, 0)
  const { fields, body } = message(
    'HTTP/1.1 200 OK\r\nContent-Type: text/html;\r\n\tcharset=utf-8\r\nno colon\r\n: no name\r\nX : y\r\n\r\nbody',
  )
  assert.equal(field(fields, 'content-type'), 'text/html; charset=utf-8') // folded
  assert.equal(field(fields, 'x'), 'y')
  assert.equal(body.toString(), 'body')
  assert.equal(message('HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nshort').body.toString(), 'short')
  assert.equal(message('HTTP/1.1 200 OK\r\nContent-Type: text/html').body.length, 0) // no empty line
  assert.equal(parseHttpResponse(Buffer.from('<html>')), undefined)
  assert.equal(parseHttpResponse(Buffer.alloc(0)), undefined)
})

test('heads made of lines without a colon, or of folded lines, are read in linear time', () => {
  for (const line of ['x\r\n', ' folded\r\n', ': \r\n', '\t\r\n']) {
    const start = performance.now()
    message(`HTTP/1.1 200 OK\r\nA: b\r\n${line.repeat(1_000_000 / line.length)}Z: z\r\n\r\n`)
    assert.ok(performance.now() - start < 2000, JSON.stringify(line))
  }
})
