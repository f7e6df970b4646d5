// A local HTTP server that serves one buffer and misbehaves as told: what a busy archive does on a bad day.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

export interface Faults {
  /** The first so many requests are answered with 503, or with `busyStatus`. */
  readonly busy?: number
  readonly busyStatus?: 429 | 503
  /** Of every so many requests one is answered so. */
  readonly busyEvery?: number
  /** With more requests than this at work, further ones are answered so. */
  readonly bears?: number
  /** Before every answer. */
  readonly latencyMs?: number
  readonly retryAfter?: string
  /** The first so many bodies end after `cutBytes`: by closing the socket, by a reset, or cleanly but short. */
  readonly cuts?: number
  readonly cutBytes?: number
  readonly how?: 'close' | 'reset' | 'end' | 'stall'
  /** Requests from that ordinal on (0 is the first) see another ETag. */
  readonly changesAt?: number
  readonly ignoresRanges?: boolean
  readonly noEtag?: boolean
  /** Asked at every request, in place of "first". */
  readonly etag?: () => string
  readonly status?: number
  /** Paths that are answered with a redirect. */
  readonly moved?: Readonly<Record<string, string>>
}

export interface FaultyServer extends AsyncDisposable {
  readonly url: string
  readonly requests: { readonly range?: string; readonly ifMatch?: string; readonly path: string }[]
  /** The most requests that were at work at once. */
  readonly peak: () => number
}

/** @param files by path, without the leading slash */
export async function serve(files: Readonly<Record<string, Buffer>>, faults: Faults = {}): Promise<FaultyServer> {
  const requests: FaultyServer['requests'] = []
  let cutsLeft = faults.cuts ?? 0
  let active = 0
  let peak = 0
  const answer = (request: IncomingMessage, response: ServerResponse, ordinal: number, path: string) => {
    const bytes = files[path]
    if (faults.moved?.[path] !== undefined) return void response.writeHead(302, { location: faults.moved[path] }).end()
    if (isBusy(faults, ordinal, active))
      return void response.writeHead(faults.busyStatus ?? 503, { 'retry-after': faults.retryAfter ?? '0' }).end('slow down')
    if (faults.status !== undefined) return void response.writeHead(faults.status).end()
    if (!bytes) return void response.writeHead(404).end()
    const first = faults.etag?.() ?? '"first"'
    const etag = ordinal >= (faults.changesAt ?? Number.POSITIVE_INFINITY) ? '"second"' : first
    cutsLeft -= respond(request, response, bytes, etag, faults, cutsLeft) ? 1 : 0
  }
  const server = createServer((request, response) => {
    const ordinal = requests.length
    const path = decodeURI(request.url ?? '/').slice(1)
    requests.push({ range: request.headers.range, ifMatch: request.headers['if-match'], path })
    peak = Math.max(peak, ++active)
    response.once('close', () => active--)
    setTimeout(() => answer(request, response, ordinal, path), faults.latencyMs ?? 0)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return {
    url: `http://127.0.0.1:${address.port}/`,
    requests,
    peak: () => peak,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function isBusy({ busy = 0, busyEvery, bears }: Faults, ordinal: number, active: number): boolean {
  const isItsTurn = busyEvery !== undefined && ordinal % busyEvery === busyEvery - 1
  return ordinal < busy || isItsTurn || active > (bears ?? Number.POSITIVE_INFINITY)
}

/** @returns whether the body was cut */
function respond(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: Buffer,
  etag: string,
  faults: Faults,
  cutsLeft: number,
): boolean {
  const wanted = faults.ignoresRanges ? null : /^bytes=(\d+)-(\d+)?$/.exec(request.headers.range ?? '')
  const start = wanted ? Number(wanted[1]) : 0
  const end = wanted?.[2] ? Math.min(Number(wanted[2]) + 1, bytes.length) : bytes.length
  const tag = faults.noEtag ? {} : { etag }
  if (wanted && start >= bytes.length) {
    response.writeHead(416, { 'content-range': `bytes */${bytes.length}`, ...tag }).end()
    return false
  }
  const ifMatch = request.headers['if-match']
  if (ifMatch !== undefined && ifMatch !== etag) {
    response.writeHead(412).end()
    return false
  }
  const range = wanted ? { 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` } : {}
  const cutBytes = faults.cutBytes ?? 0
  const isCut = cutsLeft > 0 && end - start > cutBytes && end - start > 1
  response.writeHead(wanted ? 206 : 200, { 'content-length': end - start, ...tag, ...range })
  if (!isCut) response.end(bytes.subarray(start, end))
  else
    response.write(bytes.subarray(start, start + cutBytes), () => {
      setTimeout(() => {
        if (faults.how === 'stall') return
        if (faults.how === 'reset') response.socket?.resetAndDestroy()
        else if (faults.how === 'end') response.socket?.end()
        else response.socket?.destroy()
      }, 5)
    })
  return isCut
}
