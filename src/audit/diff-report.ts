// What a comparison of two pipelines says: as data, and as text for a terminal. Texts and addresses are redacted unless asked
// otherwise.

import { formatCount, formatNumber, formatShare } from '../core/format.ts'
import { redactText } from '../pii/redact.ts'
import {
  CELLS,
  type Cell,
  type Compared,
  type ComparedPipeline,
  type DocumentSample,
  examplesOf,
  type Fate,
  lineDifference,
  ownStatistics,
  sameRuleIn,
  textOf,
  transitionsOf,
} from './diff.ts'
import type { TableStyle } from './terminal-table.ts'

export interface DiffChoice {
  /** Documents shown of each cell. */
  readonly examples: number
  readonly text: 'redacted' | 'raw' | 'off'
  /** Characters shown of a text. */
  readonly characters: number
  /** Makes what strangers wrote fit for where it is shown. */
  readonly readable: (text: string) => string
}

export type DiffReport = ReturnType<typeof diffReport>
type Example = ReturnType<typeof exampleOf>
type Side = ReturnType<typeof sideOf>

const CHANGED_LINES = 3
/** Cells in which something is to be seen. */
const SHOWN_CELLS: readonly Cell[] = ['onlyA', 'onlyB', 'reason', 'text', 'failed']

export function diffReport(
  pipelines: readonly [ComparedPipeline, ComparedPipeline],
  sample: DocumentSample,
  compared: readonly Compared[],
  choice: DiffChoice,
) {
  const [a, b] = pipelines
  const cells = Object.fromEntries(CELLS.map((cell) => [cell, compared.filter((both) => both.cell === cell).length]))
  const { items, ...read } = sample
  return {
    a: pipelineOf(
      a,
      compared.map((both) => both.a),
    ),
    b: pipelineOf(
      b,
      compared.map((both) => both.b),
    ),
    sample: { documents: items.length, ...read },
    differing: compared.length - cells.same - cells.dropped,
    cells,
    transitions: transitionsOf(compared),
    examples: Object.fromEntries(
      SHOWN_CELLS.map((cell) => [cell, examplesOf(compared, cell, choice.examples).map((both) => exampleOf(both, pipelines, choice))]),
    ),
  }
}

function pipelineOf({ plan, stages, notRun }: ComparedPipeline, fates: readonly Fate[]) {
  const reasons = new Map<string, { stage: string; reason: string; documents: number }>()
  for (const { verdict, stage, reason } of fates) {
    if (verdict !== 'dropped') continue
    const known = reasons.get(`${stage}\n${reason}`) ?? { stage, reason, documents: 0 }
    known.documents++
    reasons.set(`${stage}\n${reason}`, known)
  }
  const count = (verdict: Fate['verdict']) => fates.filter((fate) => fate.verdict === verdict).length
  return {
    file: plan.file,
    pipeline: plan.pipeline.name,
    arguments: plan.arguments,
    stages: stages.map(({ name }) => name),
    notRun,
    kept: count('kept'),
    dropped: count('dropped'),
    failed: count('failed'),
    reasons: [...reasons.values()].sort((x, y) => y.documents - x.documents),
  }
}

function exampleOf({ cell, a, b }: Compared, [ofA, ofB]: readonly [ComparedPipeline, ComparedPipeline], choice: DiffChoice) {
  const { id, url, source, offset } = a.item
  const show = (text: string) => choice.readable(choice.text === 'raw' ? text : redactText(text))
  const cut = (text: string) => {
    const characters = [...text]
    return characters.length > choice.characters ? `${characters.slice(0, choice.characters).join('')}…` : text
  }
  const seen = a.verdict === 'kept' ? a : b
  const lines = cell === 'text' ? lineDifference(textOf(a.item), textOf(b.item)) : { onlyA: [], onlyB: [] }
  const changed = (side: string[]) => ({ lines: side.length, first: side.slice(0, CHANGED_LINES).map((line) => cut(show(line))) })
  return {
    id,
    url: url === undefined ? undefined : show(url),
    source: choice.readable(source),
    offset,
    a: sideOf(a, b, ofB, choice),
    b: sideOf(b, a, ofA, choice),
    text: choice.text === 'off' || cell === 'text' ? undefined : cut(show(textOf(seen.item))),
    changes: choice.text === 'off' || cell !== 'text' ? undefined : { onlyA: changed(lines.onlyA), onlyB: changed(lines.onlyB) },
  }
}

/** @param other what became of it in the other pipeline, whose own limit stands beside the one that decided */
function sideOf(fate: Fate, other: Fate, otherPipeline: ComparedPipeline, { readable }: DiffChoice) {
  const { verdict, stage, reason, decided, statistics } = fate
  if (verdict === 'kept') return { verdict }
  return {
    verdict,
    stage,
    reason: readable(reason),
    decided,
    inOther: sameRuleIn(otherPipeline, fate, other),
    statistics: Object.fromEntries(ownStatistics(stage, statistics)),
  }
}

// ---- on a terminal ----

const TITLES: Record<Cell, string> = {
  same: 'kept by both, same text',
  text: 'kept by both, other text',
  onlyA: 'kept by A only',
  onlyB: 'kept by B only',
  dropped: 'dropped by both, same reason',
  reason: 'dropped by both, other reason',
  failed: 'a stage failed',
}
const MAIN_REASONS = 8
const MAIN_TRANSITIONS = 12
const TITLE_WIDTH = 34

