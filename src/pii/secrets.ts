// Secrets that end up on pages: keys of the services whose forms are known, private keys, passwords in addresses, tokens.

import { crc32 } from 'node:zlib'
import type { Find } from './spans.ts'

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** The last six characters of a GitHub token are a CRC-32 of the others, in base 62. */
function passesGithubCheck(token: string): boolean {
  let sum = crc32(token.slice(4, -6))
  let check = ''
  for (let i = 0; i < 6; i++) {
    check = base62[sum % 62] + check
    sum = Math.floor(sum / 62)
  }
  return check === token.slice(-6)
}

interface KeyForm {
  /** Regular expression's source, without groups. */
  readonly form: string
  readonly isValid?: (key: string) => boolean
}

/** Prefixes and lengths as the services document them. */
const keyForms: readonly KeyForm[] = [
  { form: '(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}' }, // Amazon Web Services
  { form: 'gh[pousr]_[A-Za-z0-9]{36}', isValid: passesGithubCheck },
  { form: 'github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}' },
  { form: 'gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent)-[\\w-]{20,}' }, // GitLab
  { form: 'xox[abeprs]-[A-Za-z0-9-]{10,}' }, // Slack
  { form: 'xapp-\\d-[A-Z0-9]+-\\d+-[a-f0-9]+' },
  { form: '[rs]k_(?:live|test)_[A-Za-z0-9]{24,}' }, // Stripe
  { form: 'whsec_[A-Za-z0-9+/=]{32,}' },
  { form: 'AIza[\\w-]{35}' }, // Google
  { form: 'GOCSPX-[\\w-]{28}' },
  { form: 'ya29\\.[\\w-]{20,}' },
  { form: 'sk-ant-[a-z]+\\d\\d-[\\w-]{80,}' }, // Anthropic
  { form: 'sk-(?:proj-|svcacct-|admin-)?[\\w-]*T3BlbkFJ[\\w-]{20,}' }, // OpenAI
  { form: 'sk-[A-Za-z0-9]{48}' },
  { form: 'hf_[A-Za-z]{34}' }, // Hugging Face
  { form: 'r8_[A-Za-z0-9]{37}' }, // Replicate
  { form: 'npm_[A-Za-z0-9]{36}', isValid: passesGithubCheck },
  { form: 'pypi-AgE[\\w-]{50,}' },
  { form: 'rubygems_[a-f0-9]{48}' },
  { form: 'SG\\.[\\w-]{22}\\.[\\w-]{43}' }, // SendGrid
  { form: 'key-[a-f0-9]{32}' }, // Mailgun
  { form: 'S[KC][a-f0-9]{32}' }, // Twilio
  { form: 'sq0(?:atp|csp|idp)-[\\w-]{22,43}' }, // Square
  { form: 'EAAA[\\w-]{60}' },
  { form: 'shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}' }, // Shopify
  { form: 'dop_v1_[a-f0-9]{64}' }, // DigitalOcean
  { form: 'dp\\.(?:pt|st|ct|sa)\\.[A-Za-z0-9]{40,44}' }, // Doppler
  { form: 'lin_api_[A-Za-z0-9]{40}' }, // Linear
  { form: 'PMAK-[a-f0-9]{24}-[a-f0-9]{34}' }, // Postman
  { form: 'NRAK-[A-Z0-9]{27}' }, // New Relic
  { form: 'glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}' }, // Grafana
  { form: 'hvs\\.[\\w-]{90,}' }, // HashiCorp Vault
  { form: '[MNO][A-Za-z\\d_-]{23,25}\\.[\\w-]{6}\\.[\\w-]{27,38}' }, // Discord
  { form: '\\d{8,10}:AA[\\w-]{33}' }, // Telegram
  { form: 'eyJ[\\w-]{10,}\\.eyJ[\\w-]{10,}\\.[\\w-]{10,}' }, // JSON Web Token, RFC 7519
]

const anyKey = new RegExp(`(?<![\\w.-])(?:${keyForms.map(({ form }) => `(${form})`).join('|')})(?![\\w-])`, 'g')
/** A word that names a secret, and a value too random to be a word: of 16 characters or more, with a digit. */
const namedSecret =
  /(?:api|access|auth|secret|private|client|bearer|aws)[ _-]?(?:secret[ _-]?)?(?:access[ _-]?)?(?:key|token|secret)(?:[ _-]?id)?["']?\s{0,3}(?:[:=]|=>|:=)\s{0,3}["']?((?=[A-Za-z_+/=.-]{0,40}\d)[\w+/=.-]{16,200})/gi
const isPlaceholder = /^(?:x+|\*+|0+|1234567890.*|your.*|example.*|placeholder.*|changeme.*|test.*|dummy.*|process\.env.*|os\.environ.*)$/i

export const findApiKeys: Find = (text, found) => {
  const spans: { start: number; end: number }[] = []
  for (const match of text.matchAll(anyKey)) {
    const form = keyForms[match.findIndex((part, i) => i > 0 && part !== undefined) - 1]
    if (form?.isValid?.(match[0]) ?? true) spans.push({ start: match.index, end: match.index + match[0].length })
  }
  for (const match of text.matchAll(namedSecret)) {
    const end = match.index + match[0].length
    if (!isPlaceholder.test(match[1])) spans.push({ start: end - match[1].length, end })
  }
  for (const { start, end } of spans.sort((a, b) => a.start - b.start)) found(start, end)
}

const privateKeyHead = /-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----/g
const privateKeyEnd = /-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----/g
/** A key without its end is cut off: so many characters of it go. */
const LONGEST_KEY = 16_384

/** PEM blocks (RFC 7468), OpenSSH's and OpenPGP's among them. */
export const findPrivateKeys: Find = (text, found) => {
  if (!text.includes('PRIVATE KEY')) return
  const ends = [...text.matchAll(privateKeyEnd)].map(({ 0: line, index }) => index + line.length)
  let nextEnd = 0
  let free = 0
  for (const { 0: head, index } of text.matchAll(privateKeyHead)) {
    if (index < free) continue
    while (nextEnd < ends.length && ends[nextEnd] < index) nextEnd++
    const bodyStart = index + head.length
    const isWhole = nextEnd < ends.length && ends[nextEnd] - index <= LONGEST_KEY
    const body = isWhole ? '' : (/^[\sA-Za-z0-9+/=:,.]*/.exec(text.slice(bodyStart, bodyStart + LONGEST_KEY))?.[0].trimEnd() ?? '')
    free = isWhole ? ends[nextEnd] : bodyStart + body.length
    found(index, free)
  }
}

const credentials = /(?<=\b[a-z][a-z0-9+.-]{1,20}:\/\/)[^\s/?#@:<>"']{1,128}:[^\s/?#@<>"']{1,256}(?=@[\w[])/gi

/** User and password of an address: https://user:password@host. */
export const findCredentials: Find = (text, found) => {
  if (!text.includes('://')) return
  for (const match of text.matchAll(credentials)) found(match.index, match.index + match[0].length)
}
