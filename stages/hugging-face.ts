// A data set in the layout of the Hugging Face hub, as it lies after a download: huggingface.co/docs/hub/datasets-manual-configuration
// and huggingface.co/docs/datasets/repository_structure. Its card's `configs` say which files are which split; without them
// folders and names do.

import { existsSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Document, Json } from '../src/core/document.ts'
import { SluiceError } from '../src/core/errors.ts'
import type { Partition, Source } from '../src/core/stage.ts'
import { expandInputs, isRemote, localPath } from '../src/io/inputs.ts'
import { splitFrontMatter } from '../src/sources/front-matter.ts'
import { fieldOptions, isObject, type JsonObject, recordFields } from '../src/sources/record-fields.ts'
import { csvFiles } from './csv-files.ts'
import { jsonl } from './jsonl.ts'
import { parquet } from './parquet.ts'

export const huggingFaceOptions = z.strictObject({
  path: z.string().min(1).describe('folder of the data set, with its README.md where it has one'),
  config: z.string().min(1).optional().describe('which of its configurations, or subsets; the only or default one without it'),
  split: z.string().min(1).default('train').describe('which split'),
  ...recordFields,
})
export type HuggingFaceOptions = z.input<typeof huggingFaceOptions>

/** A document a row of the split's Parquet, JSON lines or CSV files. */
export function huggingFace(options: HuggingFaceOptions): Source<Document> {
  const { path, config, split, ...fields } = huggingFaceOptions.parse(options)
  const sourceOf = (file: string): Source<Document> | undefined => {
    const format = FORMATS.find(({ pattern }) => pattern.test(file))
    return format?.source({ path: file, ...fields })
  }
  return {
    kind: 'source',
    name: 'huggingFace',
    version: 1,
    options: { ...fieldOptions(fields), config: config ?? null, split },
    partitions: async (context) => {
      const partitions: Partition[] = []
      for (const url of await filesOf(path, config, split)) partitions.push(...((await sourceOf(url)?.partitions(context)) ?? []))
      return partitions
    },
    read: (partition, context) => {
      const source = sourceOf(partition.source)
      if (!source) throw new Error(`a partition of no known format: ${partition.source}`)
      return source.read(partition, context)
    },
  }
}

const FORMATS = [
  { pattern: /\.parquet$/i, source: parquet },
  { pattern: /\.(?:jsonl|ndjson|json)(?:\.gz|\.zst)?$/i, source: jsonl },
  { pattern: /\.[ct]sv(?:\.gz|\.zst)?$/i, source: csvFiles },
]
const EXTENSIONS = ['.parquet', ...['.jsonl', '.ndjson', '.json', '.csv', '.tsv'].flatMap((end) => [end, `${end}.gz`, `${end}.zst`])]
/** What lies beside the data. */
const NO_DATA = /(?:^|\/)(?:\.[^/]*|dataset_infos?\.json|dataset_dict\.json|state\.json)(?:\/|$)/

/** URLs of a split's files, in order. */
async function filesOf(name: string, config: string | undefined, split: string): Promise<string[]> {
  const folder = isRemote(name) ? undefined : localPath(name)
  if (folder === undefined || !existsSync(folder) || !(await stat(folder)).isDirectory())
    throw new SluiceError('SLUICE_INPUT_MISSING', `there is no folder ${name} on this machine`, {
      where: { path: name },
      fix: 'download the data set first: hf download <name> --repo-type dataset --local-dir <folder>',
    })
  const configs = await configsOf(folder)
  const chosen = configs.length > 0 ? chooseConfig(configs, config, folder) : undefined
  const base = chosen ? join(folder, chosen.folder) : config === undefined ? folder : configFolder(folder, config)
  const files = chosen?.files.length ? await declaredFiles(base, chosen.files) : await conventionalFiles(base)
  const urls = files.get(split)
  if (urls) return urls
  throw refuse(
    folder,
    `the data set has no split ${split}: there are ${[...files.keys()].join(', ') || 'none'}`,
    'name one of them: split: …',
  )
}

// ---- what the card says ----

interface Config {
  readonly name: string
  readonly isDefault: boolean
  /** Below the data set's. */
  readonly folder: string
  readonly files: readonly { readonly split: string; readonly patterns: readonly string[] }[]
}

