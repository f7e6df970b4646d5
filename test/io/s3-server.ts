// A small object store in this process, for reading: signatures are checked, listings are paged, buckets have a region.
// Written from the protocol's description, apart from the reader that it tests:
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html

import { createHash, createHmac } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'

export interface S3Faults {
  /** The first so many requests are told to slow down. */
  readonly busy?: number
  /** The first so many bodies end with the connection, after this many bytes. */
  readonly cuts?: number
  readonly cutBytes?: number
  /** Anybody may read. */
  readonly isPublic?: boolean
  /** Refused though signed well. */
  readonly denies?: boolean
  /** The first so many signed requests are told that their session has ended. */
  readonly expired?: number
  readonly region?: string
}

export interface S3Server extends AsyncDisposable {
  readonly endpoint: string
  /** Another one for each server: readers keep what they know of a bucket. */
  readonly bucket: string
  readonly objects: Map<string, Buffer>
  readonly requests: string[]
}

export const s3Keys = { accessKeyId: 'AKIDTEST', secretAccessKey: 'a/secret+key' }
const PAGE = 3
let buckets = 0

/** @param objects of its bucket, by key */
export async function serveS3(objects: Readonly<Record<string, Buffer | string>>, faults: S3Faults = {}): Promise<S3Server> {
  const held = new Map(Object.entries(objects).map(([key, bytes]) => [key, Buffer.from(bytes)]))
  const requests: string[] = []
  const ownBucket = `bucket-${++buckets}`
  const region = faults.region ?? 'us-east-1'
  let cutsLeft = faults.cuts ?? 0
  let expiredLeft = faults.expired ?? 0
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://host')
    const [, bucket, ...rest] = url.pathname.split('/')
    const key = rest.map(decodeURIComponent).join('/')
    requests.push(`${key}${url.search} ${request.headers.range ?? ''}`.trim())
    const refuse = (status: number, code: string, more: Record<string, string> = {}) =>
      void response
        .writeHead(status, { 'content-type': 'application/xml', 'x-amz-bucket-region': region, ...more })
        .end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>told by the store</Message></Error>`)
    if (requests.length <= (faults.busy ?? 0)) return refuse(503, 'SlowDown', { 'retry-after': '0' })
    if (bucket !== ownBucket) return refuse(404, 'NoSuchBucket')
    if (!faults.isPublic || request.headers.authorization) {
      const problem = signatureProblem(request, url, region)
      if (problem) return refuse(problem === 'AuthorizationHeaderMalformed' ? 400 : 403, problem)
      if (expiredLeft-- > 0) return refuse(400, 'ExpiredToken')
    }
    if (faults.denies) return refuse(403, 'AccessDenied')
    if (key === '') return void response.writeHead(200).end(listing(bucket, [...held.keys()].sort(), url.searchParams))
    const bytes = held.get(key)
    if (!bytes) return refuse(404, 'NoSuchKey')
    const etag = `"${createHash('md5').update(bytes).digest('hex')}"`
    if (request.headers['if-match'] !== undefined && request.headers['if-match'] !== etag) return refuse(412, 'PreconditionFailed')
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
    const [start, end] = range ? [Number(range[1]), Math.min(Number(range[2]) + 1, bytes.length)] : [0, bytes.length]
    if (range && start >= bytes.length) return refuse(416, 'InvalidRange')
    const place = range ? { 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` } : {}
    response.writeHead(range ? 206 : 200, { etag, 'content-length': end - start, ...place })
    const cutBytes = faults.cutBytes ?? 0
    if (end - start > cutBytes && end - start > 1 && cutsLeft-- > 0)
      response.write(bytes.subarray(start, start + cutBytes), () => setTimeout(() => response.socket?.destroy(), 5))
    else response.end(bytes.subarray(start, end))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    bucket: ownBucket,
    objects: held,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function listing(bucket: string, keys: readonly string[], query: URLSearchParams): string {
  const prefix = query.get('prefix') ?? ''
  const after = query.get('continuation-token') ?? ''
  const left = keys.filter((key) => key.startsWith(prefix) && key > after)
  const page = left.slice(0, PAGE)
  const escaped = (key: string) => key.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  const next = left.length > PAGE ? `<NextContinuationToken>${escaped(page[PAGE - 1])}</NextContinuationToken>` : ''
  const contents = page.map((key) => `<Contents><Key>${escaped(key)}</Key><Size>1</Size></Contents>`).join('')
  return `<?xml version="1.0"?><ListBucketResult><Name>${bucket}</Name><Prefix>${escaped(prefix)}</Prefix>${contents}${next}</ListBucketResult>`
}

// ---- Signature Version 4 ----

function signatureProblem(request: IncomingMessage, url: URL, region: string): string | undefined {
  const given = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([^,]+), Signature=(\w+)$/.exec(
    request.headers.authorization ?? '',
  )
  if (!given) return 'AccessDenied'
  const [, keyId, day, signedRegion, signedHeaders, signature] = given
  if (keyId !== s3Keys.accessKeyId) return 'InvalidAccessKeyId'
  if (signedRegion !== region) return 'AuthorizationHeaderMalformed'
  const names = signedHeaders.split(';')
  if (!names.includes('host') || (request.headers.range !== undefined && !names.includes('range'))) return 'AccessDenied'
  const query = [...url.searchParams].map(([name, value]) => `${escapeAll(name)}=${escapeAll(value)}`).sort()
  const path = (request.url ?? '/').split('?')[0]
  const canonical = [
    request.method,
    path,
    query.join('&'),
    ...names.map((name) => `${name}:${String(request.headers[name]).trim()}`),
    '',
    signedHeaders,
    request.headers['x-amz-content-sha256'],
  ].join('\n')
  const scope = `${day}/${region}/s3/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', request.headers['x-amz-date'], scope, createHash('sha256').update(canonical).digest('hex')].join('\n')
  const signingKey = [day, region, 's3', 'aws4_request'].reduce<Buffer | string>(hmac, `AWS4${s3Keys.secretAccessKey}`)
  return hmac(signingKey, toSign).toString('hex') === signature ? undefined : 'SignatureDoesNotMatch'
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function escapeAll(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}
