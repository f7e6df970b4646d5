// The layouts in which known corpora are published, each a source of records with its fields named, and sluice's own shards:
// The Pile (Gao et al. 2020, arxiv.org/abs/2101.00027), C4 (Raffel et al. 2019, arxiv.org/abs/1910.10683), RedPajama 1 and 2
// (Weber et al. 2024, arxiv.org/abs/2411.12372), Dolma (Soldaini et al. 2024, arxiv.org/abs/2402.00159) and FineWeb (Penedo
// et al. 2024, arxiv.org/abs/2406.17557).

import { z } from 'zod'
import type { Document, Json } from '../src/core/document.ts'
import type { Source } from '../src/core/stage.ts'
import type { Attributes, Said } from '../src/sources/attributes.ts'
import { inputPaths, listOf } from '../src/sources/batches.ts'
import { isObject, type JsonObject, type Mapped, recordFields } from '../src/sources/record-fields.ts'
import { jsonLines } from './jsonl.ts'
import { parquetRows } from './parquet.ts'

const fields = z.strictObject(recordFields)

export const pileOptions = z.strictObject({ path: inputPaths })
export type PileOptions = z.input<typeof pileOptions>

/** The Pile: `.jsonl.zst` with `text` and `meta.pile_set_name`, which names the subset. */
export function pile(options: PileOptions): Source<Document> {
  const paths = listOf(pileOptions.parse(options).path)
  return jsonLines({
    name: 'pile',
    paths,
    fields: fields.parse({ subset: 'meta.pile_set_name', columns: ['meta.pile_set_name'] }),
    options: {},
  })
}

export const c4Options = z.strictObject({ path: inputPaths })
export type C4Options = z.input<typeof c4Options>

/** C4: `.json.gz` with `text`, `url` and `timestamp`. */
export function c4(options: C4Options): Source<Document> {
  const paths = listOf(c4Options.parse(options).path)
  return jsonLines({ name: 'c4', paths, fields: fields.parse({ date: 'timestamp' }), options: {} })
}

export const redPajamaOptions = z.strictObject({ path: inputPaths })
export type RedPajamaOptions = z.input<typeof redPajamaOptions>

/** RedPajama 1: `.jsonl` or `.jsonl.zst` with `text` and `meta`. `red_pajama_subset` names the subset, or else the folder. */
export function redPajama(options: RedPajamaOptions): Source<Document> {
  const paths = listOf(redPajamaOptions.parse(options).path)
  const layout = { url: 'meta.url', date: 'meta.timestamp', subset: 'red_pajama_subset', folderAsSubset: true }
  return jsonLines({ name: 'redPajama', paths, fields: fields.parse(layout), options: {} })
}

export const redPajama2Options = z.strictObject({
  path: inputPaths,
  signals: z
    .boolean()
    .default(false)
    .describe('reads the quality signals of quality_signals/ too: one number a document becomes an annotation'),
})
export type RedPajama2Options = z.input<typeof redPajama2Options>

/**
 * RedPajama 2: `documents/<snapshot>/<shard>/<language>_<bucket>.json.gz`, and line by line beside them
 * `quality_signals/…/<language>_<bucket>.signals.json.gz`. The subset is the bucket: head, middle, tail.
 */
export function redPajama2(options: RedPajama2Options): Source<Document> {
  const { path, signals } = redPajama2Options.parse(options)
  const layout = { text: 'raw_content', date: 'date_download', language: 'language', languageScore: 'language_score', subset: 'bucket' }
  const attributes = signals ? [qualitySignals] : []
  return jsonLines({
    name: 'redPajama2',
    paths: listOf(path),
    fields: fields.parse(layout),
    options: { signals },
    leaveOut: NO_DOCUMENTS,
    attributes,
  })
}

export const dolmaOptions = z.strictObject({
  path: inputPaths,
  attributes: z
    .array(z.string().regex(/^[^/]+$/, 'name a folder below attributes/'))
    .default([])
    .describe('folders below attributes/ that are read too: one number a document becomes an annotation'),
})
export type DolmaOptions = z.input<typeof dolmaOptions>

/**
 * Dolma: `documents/….json.gz` with `id`, `text`, `source`, `added`, `created` and `metadata`, and line by line beside them
 * `attributes/<name>/….json.gz`. The subset is `source`.
 */