async function configsOf(folder: string): Promise<Config[]> {
  const card = join(folder, 'README.md')
  if (!existsSync(card)) return []
  const configs = splitFrontMatter(await readFile(card, 'utf8')).matter?.configs
  return Array.isArray(configs) ? configs.filter(isObject).map(configOf) : []
}

function configOf({ config_name: name, data_files: files, data_dir: folder, default: isDefault }: JsonObject): Config {
  return {
    name: typeof name === 'string' ? name : 'default',
    isDefault: isDefault === true || name === 'default' || name === undefined,
    folder: typeof folder === 'string' ? folder : '',
    files: declared(files),
  }
}

/** A pattern, or several, for the split train; or a list or an object of splits with their patterns. */
function declared(files: Json | undefined): Config['files'] {
  const patterns = strings(files)
  if (patterns.length > 0) return [{ split: 'train', patterns }]
  if (isObject(files)) return Object.entries(files).map(([split, paths]) => ({ split, patterns: strings(paths) }))
  if (!Array.isArray(files)) return []
  return files.filter(isObject).map(({ split, path }) => ({ split: typeof split === 'string' ? split : 'train', patterns: strings(path) }))
}

function strings(value: Json | undefined): string[] {
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
}

function chooseConfig(configs: readonly Config[], name: string | undefined, folder: string): Config {
  const chosen =
    name === undefined
      ? (configs.find(({ isDefault }) => isDefault) ?? (configs.length === 1 ? configs[0] : undefined))
      : configs.find((config) => config.name === name)
  if (chosen) return chosen
  const names = configs.map((config) => config.name).join(', ')
  throw refuse(
    folder,
    name === undefined
      ? `the data set has several configurations: ${names}`
      : `the data set has no configuration ${name}: there are ${names}`,
    'name one of them: config: …',
  )
}

async function declaredFiles(base: string, files: Config['files']): Promise<Map<string, string[]>> {
  const bySplit = new Map<string, string[]>()
  for (const { split, patterns } of files) {
    const inputs = await expandInputs(
      patterns.map((pattern) => join(base, pattern)),
      EXTENSIONS,
    )
    bySplit.set(split, [...(bySplit.get(split) ?? []), ...inputs.map(({ url }) => url)])
  }
  return bySplit
}

// ---- what folders and names say ----

function configFolder(folder: string, config: string): string {
  const found = [join(folder, config), join(folder, 'data', config)].find(existsSync)
  if (found !== undefined) return found
  throw refuse(folder, `the data set has no folder ${config}`, 'check the name of the configuration')
}

const KEYWORDS: readonly (readonly [split: string, words: RegExp])[] = [
  ['train', /(?:^|[^a-z0-9])(?:train|training)(?:[^a-z0-9]|$)/i],
  ['validation', /(?:^|[^a-z0-9])(?:validation|valid|val|dev)(?:[^a-z0-9]|$)/i],
  ['test', /(?:^|[^a-z0-9])(?:test|testing|eval|evaluation)(?:[^a-z0-9]|$)/i],
]

async function conventionalFiles(base: string): Promise<Map<string, string[]>> {
  const inputs = (await expandInputs([base], EXTENSIONS)).filter(({ path }) => !NO_DATA.test(path))
  const bySplit = Map.groupBy(inputs, ({ path }) => splitOf(path) ?? '')
  const unnamed = bySplit.get('') ?? []
  bySplit.delete('')
  if (bySplit.size === 0 && unnamed.length > 0) bySplit.set('train', unnamed)
  return new Map([...bySplit].map(([split, found]) => [split, found.map(({ url }) => url)]))
}

/** `<split>-00000-of-00008.parquet` whatever the split is called, or the keyword nearest to the file. */
function splitOf(path: string): string | undefined {
  const sharded = /(?:^|\/)([\w.]+)-\d{5}-of-\d{5}(?:-\w+)?\.[\w.]+$/.exec(path)?.[1]
  const named = (part: string) => KEYWORDS.find(([, words]) => words.test(part))?.[0]
  if (sharded !== undefined) return sharded
  return path
    .split('/')
    .toReversed()
    .map(named)
    .find((split) => split !== undefined)
}

function refuse(folder: string, problem: string, fix: string): SluiceError {
  return new SluiceError('SLUICE_DATASET_LAYOUT', problem, { where: { folder }, fix })
}
