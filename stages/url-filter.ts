// Drops pages by their address: blocked domains and URLs, bad words in the address. The rules of FineWeb, Penedo et al. 2024,
// section 3.2, arxiv.org/abs/2406.17557, and before it RefinedWeb; order and comparisons as in datatrove 0.10. The lists are the
// user's, of millions of entries if need be: a process holds one exact copy, which is kept on disk for the next run.
//
// Quirks kept: words of the address are compared as they are written, words of the lists in lower case, so "BAD" passes; hosts
// likewise; an IP address is never met, and an address of UT1, which lacks the scheme, neither (`covers: 'below'` meets them).
// Not kept: a line of which nothing is left (blanks; a word without ASCII letters and digits) there becomes the empty entry,
// which meets hosts without a registered domain, and any address that ends in a slash. Here it is no entry.

import { globSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parse } from 'tldts'
import { z } from 'zod'
import type { Item } from '../src/core/document.ts'
import { SluiceError } from '../src/core/errors.ts'
import { drop, filterStage, keep, type Stage, type Verdict } from '../src/core/stage.ts'
import type { BlockList, Place } from '../src/lists/block-list.ts'
import { type ListSource, listEntries, listFiles, loadBlockList, withoutMarks } from '../src/lists/load-list.ts'
import { strip } from '../src/text/characters.ts'
import { listVersion } from '../src/text/lists.ts'

const list = z.union([z.array(z.string()), z.strictObject({ file: z.string() })]).default([])
const lists = 'inline or { file }, one a line, # begins a comment; file may be a pattern and compressed'

export const urlFilterOptions = z.strictObject({
  softWordThreshold: z.int().default(2).describe('so many different soft-banned words drop a page'),
  extraDomains: list.describe(`registered domains or full host names, compared as written; ${lists}`),
  extraUrls: list.describe(`full addresses; ${lists}`),
  bannedWords: list.describe(`each alone drops a page when it is a word of the address; lower case; ${lists}`),
  bannedSubwords: list.describe(`each alone drops a page when it occurs in the address without its marks; ${lists}`),
  softBannedWords: list.describe(`several of them drop a page; ${lists}`),
  ut1: z
    .strictObject({
      folder: z.string().describe('its blacklists folder: <category>/domains and <category>/urls, plain or .gz'),
      categories: z.array(z.string()).min(1).describe('such as adult'),
    })
    .optional()
    .describe('categories of the block lists of Université Toulouse Capitole; the reference takes adult'),
  covers: z
    .enum(['entry', 'below'])
    .default('entry')
    .describe(
      'entry: domains and addresses as they stand, as the reference compares, which meets no address of UT1, for they lack the scheme; ' +
        'below: as squidGuard reads such lists, an entry, in lower case and without scheme, covers all hosts and paths below it',
    ),
})
export type UrlFilterOptions = z.input<typeof urlFilterOptions>
type Limits = z.output<typeof urlFilterOptions>
export type UrlMatches = ReturnType<typeof measureUrl>

/** Which option bounds which statistic. */
export const urlFilterLimits = { soft_words: ['softWordThreshold'] } as const

/**
 * Works on anything with a `url`. Reasons: `domain`, `subdomain`, `url`, `hard_blacklisted`, `soft_blacklisted`,
 * `blacklisted_subword`, and `no_url` for an empty address, where the reference stops with an error. What has no address at
 * all, a book or a private text, passes. Statistics `list` and `line` name the first entry that was met: the list's ordinal
 * among the stage's `lists`, as the run's plan and `sluice diff` show them, and the line in it.
 */
export function urlFilter<T extends Item>(options: UrlFilterOptions = {}): Stage<T> {
  const limits = urlFilterOptions.parse(options)
  const sources = Object.values(sourcesOf(limits)).flat()
  const versions = sources.map(({ lines }) => listVersion(lines))
  const stage = (blocked: Blocklists): Stage<T> =>
    filterStage('urlFilter', {
      version: 3,
      options: { ...limits, ut1: limits.ut1 ?? null, lists: sources.map(({ name }) => name), versions },
      measure: (item) => (item.url === undefined ? unaddressed : measureUrl(item.url, blocked)),
      decide: (statistics) => decideUrl(statistics, limits),
    })
  return { ...stage(nothing), open: async (context) => stage(await loadBlocklists(limits)).open(context) }
}