export function dolma(options: DolmaOptions): Source<Document> {
  const { path, attributes } = dolmaOptions.parse(options)
  const layout = { url: 'metadata.url', date: 'created', subset: 'source' }
  return jsonLines({
    name: 'dolma',
    paths: listOf(path),
    fields: fields.parse(layout),
    options: { attributes },
    leaveOut: NO_DOCUMENTS,
    attributes: attributes.map(dolmaAttributes),
  })
}

export const fineWebOptions = z.strictObject({ path: inputPaths })
export type FineWebOptions = z.input<typeof fineWebOptions>

/** FineWeb: Parquet with `text`, `id`, `dump`, `url`, `date`, `file_path`, `language`, `language_score`, `token_count`. The subset is `dump`. */
export function fineWeb(options: FineWebOptions): Source<Document> {
  const paths = listOf(fineWebOptions.parse(options).path)
  const layout = { language: 'language', languageScore: 'language_score', subset: 'dump' }
  return parquetRows({ name: 'fineWeb', paths, fields: fields.parse(layout), options: {} })
}

export const shardsOptions = z.strictObject({ path: inputPaths })
export type ShardsOptions = z.input<typeof shardsOptions>

/**
 * Documents that `parquetShards` wrote, to go on with: a mixture of what was deduplicated, a second set of filters. Their
 * metadata has where they first came from as `origin`.
 */
export function shards(options: ShardsOptions): Source<Document> {
  const paths = listOf(shardsOptions.parse(options).path)
  const layout = { language: 'language', languageScore: 'languageScore', subset: 'subset' }
  return parquetRows({ name: 'shards', paths, fields: fields.parse(layout), options: {}, restore })
}

/** Metadata and annotations from their JSON, nothing where a foreign file has none there; columns that are not of every document are annotations too. */
function restore({ metadata: columns, ...mapped }: Mapped): Mapped {
  const { metadata, annotations, id = null, source = null, offset = null, length: _, ...others } = columns
  const said = { ...parsedObject(annotations), ...others }
  return { ...mapped, metadata: { ...parsedObject(metadata), origin: { id, source, offset } }, annotations: numbersAndStrings(said) }
}

function parsedObject(json: Json | undefined): JsonObject {
  if (typeof json !== 'string') return isObject(json) ? json : {}
  try {
    const value: Json = JSON.parse(json)
    return isObject(value) ? value : {}
  } catch {
    return {}
  }
}

/** Undefined where there are none. */
function numbersAndStrings(values: JsonObject): Mapped['annotations'] {
  const found = Object.entries(values).flatMap(([name, value]) =>
    typeof value === 'number' || typeof value === 'string' ? [[name, value] as const] : [],
  )
  return found.length > 0 ? Object.fromEntries(found) : undefined
}

// ---- what lies beside the documents ----

const NO_DOCUMENTS = /(?:^|\/)(?:attributes|quality_signals|duplicates|minhash)\//

const qualitySignals: Attributes = {
  urlOf: (documents) => beside(documents, 'quality_signals')?.replace(/(\.jsonl?)(\.gz|\.zst)?$/, '.signals$1$2'),
  read: ({ id, quality_signals: signals }, _record, ordinal) => {
    const row = typeof id === 'string' ? /\/(\d+)$/.exec(id)?.[1] : undefined
    if (row !== undefined && Number(row) !== ordinal) return undefined
    return signals === undefined ? undefined : saidBySpans(parsedObject(signals))
  },
}

function dolmaAttributes(name: string): Attributes {
  return {
    urlOf: (documents) => beside(documents, `attributes/${encodeURIComponent(name)}`),
    read: ({ id, attributes }, record) => (id === record.id && isObject(attributes) ? saidBySpans(attributes) : undefined),
  }
}

/** The file of the same name in another folder beside `documents`. */
function beside(url: string, folder: string): string | undefined {
  const at = url.lastIndexOf('/documents/')
  return at === -1 ? undefined : `${url.slice(0, at)}/${folder}/${url.slice(at + '/documents/'.length)}`
}

/** `[[start, end, value], …]` by name: a single span's value is an annotation, several spans are metadata. */
function saidBySpans(spans: JsonObject): Said {
  const annotations: Record<string, number | string> = {}
  const metadata: Record<string, Json> = {}
  for (const [name, list] of Object.entries(spans)) {
    if (!Array.isArray(list) || list.length === 0) continue
    const value: Json = list.length === 1 && Array.isArray(list[0]) ? list[0][2] : null
    if (typeof value === 'number' || typeof value === 'string') annotations[name] = value
    else if (list.length > 1) metadata[name] = list
  }
  return { annotations, metadata }
}
