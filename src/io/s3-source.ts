// Objects of S3 and of stores that speak its protocol, by `s3://bucket/key`. The credential chain and the signature are
// AWS's own packages, loaded on first use; requests, resuming and backing off are those of every HTTP input. Without
// credentials requests go unsigned: buckets may be public. Endpoint, region and profile come from where AWS's own tools
// take them. https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html, API_ListObjectsV2.html

import type { defaultProvider } from '@aws-sdk/credential-provider-node'
import type { SignatureV4 } from '@smithy/signature-v4'
import { Parser } from 'htmlparser2'
import { SluiceError } from '../core/errors.ts'
import type { OpenOptions } from './byte-source.ts'
import { type Answer, fetchText, openTarget, type Target } from './http-source.ts'

const DEFAULT_REGION = 'us-east-1'
/** Credentials that a store calls expired are fetched anew, no more often than this. */
const RENEWAL_MS = 60_000

export interface S3Location {
  readonly bucket: string
  /** As it is, nothing escaped. */
  readonly key: string
}

/** @throws SluiceError `SLUICE_INPUT_SCHEME` where it is no `s3://bucket/…` */
export function parseS3(url: string): S3Location {
  const match = /^s3:\/\/([a-z0-9][a-z0-9._-]{1,61}[a-z0-9])(?:\/(.*))?$/is.exec(url)
  if (!match)
    throw new SluiceError('SLUICE_INPUT_SCHEME', `${url} names no bucket`, { where: { input: url }, fix: 'write s3://bucket/key' })
  return { bucket: match[1], key: match[2] ?? '' }
}

export function s3Url({ bucket, key }: S3Location): string {
  return `s3://${bucket}/${key}`
}

/** How an object is asked for. */
export async function s3Target(url: string): Promise<Target> {
  const { bucket, key } = parseS3(url)
  if (key === '' || key.endsWith('/'))
    throw new SluiceError('SLUICE_INPUT_MISSING', `${url} names no object`, { where: { bucket }, fix: 'write s3://bucket/key' })
  return (await bucketOf(bucket)).target(key, {})
}

/** Whether there is an object of that key. */
export async function s3Exists({ bucket, key }: S3Location): Promise<boolean> {
  try {
    await openTarget((await bucketOf(bucket)).target(key, {}), {})
    return true
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'SLUICE_INPUT_MISSING') return false
    throw error
  }
}

/** Keys that begin with the prefix, in the order of their UTF-8 bytes. */
export async function* listS3({ bucket, key: prefix }: S3Location, options: OpenOptions = {}): AsyncGenerator<string> {
  const store = await bucketOf(bucket)
  for (let token: string | undefined = ''; token !== undefined; ) {
    const query: Record<string, string> = token === '' ? {} : { 'continuation-token': token }
    const page = parsePage(await fetchText(store.target('', { 'list-type': '2', prefix, ...query }), options))
    yield* page.keys
    token = page.next
  }
}

function parsePage(xml: string): { keys: string[]; next: string | undefined } {
  const keys: string[] = []
  let next: string | undefined
  for (const [name, text] of xmlTexts(xml)) {
    if (name === 'Key') keys.push(text)
    if (name === 'NextContinuationToken') next = text
  }
  return { keys, next }
}

/** Elements without elements in them, with their texts. */
function xmlTexts(xml: string): [name: string, text: string][] {
  const texts: [string, string][] = []
  let text = ''
  const parser = new Parser(
    {
      onopentag: () => {
        text = ''
      },
      ontext: (part) => {
        text += part
      },
      onclosetag: (name) => {
        texts.push([name, text])
      },
    },
    { xmlMode: true },
  )
  parser.end(xml)
  return texts
}

// ---- a bucket ----

type CredentialProvider = ReturnType<typeof defaultProvider>
type Credentials = Awaited<ReturnType<CredentialProvider>>

interface Settings {
  /** Of another store than Amazon's. */
  readonly endpoint?: string
  readonly region: string
}

const buckets = new Map<string, Promise<Bucket>>()

/** Settings and credentials are looked up once a bucket and thread; a failure is not kept. */
function bucketOf(name: string): Promise<Bucket> {
  const opening = buckets.get(name) ?? openBucket(name)
  buckets.set(name, opening)
  opening.catch(() => buckets.delete(name))
  return opening
}

