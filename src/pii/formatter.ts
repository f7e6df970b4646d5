// datatrove 0.10's PII formatter: e-mail addresses, then IPv4 addresses, replaced by the next of a list, round and round.

import { findReferenceEmails } from './email.ts'
import { findReferenceIps } from './ip.ts'

export interface FormatterOptions {
  readonly emails: boolean
  readonly ips: boolean
  readonly onlyPublicIps: boolean
  /** Not empty. */
  readonly emailReplacements: readonly string[]
  readonly ipReplacements: readonly string[]
}

/** Addresses for examples, and IPs that answered nobody when datatrove chose them. */
export const formatterDefaults: FormatterOptions = {
  emails: true,
  ips: true,
  onlyPublicIps: true,
  emailReplacements: ['email@example.com', 'firstname.lastname@example.org'],
  ipReplacements: ['22.214.171.124', '126.96.36.199', '188.8.131.52', '184.108.40.206', '220.127.116.11', '18.104.22.168'],
}

export interface Formatted {
  readonly text: string
  readonly emails: number
  readonly ips: number
}

/** A formatter: its place in the lists is kept from one text to the next, as the reference keeps it. */
export function createFormatter(options: FormatterOptions): (text: string) => Formatted {
  const nextEmail = rotation(options.emailReplacements)
  const nextIp = rotation(options.ipReplacements)
  return (text) => {
    const emails = options.emails ? replaceEach(text, nextEmail, findReferenceEmails) : { text, count: 0 }
    const ips = options.ips
      ? replaceEach(emails.text, nextIp, (from, found) => findReferenceIps(from, options.onlyPublicIps, found))
      : { text: emails.text, count: 0 }
    return { text: ips.text, emails: emails.count, ips: ips.count }
  }
}

function rotation(list: readonly string[]): () => string {
  let next = 0
  return () => list[next++ % list.length]
}

type FindEach = (text: string, found: (start: number, end: number) => void) => void

function replaceEach(text: string, replacement: () => string, find: FindEach): { text: string; count: number } {
  let out = ''
  let done = 0
  let count = 0
  find(text, (start, end) => {
    out += text.slice(done, start) + replacement()
    done = end
    count++
  })
  return { text: count === 0 ? text : out + text.slice(done), count }
}
