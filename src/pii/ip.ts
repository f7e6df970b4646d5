// IP addresses. The reference's rule: what looks like IPv4 anywhere, even inside longer numbers, where Python 3.11.2's
// ipaddress takes it and calls it global. The default rule: addresses that stand alone, IPv6 too.

import { isIPv6 } from 'node:net'
import type { Find } from './spans.ts'

const octet = '(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)'
/** What looks like an address, in longer numbers too. */
export const ipv4Anywhere = new RegExp(`(?:${octet}\\.){3}${octet}`, 'g')

/** Networks that are not global in Python 3.11.2: its private ones, and shared address space. Network, prefix length. */
const notGlobal: readonly [network: string, bits: number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 29],
  ['192.0.0.170', 31],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['240.0.0.0', 4],
]
/** What the default rule leaves: the same, but addresses of no use yet (240.0.0.0/4) are no reason to leave one; masks are. */
const nobodys: readonly [network: string, bits: number][] = [...notGlobal.slice(0, -1), ['255.0.0.0', 8]]

function addressNumber(address: string): number {
  return address.split('.').reduce((number, part) => number * 256 + Number(part), 0)
}

function isIn(address: string, networks: readonly [network: string, bits: number][]): boolean {
  const number = addressNumber(address)
  return networks.some(([network, bits]) => Math.floor(number / 2 ** (32 - bits)) === addressNumber(network) / 2 ** (32 - bits))
}

/** Python's ipaddress refuses leading zeros. */
const hasLeadingZero = (address: string) => /(?:^|\.)0\d/.test(address)

/** As the reference. */
export function findReferenceIps(text: string, onlyPublic: boolean, found: (start: number, end: number) => void): void {
  for (const match of text.matchAll(ipv4Anywhere)) {
    const [address] = match
    if (!hasLeadingZero(address) && !(onlyPublic && isIn(address, notGlobal))) found(match.index, match.index + address.length)
  }
}

const standsAlone = new RegExp(`(?<![\\w.])(?:${octet}\\.){3}${octet}(?![\\w-]|\\.\\w)`, 'g')
const numbered = /(?:\bv|\bver\.?|\bversion|\brelease|\bbuild|\bfirmware|\bsection|\bsec\.|\bclause|\bchapter|§)[ :=-]{0,2}$/i
/** 2000::/3, the global unicast addresses. */
const globalIpv6 = /(?<![\w:.])[23][0-9a-f]{3}:[0-9a-f:]{2,34}(?![\w:])/gi

/** Public IPv4 addresses that number no version or section, and global IPv6 addresses but those of documentation. */
export const findIps: Find = (text, found) => {
  for (const match of text.matchAll(standsAlone)) {
    const [address] = match
    if (hasLeadingZero(address) || isIn(address, nobodys) || numbered.test(text.slice(Math.max(0, match.index - 12), match.index))) continue
    found(match.index, match.index + address.length)
  }
  if (!text.includes(':')) return
  for (const match of text.matchAll(globalIpv6)) {
    // A colon behind it belongs to the sentence.
    const address = match[0].endsWith('::') ? match[0] : match[0].replace(/:$/, '')
    if (isIPv6(address) && !/^2001:0?db8:/i.test(address)) found(match.index, match.index + address.length)
  }
}