// ---- lists ----

/** Sets of entries; undefined where there are none. */
export interface Blocklists {
  readonly domains?: BlockList
  readonly urls?: BlockList
  readonly words?: BlockList
  readonly softWords?: BlockList
  readonly subwords?: Subwords
  readonly covers: Limits['covers']
}

interface Subwords {
  readonly any: RegExp
  readonly places: ReadonlyMap<string, Place>
}

const nothing: Blocklists = { covers: 'entry' }

const KINDS = ['extraDomains', 'extraUrls', 'bannedWords', 'softBannedWords', 'bannedSubwords'] as const
type Kind = (typeof KINDS)[number]

/** All lists in the order in which they are numbered. */
function sourcesOf(limits: Limits): Record<Kind, ListSource[]> {
  const { ut1 } = limits
  const category = (file: 'domains' | 'urls') =>
    ut1 === undefined ? [] : ut1.categories.flatMap((name) => ut1Files(join(ut1.folder, name), file, `ut1 ${name}/${file}`))
  const own = (kind: Kind): ListSource[] => {
    const lines = limits[kind]
    if ('file' in lines) return listFiles(lines.file).map((file) => ({ name: file, lines: { file } }))
    return lines.length === 0 ? [] : [{ name: kind, lines }]
  }
  return {
    extraDomains: [...own('extraDomains'), ...category('domains')],
    extraUrls: [...own('extraUrls'), ...category('urls')],
    bannedWords: own('bannedWords'),
    softBannedWords: own('softBannedWords'),
    bannedSubwords: own('bannedSubwords'),
  }
}

/** Some categories have no addresses or no domains; one that has neither is a slip of the pen. */
function ut1Files(folder: string, file: 'domains' | 'urls', name: string): ListSource[] {
  const found = globSync(join(folder, '{domains,urls}{,.gz}'))
  if (found.length === 0)
    throw new SluiceError('SLUICE_LIST_UNREADABLE', `UT1 has no category ${basename(folder)} there`, {
      where: { folder },
      fix: 'give the folder whose subfolders are the categories, each with a file domains or urls',
    })
  return found
    .filter((path) => basename(path).startsWith(file))
    .sort()
    .map((path) => ({ name, lines: { file: path } }))
}

export async function loadBlocklists(limits: Limits): Promise<Blocklists> {
  const sources = sourcesOf(limits)
  const firsts = KINDS.map((_, index) => 1 + KINDS.slice(0, index).reduce((sum, kind) => sum + sources[kind].length, 0))
  const load = async (kind: Kind, form: 'exact' | 'word') =>
    sources[kind].length === 0 ? undefined : await loadBlockList(sources[kind], form, firsts[KINDS.indexOf(kind)])
  return {
    domains: await load('extraDomains', 'exact'),
    urls: await load('extraUrls', 'exact'),
    words: await load('bannedWords', 'word'),
    softWords: await load('softBannedWords', 'word'),
    subwords: await subwordsOf(sources.bannedSubwords, firsts[KINDS.indexOf('bannedSubwords')]),
    covers: limits.covers,
  }
}

async function subwordsOf(sources: readonly ListSource[], firstList: number): Promise<Subwords | undefined> {
  const places = new Map<string, Place>()
  for await (const { text, place } of listEntries(sources, firstList)) {
    const word = withoutMarks(text)
    if (word !== '' && !places.has(word)) places.set(word, place)
  }
  return places.size === 0 ? undefined : { any: new RegExp([...places.keys()].sort().join('|')), places }
}

// ---- one address ----

const marks = /[^a-zA-Z0-9]+/g

/**
 * 1 where the address is on the list, 0 where it is not; `soft_words` counts different ones. `has_url` is 0 for the empty
 * address. `list` and `line` are those of the first entry met in this order, 0 where there is none.
 */
