// `sluice stage`: one stage on JSON-lines documents from standard input, one line out for each line in. The way to try a
// stage on a handful of documents, and to test it from outside.

import { Command } from 'commander'
import { z } from 'zod'
import type { Json } from '../core/document.ts'
import { SluiceError } from '../core/errors.ts'
import type { ErasedBarrier, ErasedStage } from '../engine/pipeline.ts'
import { describeOptions } from './describe-options.ts'
import { exitCodes } from './exit-codes.ts'
import { wholeNumber } from './numbers.ts'
import { answerLines } from './stage-lines.ts'

export const command = new Command()
  .argument('[name]', 'stage, such as gopherQuality; without one, all are listed')
  .option('--options <json>', "the stage's options as JSON", '{}')
  .option('--seed <n>', 'seed for stages that sample', wholeNumber(0), 0)
  .addHelpText(
    'after',
    `
Each input line is a document: {"id", "text"}, or for extraction {"id", "html" or "html_base64", "url", "content_type"}.
Further fields (url, date, language, metadata) are optional. Each output line answers the input line of the same place:
  {"id", "verdict": "keep" | "drop" | "error", "reason", "statistics", and what the stage made: "text", "tokens", …}
Barrier stages (deduplication, tokenizer training) answer when the input ends.

Examples:
  echo '{"id":"a","text":"To be or not to be."}' | sluice stage gopherQuality
  sluice stage minhashDedup < documents.jsonl
  sluice stage redactPii --options '{"set":"datatrove"}' < documents.jsonl
  sluice stage gopherQuality --help     (lists the options of that stage)

Exit codes: 0 done (drops included), 1 a line could not be read or the stage failed on it.`,
  )
  .action(async (name: string | undefined, flags: { options: string; seed: number }) => {
    if (name === undefined) return listStages()
    const stage = await makeStage(name, flags.options)
    const isClean = await answerLines(stage, flags.seed)
    if (!isClean) process.exitCode = exitCodes.failed
  })

/** The options of the stage named among the words. */
export async function extraHelp(words: readonly string[]): Promise<string> {
  const exported = await publicStages()
  const name = words.find((word) => word in exported)
  if (name === undefined) return ''
  const lines = describeOptions(exported[`${name}Options`]).map(({ name: option, kind, description, standard }) => {
    return `  ${`${option} (${kind})`.padEnd(34)} ${description}${standard === undefined ? '' : ` (default: ${standard})`}`
  })
  return `\nOptions of ${name}:\n${lines.join('\n') || '  none'}`
}

// ---- the stage ----

type Parts = typeof import('../../stages/index.ts')
type KindOf<Factory> = Factory extends (...options: never[]) => { readonly kind: infer Kind } ? Kind : 'none'
type OfKind<Kind> = { [Name in keyof Parts]: KindOf<Parts[Name]> extends Kind ? Name : never }[keyof Parts]

/** Told apart by their types: a stage knows what it is only once it has its options. The compiler wants every one of them here. */
const barriers: Record<OfKind<'barrier'>, true> = {
  bloomDedup: true,
  decontaminate: true,
  exactDedup: true,
  keepTop: true,
  lineDedup: true,
  minhashDedup: true,
  perplexityBuckets: true,
  qualityClassifier: true,
  sentenceDedup: true,
  substringDedup: true,
  toxicityClassifier: true,
  trainTokenizer: true,
}
const sourcesAndSinks: Record<OfKind<'source' | 'sink'> | 'mixture', true> = {
  c4: true,
  commonCrawl: true,
  csvFiles: true,
  dolma: true,
  fineWeb: true,
  htmlFiles: true,
  huggingFace: true,
  jsonl: true,
  jsonlShards: true,
  mixture: true,
  parquet: true,
  parquetShards: true,
  pile: true,
  redPajama: true,
  redPajama2: true,
  shards: true,
  sourceCode: true,
  textFiles: true,
  warc: true,
  wet: true,
}

async function publicStages(): Promise<Record<string, unknown>> {
  return { ...(await import('../../stages/index.ts')) }
}

async function listStages(): Promise<void> {
  const exported = await publicStages()
  const names = Object.keys(exported).filter((name) => isListed(exported, name) && !(name in sourcesAndSinks))
  const list = (title: string, isMember: (name: string) => boolean) => `${[title, ...names.filter(isMember).sort()].join('\n  ')}\n`
  process.stdout.write(list('Document by document:', (name) => !(name in barriers)))
  process.stdout.write(`\n${list('Over all documents, answering when the input ends:', (name) => name in barriers)}`)
}

/** Whether a name is that of a part with options; the others, filter and map, take functions. */
function isListed(exported: Record<string, unknown>, name: string): boolean {
  return typeof exported[name] === 'function' && `${name}Options` in exported
}

async function makeStage(name: string, json: string): Promise<ErasedStage | ErasedBarrier> {
  const exported = await publicStages()
  const factory = exported[name]
  if (typeof factory !== 'function' || !isListed(exported, name)) {
    throw new SluiceError('SLUICE_STAGE_UNKNOWN', `there is no stage "${name}"`, { fix: 'sluice stage without a name lists them' })
  }
  const options = parseOptions(json)
  const part = construct(name, () => Reflect.apply(factory, undefined, [options]))
  if (isRunnable(part)) return part
  throw new SluiceError('SLUICE_STAGE_KIND', `"${name}" is no stage that takes documents one by one`, {
    fix: 'sources and sinks run in a pipeline: sluice run',
  })
}

function construct(name: string, make: () => unknown): unknown {
  try {
    return make()
  } catch (cause) {
    if (!(cause instanceof z.ZodError)) throw cause
    throw new SluiceError('SLUICE_OPTIONS', `the options of ${name} do not fit:\n${z.prettifyError(cause)}`, {
      fix: `sluice stage ${name} --help lists them`,
      cause,
    })
  }
}

function parseOptions(json: string): Json {
  try {
    return JSON.parse(json)
  } catch (cause) {
    throw new SluiceError('SLUICE_OPTIONS', `--options is not JSON: ${cause instanceof Error ? cause.message : cause}`, {
      fix: `quote it for the shell: --options '{"minScore":0.5}'`,
      cause,
    })
  }
}

function isRunnable(part: unknown): part is ErasedStage | ErasedBarrier {
  return typeof part === 'object' && part !== null && 'kind' in part && (part.kind === 'map' || part.kind === 'barrier')
}
