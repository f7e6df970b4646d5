// Addresses of crypto currencies, each by its own check sum.

import { createHash } from 'node:crypto'
import type { Find } from './spans.ts'

const base58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()

/** Base58Check: the last four bytes are the head of a double SHA-256 of the others. */
export function isBase58Check(address: string): boolean {
  let number = 0n
  for (const character of address) {
    const digit = base58.indexOf(character)
    if (digit < 0) return false
    number = number * 58n + BigInt(digit)
  }
  const hex = number.toString(16)
  const zeros = /^1*/.exec(address)?.[0].length ?? 0
  const bytes = Buffer.concat([Buffer.alloc(zeros), Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex')])
  return (
    bytes.length >= 21 &&
    sha256(sha256(bytes.subarray(0, -4)))
      .subarray(0, 4)
      .equals(bytes.subarray(-4))
  )
}

const bech32 = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'
const generators = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3]

/** BIP 173 and BIP 350: the polynomial of prefix and data is 1, or Bech32m's constant. */
export function isBech32(address: string): boolean {
  const lower = address.toLowerCase()
  const separator = lower.lastIndexOf('1')
  const prefix = lower.slice(0, separator)
  const values = [
    ...Array.from(prefix, (character) => character.charCodeAt(0) >> 5),
    0,
    ...Array.from(prefix, (character) => character.charCodeAt(0) & 31),
    ...Array.from(lower.slice(separator + 1), (character) => bech32.indexOf(character)),
  ]
  if (values.includes(-1)) return false
  let check = 1
  for (const value of values) {
    const top = check >>> 25
    check = ((check & 0x1ffffff) << 5) ^ value
    for (const [i, generator] of generators.entries()) if ((top >>> i) & 1) check ^= generator
  }
  return check === 1 || check === 0x2bc830a3
}

const candidates: readonly (readonly [RegExp, (address: string) => boolean])[] = [
  // Bitcoin, Litecoin, Dogecoin and others of its family; Tron
  [/(?<![\w/+=-])[13LMDT][1-9A-HJ-NP-Za-km-z]{25,34}(?![\w/+=-])/g, isBase58Check],
  [/(?<![\w/+=-])(?:bc|tb|ltc)1[02-9ac-hj-np-z]{11,87}(?![\w/+=-])/gi, isBech32],
  // Ethereum: the case of its letters may be a check sum by Keccak-256, which is not looked at
  [/(?<![\w/+=-])0x[a-fA-F0-9]{40}(?![\w/+=-])/g, (address) => !/^0x(.)\1+$/.test(address)],
  // Monero
  [/(?<![\w/+=-])[48][1-9A-HJ-NP-Za-km-z]{94}(?![\w/+=-])/g, () => true],
]

export const findWallets: Find = (text, found) => {
  const spans: { start: number; end: number }[] = []
  for (const [candidate, isValid] of candidates)
    for (const match of text.matchAll(candidate))
      if (isValid(match[0])) spans.push({ start: match.index, end: match.index + match[0].length })
  for (const { start, end } of spans.sort((a, b) => a.start - b.start)) found(start, end)
}