export function measureUrl(url: string, blocked: Blocklists) {
  const { domain, subdomain, address } = blocked.covers === 'entry' ? findEntry(url, blocked) : findBelow(url, blocked)
  const words = blocked.words || blocked.softWords ? new Set(url.split(marks)) : noWords
  const hard = found(words, blocked.words)
  const soft = found(words, blocked.softWords)
  const subword = blocked.subwords?.places.get(blocked.subwords.any.exec(withoutMarks(url))?.[0] ?? '')
  const first = domain ?? subdomain ?? address ?? hard.first ?? soft.first ?? subword
  return {
    has_url: Number(url !== ''),
    domain: Number(domain !== undefined),
    subdomain: Number(subdomain !== undefined),
    url: Number(address !== undefined),
    hard_words: hard.count,
    soft_words: soft.count,
    subwords: Number(subword !== undefined),
    list: first?.list ?? 0,
    line: first?.line ?? 0,
  }
}

const noWords: ReadonlySet<string> = new Set()
const unaddressed: UrlMatches = {
  has_url: Number.NaN,
  domain: 0,
  subdomain: 0,
  url: 0,
  hard_words: 0,
  soft_words: 0,
  subwords: 0,
  list: 0,
  line: 0,
}

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

function found(words: ReadonlySet<string>, listed: BlockList | undefined): { count: number; first?: Place } {
  let count = 0
  let first: Place | undefined
  if (listed === undefined) return { count }
  for (const word of words) {
    const place = listed.find(word)
    if (place === undefined) continue
    count++
    first ??= place
  }
  return { count, first }
}

interface Met {
  readonly domain?: Place
  readonly subdomain?: Place
  readonly address?: Place
}

/** As the reference compares. */
function findEntry(url: string, { domains, urls }: Blocklists): Met {
  const host = domains && splitHost(url)
  return { domain: host && domains.find(host.registered), subdomain: host && domains.find(host.full), address: urls?.find(url) }
}

/** As squidGuard does: the registered domain, then the host and all domains above it, the address and all paths above it. */
function findBelow(url: string, { domains, urls }: Blocklists): Met {
  const host = hostOf(url).toLowerCase()
  const labels = host.split('.')
  const domain = domains?.find(splitHost(host).registered)
  const above = labels.map((_, index) => labels.slice(index).join('.'))
  return {
    domain,
    subdomain: domains && !domain ? firstOf(above, domains) : undefined,
    address: urls && firstOf(pathsAbove(host, url.replace(scheme, '').replace(/^[^/?#]*/, '')), urls),
  }
}

/** Shortest first, each with and without the slash at its end, and without the host's www. */
function* pathsAbove(host: string, path: string): Generator<string> {
  for (const name of new Set([host, host.replace(/^www\d*\./, '')])) {
    for (const { index } of `${path}/`.matchAll(/[/?#&]/g)) {
      yield name + path.slice(0, index)
      yield name + path.slice(0, index + 1)
    }
  }
}

function firstOf(names: Iterable<string>, listed: BlockList): Place | undefined {
  for (const name of names) {
    const place = listed.find(name)
    if (place) return place
  }
  return undefined
}

const scheme = /^(?:[a-zA-Z0-9+\-.]+:)?\/\//
const dots = /[.\u3002\uff0e\uff61]/

/** Registered domain and full host name, case as in the address; empty where the host has no public suffix: an IP address, localhost. */
export function splitHost(url: string): { registered: string; full: string } {
  const labels = hostOf(url).split(dots)
  const suffixLabels = countSuffixLabels(labels)
  if (suffixLabels === 0 || suffixLabels >= labels.length || labels[labels.length - suffixLabels - 1] === '')
    return { registered: '', full: '' }
  return { registered: labels.slice(-suffixLabels - 1).join('.'), full: labels.join('.') }
}

/** The host as it stands in the address, without the dots of the root. */
function hostOf(url: string): string {
  const authority = url.replace(scheme, '').split(/[/?#]/, 1)[0]
  return strip(authority.slice(authority.lastIndexOf('@') + 1).split(':', 1)[0]).replace(/[.\u3002\uff0e\uff61]+$/, '')
}

/** The public suffix as registries have it: `github.io` is a domain under `io`. */
const registries = { allowPrivateDomains: false, detectIp: false, extractHostname: false, validateHostname: false }

function countSuffixLabels(labels: string[]): number {
  const { publicSuffix, isIcann } = parse(labels.join('.').toLowerCase(), registries)
  return publicSuffix === null || !isIcann ? 0 : publicSuffix.split('.').length
}
