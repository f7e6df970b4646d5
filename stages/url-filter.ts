// Drops pages by their address: blocked domains and URLs, bad words in the address. The rules of FineWeb, Penedo et al. 2024,
// section 3.2, arxiv.org/abs/2406.17557, and before it RefinedWeb; order and comparisons as in datatrove 0.10. The lists are the user's.

import { parse } from 'tldts'
import { z } from 'zod'
import type { Item } from '../src/core/document.ts'
import { drop, filterStage, keep, type Stage, type Verdict } from '../src/core/stage.ts'
import { strip } from '../src/text/characters.ts'
import { type List, listVersion, readList } from '../src/text/lists.ts'

const list = z.union([z.array(z.string()), z.strictObject({ file: z.string() })]).default([])
const lists = 'inline or { file }, one a line, # begins a comment'

export const urlFilterOptions = z.strictObject({
  softWordThreshold: z.int().default(2).describe('so many different soft-banned words drop a page'),
  extraDomains: list.describe(`registered domains or full host names, compared as written; ${lists}`),
  extraUrls: list.describe(`full addresses; ${lists}`),
  bannedWords: list.describe(`each alone drops a page when it is a word of the address; lower case; ${lists}`),
  bannedSubwords: list.describe(`each alone drops a page when it occurs in the address without its marks; ${lists}`),
  softBannedWords: list.describe(`several of them drop a page; ${lists}`),
})
export type UrlFilterOptions = z.input<typeof urlFilterOptions>
type Limits = z.output<typeof urlFilterOptions>
export type UrlMatches = ReturnType<typeof measureUrl>

/** Which option bounds which statistic. */
export const urlFilterLimits = { soft_words: ['softWordThreshold'] } as const

/**
 * Works on anything with a `url`. Reasons: `domain`, `subdomain`, `url`, `hard_blacklisted`, `soft_blacklisted`,
 * `blacklisted_subword`, and `no_url` for an empty address, where the reference stops with an error. What has no address at
 * all, a book or a private text, passes.
 */
export function urlFilter<T extends Item>(options: UrlFilterOptions = {}): Stage<T> {
  const limits = urlFilterOptions.parse(options)
  const versions = [limits.extraDomains, limits.extraUrls, limits.bannedWords, limits.bannedSubwords, limits.softBannedWords].map(
    listVersion,
  )
  const stage = (blocked: Blocklists): Stage<T> =>
    filterStage('urlFilter', {
      options: { ...limits, versions },
      measure: (item) => (item.url === undefined ? unaddressed : measureUrl(item.url, blocked)),
      decide: (statistics) => decideUrl(statistics, limits),
    })
  return { ...stage(nothing), open: (context) => stage(readBlocklists(limits)).open(context) }
}

// ---- lists ----

export interface Blocklists {
  readonly domains: ReadonlySet<string>
  readonly urls: ReadonlySet<string>
  readonly words: ReadonlySet<string>
  readonly softWords: ReadonlySet<string>
  /** Undefined where there are none. */
  readonly subwords?: RegExp
}

const nothing: Blocklists = { domains: new Set(), urls: new Set(), words: new Set(), softWords: new Set() }

export function readBlocklists(limits: Limits): Blocklists {
  const subwords = [...entries(limits.bannedSubwords, withoutMarks)].filter((word) => word !== '').sort()
  return {
    domains: entries(limits.extraDomains, strip),
    urls: entries(limits.extraUrls, strip),
    words: entries(limits.bannedWords, withoutMarks),
    softWords: entries(limits.softBannedWords, withoutMarks),
    subwords: subwords.length > 0 ? new RegExp(subwords.join('|')) : undefined,
  }
}

function entries(list: List, normalize: (line: string) => string): Set<string> {
  const lines = readList(list).filter((line) => line !== '' && !line.startsWith('#'))
  return new Set(lines.map(normalize))
}

const marks = /[^a-zA-Z0-9]+/g

/** Only ASCII letters and digits, in lower case. */
function withoutMarks(text: string): string {
  return text.replace(marks, '').toLowerCase()
}

// ---- one address ----

/** 1 where the address is on the list, 0 where it is not; `soft_words` counts different ones. `has_url` is 0 for the empty address. */
export function measureUrl(url: string, blocked: Blocklists) {
  const host = splitHost(url)
  const words = new Set(url.split(marks))
  return {
    has_url: Number(url !== ''),
    domain: Number(blocked.domains.has(host.registered)),
    subdomain: Number(blocked.domains.has(host.full)),
    url: Number(blocked.urls.has(url)),
    hard_words: common(words, blocked.words),
    soft_words: common(words, blocked.softWords),
    subwords: Number(blocked.subwords?.test(withoutMarks(url)) ?? false),
  }
}

const unaddressed: UrlMatches = { has_url: Number.NaN, domain: 0, subdomain: 0, url: 0, hard_words: 0, soft_words: 0, subwords: 0 }

export function decideUrl(s: UrlMatches, { softWordThreshold }: Pick<Limits, 'softWordThreshold'>): Verdict {
  if (s.has_url === 0) return drop('no_url')
  if (s.domain > 0) return drop('domain')
  if (s.subdomain > 0) return drop('subdomain')
  if (s.url > 0) return drop('url')
  if (s.hard_words > 0) return drop('hard_blacklisted')
  if (s.soft_words >= softWordThreshold) return drop('soft_blacklisted')
  if (s.subwords > 0) return drop('blacklisted_subword')
  return keep
}

function common(words: ReadonlySet<string>, listed: ReadonlySet<string>): number {
  let count = 0
  for (const word of words) if (listed.has(word)) count++
  return count
}

const scheme = /^(?:[a-zA-Z0-9+\-.]+:)?\/\//
const dots = /[.\u3002\uff0e\uff61]/

/** Registered domain and full host name, case as in the address; empty where the host has no public suffix: an IP address, localhost. */
export function splitHost(url: string): { registered: string; full: string } {
  const authority = url.replace(scheme, '').split(/[/?#]/, 1)[0]
  const host = strip(authority.slice(authority.lastIndexOf('@') + 1).split(':', 1)[0]).replace(/[.\u3002\uff0e\uff61]+$/, '')
  const labels = host.split(dots)
  const suffixLabels = countSuffixLabels(labels)
  if (suffixLabels === 0 || suffixLabels >= labels.length || labels[labels.length - suffixLabels - 1] === '')
    return { registered: '', full: '' }
  return { registered: labels.slice(-suffixLabels - 1).join('.'), full: labels.join('.') }
}

/** The public suffix as registries have it: `github.io` is a domain under `io`. */
const registries = { allowPrivateDomains: false, detectIp: false, extractHostname: false, validateHostname: false }

function countSuffixLabels(labels: string[]): number {
  const { publicSuffix, isIcann } = parse(labels.join('.').toLowerCase(), registries)
  return publicSuffix === null || !isIcann ? 0 : publicSuffix.split('.').length
}