async function openBucket(name: string): Promise<Bucket> {
  const settings = await readSettings(name)
  const { defaultProvider } = await import('@aws-sdk/credential-provider-node')
  // One attempt of a second at the metadata service: outside Amazon nobody answers there.
  const provider = defaultProvider({ timeout: 1000, maxRetries: 0, clientConfig: { region: settings.region } })
  return new Bucket(name, settings, provider, await credentialsOf(provider, name))
}

async function readSettings(bucket: string): Promise<Settings> {
  const { loadConfig } = await import('@smithy/core/config')
  try {
    const region = await loadConfig<string>({
      environmentVariableSelector: (env) => env.AWS_REGION ?? env.AWS_DEFAULT_REGION,
      configFileSelector: (profile) => profile.region,
      default: DEFAULT_REGION,
    })()
    const endpoint = await loadConfig<string>({
      environmentVariableSelector: (env) => env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL,
      configFileSelector: (profile) => profile.endpoint_url,
      default: '',
    })()
    if (endpoint !== '' && !/^https?:\/\//.test(endpoint))
      throw new SluiceError('SLUICE_S3_SETTINGS', `the endpoint ${endpoint} is no http(s):// address`, {
        where: { bucket },
        fix: 'set AWS_ENDPOINT_URL_S3 to an address such as https://s3.example.org',
      })
    return { region, endpoint: endpoint === '' ? undefined : endpoint.replace(/\/+$/, '') }
  } catch (error) {
    throw error instanceof SluiceError ? error : badCredentials(bucket, error)
  }
}

/** Undefined where there are none at all. */
async function credentialsOf(provider: CredentialProvider, bucket: string): Promise<Credentials | undefined> {
  try {
    return await provider()
  } catch (error) {
    const isNone = error instanceof Error && error.message.startsWith('Could not load credentials from any providers')
    if (!isNone) throw badCredentials(bucket, error)
    const profile = process.env.AWS_PROFILE
    if (profile === undefined) return undefined
    throw badCredentials(bucket, new Error(`the profile ${profile} has none`, { cause: error }))
  }
}

function badCredentials(bucket: string, cause: unknown): SluiceError {
  const profile = process.env.AWS_PROFILE
  const reason = (cause instanceof Error ? cause.message : String(cause)).replace(/\.$/, '')
  return new SluiceError('SLUICE_S3_CREDENTIALS', `the AWS credentials cannot be used: ${reason}`, {
    where: profile === undefined ? { bucket } : { bucket, profile },
    fix: 'check ~/.aws/config and ~/.aws/credentials, and sign in again where they come from a login (aws sso login)',
    cause,
  })
}

class Bucket {
  readonly #name: string
  readonly #endpoint?: string
  readonly #provider: CredentialProvider
  #region: string
  #credentials: Credentials | undefined
  #signer?: Promise<SignatureV4>
  #renewedAt = Number.NEGATIVE_INFINITY
  #mustRenew = false

  constructor(name: string, { endpoint, region }: Settings, provider: CredentialProvider, credentials: Credentials | undefined) {
    this.#name = name
    this.#endpoint = endpoint
    this.#region = region
    this.#provider = provider
    this.#credentials = credentials
  }

  /** @param key of an object; empty for the bucket itself */
  target(key: string, query: Readonly<Record<string, string>>): Target {
    return {
      url: s3Url({ bucket: this.#name, key }),
      where: { bucket: this.#name, ...(key === '' ? query : { key }), ...(this.#endpoint && { endpoint: this.#endpoint }) },
      isRedirected: false, // a signature holds for one host
      request: async (headers) => {
        const address = this.#address(key, query)
        return { address, headers: this.#credentials ? await this.#signed(address, query, headers) : headers }
      },
      refusal: (answer, text) => this.#refusal(answer, text, key),
    }
  }

  #address(key: string, query: Readonly<Record<string, string>>): URL {
    // A certificate for *.s3… covers no name with dots in it; other stores may have no names for buckets at all.
    const isByPath = this.#endpoint !== undefined || this.#name.includes('.')
    const amazon = `s3.${this.#region}.amazonaws.com`
    const base = this.#endpoint ?? `https://${isByPath ? amazon : `${this.#name}.${amazon}`}`
    const search = new URLSearchParams(query).toString().replaceAll('+', '%20')
    const path = [...(isByPath ? [this.#name] : []), ...key.split('/')].map(escapeSegment).join('/')
    return new URL(`${base}/${path}${search && `?${search}`}`)
  }

  async #signed(address: URL, query: Readonly<Record<string, string>>, headers: Readonly<Record<string, string>>) {
    const signer = await this.#signing()
    const { protocol, hostname, pathname, host } = address
    const signed = await signer.sign({ method: 'GET', protocol, hostname, path: pathname, query, headers: { ...headers, host } })
    return signed.headers
  }

  #signing(): Promise<SignatureV4> {
    this.#signer ??= Promise.all([import('@smithy/signature-v4'), import('@smithy/core/checksum')]).then(
      ([{ SignatureV4 }, { Sha256 }]) =>
        new SignatureV4({
          service: 's3',
          region: async () => this.#region,
          credentials: async () => await this.#currentCredentials(),
          sha256: Sha256,
          uriEscapePath: false,
        }),
    )
    return this.#signer
  }

  /** They are kept until they end. */
  async #currentCredentials(): Promise<Credentials> {
    const forceRefresh = this.#mustRenew
    this.#mustRenew = false
    this.#credentials = await this.#provider({ forceRefresh })
    return this.#credentials
  }

  #refusal(answer: Answer, text: string, key: string): SluiceError | 'again' | undefined {
    const said = new Map(xmlTexts(text))
    const code = said.get('Code') ?? ''
    const region = answer.header('x-amz-bucket-region') ?? said.get('Region')
    if (region !== undefined && region !== this.#region && [301, 307, 400, 403].includes(answer.status)) {
      this.#region = region // the bucket lies elsewhere, and says where
      return 'again'
    }
    if (code === 'ExpiredToken' && performance.now() - this.#renewedAt > RENEWAL_MS) {
      this.#renewedAt = performance.now()
      this.#mustRenew = true
      return 'again'
    }
    return this.#explain(answer.status, code, said.get('Message') ?? '', key)
  }

  #explain(status: number, code: string, message: string, key: string): SluiceError | undefined {
    const named = `the bucket ${this.#name}`
    const where = { bucket: this.#name, ...(key !== '' && { key }), endpoint: this.#endpoint ?? `s3.${this.#region}.amazonaws.com` }
    const refuse = (sluiceCode: string, what: string, fix: string) => new SluiceError(sluiceCode, what, { where, fix })
    const accessKey = this.#credentials?.accessKeyId
    switch (code) {
      case 'NoSuchBucket':
        return refuse(
          'SLUICE_S3_BUCKET',
          `there is no bucket ${this.#name}`,
          'check the name; AWS_ENDPOINT_URL_S3 says which store is asked',
        )
      case 'InvalidAccessKeyId':
        return refuse('SLUICE_PERMISSION', `the store does not know the access key ${accessKey}`, 'check AWS_ACCESS_KEY_ID, or AWS_PROFILE')
      case 'SignatureDoesNotMatch':
        return refuse('SLUICE_PERMISSION', `the secret does not belong to the access key ${accessKey}`, 'check AWS_SECRET_ACCESS_KEY')
      case 'ExpiredToken':
        return refuse('SLUICE_PERMISSION', 'the session of the AWS credentials has ended', 'sign in again (aws sso login)')
      case 'RequestTimeTooSkewed':
        return refuse('SLUICE_PERMISSION', "this machine's clock is wrong, so that no signature counts", 'set the clock')
      case 'PermanentRedirect':
      case 'AuthorizationHeaderMalformed':
        return refuse(
          'SLUICE_S3_REGION',
          `${named} is not in the region ${this.#region}: ${message}`,
          'set AWS_REGION to the region of the bucket',
        )
    }
    if (status === 404) return refuse('SLUICE_INPUT_MISSING', `${named} has no object ${key}`, 'check the key')
    if (status >= 500 || status === 408 || status === 429) return undefined // it may pass
    if (accessKey === undefined)
      return refuse('SLUICE_PERMISSION', `${named} refuses access, and there are no AWS credentials`, withoutCredentials(this.#name))
    if (status !== 403 && status !== 401)
      return refuse('SLUICE_HTTP_FAILED', `the store answered with status ${status} ${code}: ${message}`, 'check the key and the store')
    return refuse(
      'SLUICE_PERMISSION',
      `${named} refuses access to the access key ${accessKey}`,
      'let it do s3:GetObject and s3:ListBucket there, or use another AWS_PROFILE; a key that does not exist is refused as well where listing is',
    )
  }
}

function withoutCredentials(bucket: string): string {
  const keys = 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE'
  return bucket === 'commoncrawl' ? `${keys}; without an account read https://data.commoncrawl.org` : keys
}

/** As signatures want it: all but letters, digits and -._~ */
function escapeSegment(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}
