import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { SluiceError } from '../../src/core/errors.ts'
import { readBytes } from '../../src/io/byte-source.ts'
import { expandInputs } from '../../src/io/inputs.ts'
import { openBytes } from '../../src/io/open-bytes.ts'
import { type S3Server, s3Keys, serveS3 } from './s3-server.ts'

const content = randomFillSync(Buffer.alloc(300_000))
const http = { attempts: 4, firstDelayMs: 1, longestDelayMs: 5 }
const folder = await mkdtemp(join(tmpdir(), 'sluice-s3-'))
after(() => rm(folder, { recursive: true }))

function use(server: S3Server, environment: Record<string, string> = {}): void {
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name]
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_S3: server.endpoint,
    AWS_ACCESS_KEY_ID: s3Keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3Keys.secretAccessKey,
    AWS_REGION: 'us-east-1',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: join(folder, 'no-config'),
    AWS_SHARED_CREDENTIALS_FILE: join(folder, 'credentials'),
    ...environment,
  })
  for (const [name, value] of Object.entries(environment)) if (value === '') delete process.env[name]
}

const anonymous = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' }

const refused =
  (code: string, words: RegExp, fix = /./) =>
  (error: unknown) =>
    error instanceof SluiceError &&
    error.code === code &&
    words.test(error.message) &&
    fix.test(error.fix ?? '') &&
    error.where?.bucket !== undefined

test('an object is read whole and in ranges, signed, whatever its key holds', async () => {
  for (const key of ['a.warc.gz', 'b/crawl=1/c d+e(f)!.warc.gz', "ü/100%/'*~.gz"]) {
    await using server = await serveS3({ [key]: content })
    use(server)
    const source = await openBytes(`s3://${server.bucket}/${key}`, { http })
    assert.equal(source.url, `s3://${server.bucket}/${key}`)
    assert.equal(source.size, content.length)
    assert.ok((await readBytes(source)).equals(content))
    assert.ok((await readBytes(source, 1000, 2000)).equals(content.subarray(1000, 2000)))
  }
})

test('a broken body goes on at the exact byte, a store that is busy is waited for, an ended session is renewed', async () => {
  for (const faults of [{ cuts: 3, cutBytes: 70_000 }, { busy: 2 }, { expired: 1 }]) {
    await using server = await serveS3({ a: content }, faults)
    use(server)
    assert.ok((await readBytes(await openBytes(`s3://${server.bucket}/a`, { http }))).equals(content), JSON.stringify(faults))
  }
})

test('an object that is replaced is refused, with no wrong byte handed out', async () => {
  await using server = await serveS3({ a: content })
  use(server)
  const source = await openBytes(`s3://${server.bucket}/a`, { http })
  server.objects.set('a', Buffer.from('other'))
  await assert.rejects(readBytes(source), refused('SLUICE_INPUT_CHANGED', /has changed/))
})

test('a bucket in another region is found there', async () => {
  await using server = await serveS3({ a: content }, { region: 'eu-central-1' })
  use(server)
  assert.ok((await readBytes(await openBytes(`s3://${server.bucket}/a`, { http }))).equals(content))
})

test('credentials may come from a profile, or be missing where the bucket is public', async () => {
  await writeFile(
    join(folder, 'credentials'),
    `[crawler]\naws_access_key_id = ${s3Keys.accessKeyId}\naws_secret_access_key = ${s3Keys.secretAccessKey}\n`,
  )
  await using closed = await serveS3({ a: content })
  use(closed, { ...anonymous, AWS_PROFILE: 'crawler' })
  assert.ok((await readBytes(await openBytes(`s3://${closed.bucket}/a`, { http }))).equals(content))
  await using open = await serveS3({ a: content }, { isPublic: true })
  use(open, anonymous)
  assert.ok((await readBytes(await openBytes(`s3://${open.bucket}/a`, { http }))).equals(content))
})

test('prefixes and patterns stand for objects as folders and patterns do for files', async () => {
  const keys = ['x/a.warc.gz', 'x/y/b & c<d.warc.gz', 'x/y/note.txt', 'x/z/', 'x-y/e.warc.gz', 'x.warc', 'x/y/d.warc.gz', 'q/r.txt']
  await using server = await serveS3(Object.fromEntries(keys.map((key) => [key, 'bytes'])))
  use(server)
  const base = `s3://${server.bucket}`
  const found = async (...names: string[]) =>
    (
      await expandInputs(
        names.map((name) => base + name),
        ['.warc', '.warc.gz'],
      )
    ).map(({ url }) => url.slice(base.length + 1))
  assert.deepEqual(await found('/x'), ['x/a.warc.gz', 'x/y/b & c<d.warc.gz', 'x/y/d.warc.gz'])
  assert.deepEqual(await found('/x/y/'), ['x/y/b & c<d.warc.gz', 'x/y/d.warc.gz'])
  assert.deepEqual(await found('/x/*.gz'), ['x/a.warc.gz'])
  assert.deepEqual(await found('/**/{a,e}.warc.gz'), ['x-y/e.warc.gz', 'x/a.warc.gz'])
  assert.deepEqual(await found('/x.warc', '/q/r.txt'), ['x.warc', 'q/r.txt'])
  assert.deepEqual(await found(''), ['x-y/e.warc.gz', 'x.warc', 'x/a.warc.gz', 'x/y/b & c<d.warc.gz', 'x/y/d.warc.gz'])
  const [input] = await expandInputs([`${base}/x/y`], ['.warc.gz'])
  assert.deepEqual([input.path, input.name], ['b & c<d.warc.gz', 'y/b & c<d.warc.gz'])
  for (const name of ['/q', '/none/*.gz']) await assert.rejects(found(name), refused('SLUICE_INPUT_MISSING', /no input/))
})