export function diffText(report: DiffReport, style: TableStyle): string {
  const { sample, cells } = report
  const count = (value: number) => `${formatCount(value).padStart(8)}  ${formatShare(value, sample.documents)}`
  const lines: string[] = [
    ...([report.a, report.b] as const).flatMap((side, index) => pipelineLines('AB'[index], side, style)),
    `${formatCount(sample.documents)} documents, by the hash of their ids, of ${formatCount(sample.read)} read in ${formatCount(sample.partitionsRead)} of ${formatCount(sample.partitions)} partitions` +
      (sample.damaged > 0 ? `; ${formatCount(sample.damaged)} damaged records left out` : ''),
    '',
    ...CELLS.filter((cell) => cells[cell] > 0 || cell === 'same').map((cell) => TITLES[cell].padEnd(TITLE_WIDTH) + count(cells[cell])),
    '',
    ...transitionLines(report, style),
  ]
  for (const cell of SHOWN_CELLS) {
    if (report.examples[cell].length === 0) continue
    lines.push(style.strong(`${TITLES[cell]}: ${report.examples[cell].length} of ${formatCount(cells[cell])}`))
    for (const example of report.examples[cell]) lines.push(...exampleLines(example, style), '')
  }
  return `${lines.join('\n').trimEnd()}\n`
}

function pipelineLines(letter: string, side: DiffReport['a'], { strong, soft }: TableStyle): string[] {
  const { kept, dropped, failed, reasons, notRun } = side
  const total = kept + dropped + failed
  const others = reasons.slice(MAIN_REASONS)
  const reason = (name: string, documents: number) => soft(`  ${formatCount(documents).padStart(8)}  ${name}`)
  return [
    strong(`${letter}  ${side.file} (${side.pipeline}): ${formatCount(kept)} of ${formatCount(total)} kept (${formatShare(kept, total)})`),
    soft(`   ${side.stages.join(' → ') || 'no stage'}`),
    ...(notRun.length > 0 ? [soft(`   not run, from the first barrier on: ${notRun.join(' → ')}`)] : []),
    ...reasons.slice(0, MAIN_REASONS).map(({ stage, reason: name, documents }) => reason(`${stage}: ${name}`, documents)),
    ...(others.length > 0
      ? [
          reason(
            `${others.length} other reasons`,
            others.reduce((sum, { documents }) => sum + documents, 0),
          ),
        ]
      : []),
    ...(failed > 0 ? [reason('failed', failed)] : []),
    '',
  ]
}

function transitionLines({ transitions }: DiffReport, { strong, soft }: TableStyle): string[] {
  const differing = transitions.filter(({ a, b }) => a !== b)
  if (differing.length === 0) return []
  const width = Math.min(46, Math.max(1, ...differing.map(({ a }) => a.length))) + 2
  const line = (a: string, b: string, documents: string) => `${documents.padStart(10)}  ${a.padEnd(width)}${b}`
  return [
    strong(line('A', 'B', 'documents')),
    ...differing.slice(0, MAIN_TRANSITIONS).map(({ a, b, documents }) => line(a, b, formatCount(documents))),
    ...(differing.length > MAIN_TRANSITIONS
      ? [soft(`            and ${formatCount(differing.length - MAIN_TRANSITIONS)} more pairs`)]
      : []),
    '',
  ]
}

function exampleLines({ id, url, source, offset, a, b, text, changes }: Example, { soft }: TableStyle): string[] {
  return [
    `${id}  ${url ?? ''}`.trimEnd(),
    soft(`  ${source} at ${offset}`),
    ...(changes ? [] : [`  A ${sideText(a, 'B')}`, `  B ${sideText(b, 'A')}`]),
    ...(changes ? changeLines('-', changes.onlyA) : []),
    ...(changes ? changeLines('+', changes.onlyB) : []),
    ...(changes && changes.onlyA.lines + changes.onlyB.lines === 0 ? ['  they differ in blank lines, or in the order of lines'] : []),
    ...(text
      ? [
          text
            .trim()
            .replaceAll(/\n\s*\n/g, '\n')
            .replaceAll(/^/gm, '  | '),
        ]
      : []),
  ]
}

function changeLines(mark: string, { lines, first }: { readonly lines: number; readonly first: readonly string[] }): string[] {
  const others = lines - first.length
  return [...first.map((line) => `  ${mark} ${line}`), ...(others > 0 ? [`  ${mark} and ${formatCount(others)} more lines`] : [])]
}

function sideText(side: Side, other: string): string {
  if (side.stage === undefined) return side.verdict
  const { verdict, stage, reason, decided, inOther, statistics } = side
  const measured = Object.entries(statistics).filter(([, value]) => !Number.isNaN(value))
  const numbers = decided
    ? `${decided.statistic} ${formatNumber(decided.value)}, ${decided.option} ${formatNumber(decided.limit)}`
    : measured.map(([name, value]) => `${name} ${formatNumber(value)}`).join(', ')
  const there = inOther ? `; in ${other} ${formatNumber(inOther.value)}, ${inOther.option} ${formatNumber(inOther.limit)}` : ''
  return `${verdict} by ${stage}: ${reason}${numbers === '' ? '' : ` (${numbers}${there})`}`
}
