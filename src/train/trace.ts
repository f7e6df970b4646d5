// From a step of a run to the documents in its batch, and from a document to the steps that it was in: the run's log joined
// with the shards or examples that it names. Nothing is kept in memory but what is asked for.

import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import type { TrainingLogLine } from '../../schemas/training-log.ts'
import { SluiceError, type Where } from '../core/errors.ts'
import { sampleFraction } from '../core/identity.ts'
import { isRemote } from '../io/inputs.ts'
import { type Corpus, openCorpus } from '../tokens/corpus.ts'
import type { DocumentLoss } from './document-loss.ts'
import { readExamplesAt } from './example-records.ts'
import { type LogStart, linesAfterStart, parseLogLine, readLogStart } from './log.ts'

/** How the line of a rollback begins: the others are parsed where they may be asked for. */
const ROLLBACK = '{"event":"rollback"'

type Line<E extends TrainingLogLine['event']> = Extract<TrainingLogLine, { event: E }>

export interface TracedDocument {
  readonly shard: string
  /** Of the shard; of a file of examples, which record. */
  readonly row: number
  readonly id: string
  readonly url?: string
  readonly subset?: string
  /** Where its text was read: a file or archive, and the byte in it. */
  readonly source?: string
  readonly offset?: number
  readonly tokens?: number
  /** Its first characters. */
  readonly text: string
  /** Nats a token, and the passage that costs most, where that was measured. */
  readonly loss?: number
  readonly worst?: { readonly loss: number; readonly text: string }
}

/** One run of a step: after a rollback a step runs again, with other documents. */
export interface TracedStep {
  readonly step: number
  readonly loss: number | null
  readonly gradientNorm: number | null
  readonly learningRate: number | null
  /** Why it changed no weight, where it did not. */
  readonly skipped?: string
  /** The run went back to before it. */
  readonly isTakenBack: boolean
  readonly documents: readonly TracedDocument[]
}

export interface TraceOptions {
  /** Shards or examples of the run, in place of where its log says they were. */
  readonly inputs?: readonly string[]
  /** Text of tokens. */
  readonly decode: (tokens: ArrayLike<number>) => string
  /** Of each document's text. */
  readonly characters: number
  /** What a document of shards costs a model. */
  readonly measure?: (tokens: ArrayLike<number>) => DocumentLoss
}

/**
 * Every time that a step ran, in order.
 *
 * @throws SluiceError `SLUICE_TRACE_STEP` where the run has no such step, `SLUICE_TRACE_INPUTS` where its shards are gone or
 *   others, and those of `readLogStart`
 */
export async function traceStep(run: string, step: number, options: TraceOptions): Promise<TracedStep[]> {
  const attempts: (LoggedStep & { documents: Rows })[] = []
  let last = 0
  const start = await readLogStart(run)
  for await (const text of linesAfterStart(run)) {
    const rollback = text.startsWith(ROLLBACK) ? parseLogLine(text) : undefined
    if (rollback?.event === 'rollback') takeBack(attempts, rollback)
    const number = Number(/"step":(\d+)/.exec(text)?.[1] ?? 0)
    last = Math.max(last, number)
    const line = number === step ? parseLogLine(text) : undefined
    if (line?.event === 'step' || line?.event === 'skip') attempts.push({ ...loggedStep(line), documents: line.documents })
  }
  if (attempts.length === 0)
    throw new SluiceError('SLUICE_TRACE_STEP', `the run has no step ${step}`, {
      where: { folder: run },
      fix: last === 0 ? 'wait: it has taken none so far' : `give one from 1 to ${last}`,
    })
  const inputs = await openInputs(start, options)
  const traced: TracedStep[] = []
  for (const attempt of attempts) traced.push({ ...attempt, documents: await inputs.read(attempt.documents) })
  return traced
}

export interface TracedUse {
  readonly document: TracedDocument
  /** For validation: no step has it. */
  readonly isHeldOut: boolean
  /** The steps that it was in. */
  readonly steps: readonly LoggedStep[]
}

/**
 * The documents with an id or URL, and the steps that they were in.
 *
 * @throws SluiceError `SLUICE_TRACE_DOCUMENT` where the run's data has none such, and as `traceStep`
 */
export async function traceDocument(run: string, idOrUrl: string, options: TraceOptions): Promise<TracedUse[]> {
  const start = await readLogStart(run)
  const inputs = await openInputs(start, options)
  const found = await inputs.find(idOrUrl)
  if (found.length === 0)
    throw new SluiceError('SLUICE_TRACE_DOCUMENT', 'no document of this run has this id or URL', {
      where: { document: idOrUrl },
      fix: 'give it as a shard or sluice trace --step has it',
    })
  const uses = found.map((at): { at: Place; steps: LoggedStep[] } => ({ at, steps: [] }))
  for await (const text of linesAfterStart(run)) {
    const candidates = uses.filter(({ at }) => text.includes(`"${at.shard}":[`))
    const line = candidates.length > 0 || text.startsWith(ROLLBACK) ? parseLogLine(text) : undefined
    if (line?.event === 'rollback') for (const { steps } of uses) takeBack(steps, line)
    if (line?.event !== 'step' && line?.event !== 'skip') continue
    for (const { at, steps } of candidates) if (line.documents[at.shard]?.includes(at.row)) steps.push(loggedStep(line))
  }
  const traced: TracedUse[] = []
  for (const { at, steps } of uses) {
    const [document] = await inputs.read({ [at.shard]: [at.row] })
    const isHeldOut = sampleFraction(document.id, 'validation') < (start.settings.validationShare ?? 0)
    traced.push({ document, isHeldOut, steps })
  }
  return traced
}