test('refusals name the bucket, the cause and what to do', async () => {
  const cases: [Parameters<typeof serveS3>[1], Record<string, string>, string, string, RegExp, RegExp][] = [
    [{}, {}, 'none', 'SLUICE_INPUT_MISSING', /has no object none/, /key/],
    [{}, {}, 's3://elsewhere/a', 'SLUICE_S3_BUCKET', /no bucket elsewhere/, /name/],
    [{}, { AWS_ACCESS_KEY_ID: 'AKIDOTHER' }, 'a', 'SLUICE_PERMISSION', /does not know the access key AKIDOTHER/, /AWS_PROFILE/],
    [{}, { AWS_SECRET_ACCESS_KEY: 'x' }, 'a', 'SLUICE_PERMISSION', /secret does not belong/, /AWS_SECRET_ACCESS_KEY/],
    [{}, anonymous, 'a', 'SLUICE_PERMISSION', /no AWS credentials/, /AWS_ACCESS_KEY_ID/],
    [{ denies: true }, {}, 'a', 'SLUICE_PERMISSION', /refuses access to the access key/, /s3:GetObject/],
    [{ expired: 9 }, {}, 'a', 'SLUICE_PERMISSION', /session .* has ended/, /sign in/],
    [{ busy: 99 }, {}, 'a', 'SLUICE_HTTP_FAILED', /status 503, 4 times/, /run again/],
    [{}, { ...anonymous, AWS_PROFILE: 'nobody' }, 'a', 'SLUICE_S3_CREDENTIALS', /profile nobody/, /~\/\.aws/],
    [{}, { AWS_ENDPOINT_URL_S3: 'localhost:9000' }, 'a', 'SLUICE_S3_SETTINGS', /endpoint localhost:9000/, /https:/],
  ]
  for (const [faults, environment, key, code, words, fix] of cases) {
    await using server = await serveS3({ a: content }, faults)
    use(server, environment)
    await assert.rejects(openBytes(key.includes(':') ? key : `s3://${server.bucket}/${key}`, { http }), refused(code, words, fix), code)
  }
  for (const url of ['s3://', 's3:///a', 's3://x/a']) await assert.rejects(openBytes(url), { code: 'SLUICE_INPUT_SCHEME' }, url)
  await assert.rejects(openBytes('s3://bucket/folder/'), refused('SLUICE_INPUT_MISSING', /names no object/))
})

test('OpenStack Swift answers as well', { timeout: 300_000 }, async (t) => {
  const script = new URL('../../../shared/infra/s3-loopback.sh', import.meta.url).pathname
  const place = join(folder, 'swift')
  const port = '16940'
  const run = async (command: string) =>
    (await promisify(execFile)(script, [command, place], { env: { ...process.env, S3_PORT: port } })).stdout
  if (!existsSync(script) || !existsSync('/usr/bin/swift-proxy-server'))
    return t.skip('no Swift here: ../shared/infra/s3-loopback.sh install')
  const told = await run('up')
  try {
    const given = Object.fromEntries([...told.matchAll(/export (\w+)=(.*)/g)].map(([, name, value]) => [name, value]))
    await using server = await serveS3({}) // for its environment only
    use(server, given)
    await fill(given.AWS_ENDPOINT_URL_S3)
    const source = await openBytes('s3://swift-test/deep/a b+c.bin', { http })
    assert.ok((await readBytes(source)).equals(content))
    assert.ok((await readBytes(source, 7, 70_000)).equals(content.subarray(7, 70_000)))
    const found = await expandInputs(['s3://swift-test/deep'], ['.bin'])
    assert.deepEqual(
      found.map(({ path }) => path),
      ['a b+c.bin', 'b.bin'],
    )
    await assert.rejects(openBytes('s3://swift-test/none', { http }), refused('SLUICE_INPUT_MISSING', /no object none/))
    await assert.rejects(openBytes('s3://swift-none/none', { http }), refused('SLUICE_S3_BUCKET', /no bucket/))
  } finally {
    await run('down')
  }
})

/** Puts a bucket and two objects there, signed by the package that the reader signs with. */
async function fill(endpoint: string): Promise<void> {
  const { SignatureV4 } = await import('@smithy/signature-v4')
  const { Sha256 } = await import('@smithy/core/checksum')
  const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = process.env
  const signer = new SignatureV4({
    service: 's3',
    region: 'us-east-1',
    credentials: { accessKeyId, secretAccessKey },
    sha256: Sha256,
    uriEscapePath: false,
  })
  for (const path of ['/swift-test', '/swift-test/deep/a%20b%2Bc.bin', '/swift-test/deep/b.bin']) {
    const { protocol, hostname, host } = new URL(endpoint)
    const body = path === '/swift-test' ? new Uint8Array() : content
    const { headers } = await signer.sign({ method: 'PUT', protocol, hostname, path, query: {}, headers: { host }, body })
    const { status } = await fetch(endpoint + path, { method: 'PUT', headers, body })
    assert.ok(status < 300, `${path}: ${status}`)
  }
}