// ---- the log ----

type Rows = Readonly<Record<string, readonly number[]>>
export type LoggedStep = Omit<TracedStep, 'documents' | 'isTakenBack'> & { isTakenBack: boolean }

function loggedStep(line: Line<'step'> | Line<'skip'>): LoggedStep {
  const { step, loss = null, gradientNorm = null, learningRate = null } = line
  return { step, loss, gradientNorm, learningRate, ...(line.event === 'skip' ? { skipped: line.reason } : {}), isTakenBack: false }
}

function takeBack(steps: LoggedStep[], { step: last, to }: Line<'rollback'>): void {
  for (const logged of steps) if (logged.step > to && logged.step <= last) logged.isTakenBack = true
}

// ---- what was trained on ----

interface Place {
  readonly shard: number
  readonly row: number
}

interface Inputs {
  /** In the order of shards and rows. */
  read(documents: Rows): Promise<TracedDocument[]>
  find(idOrUrl: string): Promise<Place[]>
}

async function openInputs(start: LogStart, options: TraceOptions): Promise<Inputs> {
  const inputs = options.inputs ?? start.inputs ?? []
  const missing = inputs.find((input) => !isRemote(input) && !existsSync(input))
  if (inputs.length === 0 || missing !== undefined)
    throw new SluiceError(
      'SLUICE_TRACE_INPUTS',
      missing ? 'what the run was trained on is no longer there' : 'the log does not say where the shards are',
      {
        where: missing ? { input: missing } : undefined,
        fix: 'say where it is now: --shards, in the order of the run',
      },
    )
  const { objective } = start.settings
  return objective === 'pairs' || objective === 'classify' ? exampleInputs(inputs[0], options) : await shardInputs(start, inputs, options)
}

function exampleInputs(path: string, { characters }: TraceOptions): Inputs {
  const document = ({ ordinal, id, text }: { ordinal: number; id: string; text: string }): TracedDocument => ({
    ...{ shard: basename(path), row: ordinal, id },
    text: text.slice(0, characters),
  })
  return {
    read: async (documents) => {
      const rows = new Set(documents['0'])
      return (await readExamplesAt(path, ({ ordinal }) => rows.has(ordinal))).map(document)
    },
    find: async (wanted) => (await readExamplesAt(path, ({ id }) => id === wanted)).map(({ ordinal }) => ({ shard: 0, row: ordinal })),
  }
}

async function shardInputs(start: LogStart, inputs: readonly string[], options: TraceOptions): Promise<Inputs> {
  const corpora: Corpus[] = []
  for (const input of inputs) corpora.push(await openCorpus(input))
  const shards = corpora.flatMap((corpus) => corpus.shards.map((name, ordinal) => ({ corpus, name, ordinal })))
  if (shards.length !== start.shards.length || shards.some(({ name }, i) => !start.shards[i].endsWith(name)))
    throw otherShards({ found: shards.map(({ name }) => name).join(' '), trained: start.shards.join(' ') })
  return {
    async read(documents) {
      const read: TracedDocument[] = []
      for (const [shard, rows] of Object.entries(documents)) {
        const found = await readShard(shards[Number(shard)], rows, options)
        if (found.length < rows.length) throw otherShards({ shard: shards[Number(shard)].name, rows: rows.length, found: found.length })
        read.push(...found)
      }
      return read
    },
    async find(wanted) {
      const places: Place[] = []
      for (const [shard, { corpus, ordinal }] of shards.entries())
        for (const group of corpus.rowGroups.filter((own) => own.shard === ordinal))
          for (const [row, { id, url }] of (await corpus.readOrigins(group)).entries())
            if (id === wanted || url === wanted) places.push({ shard, row: group.firstRow + row })
      return places
    },
  }
}

function otherShards(where: Where): SluiceError {
  return new SluiceError('SLUICE_TRACE_INPUTS', 'the shards are not those that the run was trained on', {
    where,
    fix: 'give the folders of the run, in its order: --shards',
  })
}

async function readShard(
  { corpus, name, ordinal }: { readonly corpus: Corpus; readonly name: string; readonly ordinal: number },
  rows: readonly number[],
  { decode, characters, measure }: TraceOptions,
): Promise<TracedDocument[]> {
  const { endOfText } = corpus.vocabulary
  const textOf = (content: Uint16Array | Uint32Array, from: number, to: number) =>
    decode(content.subarray(from, to).filter((token) => token !== endOfText))
  const read: TracedDocument[] = []
  for (const group of corpus.rowGroups.filter(({ shard }) => shard === ordinal)) {
    const own = rows.filter((row) => row >= group.firstRow && row < group.firstRow + group.rows)
    if (own.length === 0) continue
    const { ids, tokens } = await corpus.readRows(group)
    const origins = await corpus.readOrigins(group)
    for (const row of own) {
      const at = row - group.firstRow
      const content = tokens[at]
      const cost = measure?.(content)
      read.push({
        ...{ shard: name, row, id: ids[at] },
        ...origins[at],
        tokens: content.length,
        text: textOf(content, 0, characters).slice(0, characters), // enough: hardly a token is less than a character
        ...(cost && { loss: cost.loss, worst: { loss: cost.worst.loss, text: textOf(content, cost.worst.from, cost.worst.to) } }),
      })
    }
  }
  return read
}
