// The funnel on a terminal: a line a stage, its main reasons below it. 78 columns, 92 where there is room.

import { formatCount, formatRate, formatShare } from '../core/format.ts'
import type { Funnel, FunnelRow } from './funnel.ts'

export interface TableStyle {
  /** Characters of a line, at most. */
  readonly columns: number
  readonly strong: (text: string) => string
  readonly soft: (text: string) => string
}

const NAME_WIDTH = 24
const MAIN_REASONS = 3
const MOST_SUBSETS = 40
const MOST_SUBSET_WIDTH = 44
const WIDTHS = [12, 12, 12, 9, 9, 13] as const
/** A reason has the empty cells behind it too. */
const REASON_WIDTH = NAME_WIDTH + WIDTHS[0] + WIDTHS[1]

export function funnelTable(funnel: Funnel, style: TableStyle): string {
  const { stages, documents, kept, records, ignored, damaged, quarantined } = funnel
  const widths = style.columns >= NAME_WIDTH + sum(WIDTHS) ? WIDTHS : WIDTHS.slice(0, -1)
  const line = (name: string, cells: readonly string[]) =>
    (fit(name, NAME_WIDTH) + widths.map((width, index) => (cells[index] ?? '').padStart(width)).join('')).trimEnd()
  const lines = [
    style.strong(`${funnel.pipeline}: ${formatCount(kept)} of ${formatCount(documents)} documents kept (${formatShare(kept, documents)})`),
    '',
    style.soft(line('stage', ['in', 'kept', 'dropped', 'of in', 'of all', 'documents/s'])),
  ]
  for (const row of stages) {
    const { dropped, seconds } = row
    lines.push(
      line(row.stage, [
        formatCount(row.in),
        formatCount(row.kept),
        formatCount(dropped),
        formatShare(dropped, row.in),
        formatShare(dropped, documents),
        formatRate(row.in, seconds),
      ]),
      ...reasonsOf(row).map(([reason, count]) => style.soft(fit(`  ${reason}`, REASON_WIDTH) + count.padStart(WIDTHS[2]))),
    )
  }
  lines.push('', `records ${formatCount(records)}, of which ${formatCount(documents)} became documents`)
  for (const { reason, documents: count } of ignored) lines.push(style.soft(`  ${formatCount(count)} ignored: ${reason}`))
  if (damaged + quarantined > 0)
    lines.push(`set aside: ${formatCount(damaged)} damaged records, ${formatCount(quarantined)} quarantined documents`)
  lines.push(...subsetLines(funnel, style))
  for (const { path, shards, documents: count, tokens } of funnel.outputs)
    lines.push(
      `${path}: ${formatCount(shards)} shards, ${formatCount(count)} documents${tokens > 0 ? `, ${formatCount(tokens)} tokens` : ''}`,
    )
  return `${lines.join('\n')}\n`
}

/** What each part of the corpus brought and kept. */
function subsetLines({ subsets, kept }: Funnel, { strong, soft }: TableStyle): string[] {
  if (subsets.length === 0) return []
  const width = Math.min(MOST_SUBSET_WIDTH, Math.max('subset'.length, ...subsets.map(({ name }) => name.length)) + 2)
  const line = (name: string, cells: readonly string[]) => fit(name, width) + cells.map((cell) => cell.padStart(WIDTHS[0])).join('')
  const shown = subsets.slice(0, MOST_SUBSETS)
  return [
    '',
    strong(line('subset', ['documents', 'kept', 'of kept', 'tokens'])),
    ...shown.map((subset) =>
      line(subset.name, [
        formatCount(subset.documents),
        formatCount(subset.kept),
        formatShare(subset.kept, kept),
        subset.tokens > 0 ? formatCount(subset.tokens) : '–',
      ]),
    ),
    ...(subsets.length > shown.length ? [soft(`  and ${formatCount(subsets.length - shown.length)} more`)] : []),
    '',
  ]
}

/** The main reasons; the others, and what was quarantined, as one line each. */
function reasonsOf({ reasons, quarantined }: FunnelRow): (readonly [reason: string, count: string])[] {
  const shown = reasons.length === MAIN_REASONS + 1 ? reasons.length : MAIN_REASONS
  const others = reasons.slice(shown)
  return [
    ...reasons.slice(0, shown).map(({ reason, documents }) => [reason, formatCount(documents)] as const),
    ...(others.length > 0 ? [[`${others.length} other reasons`, formatCount(sum(others.map(({ documents }) => documents)))] as const] : []),
    ...(quarantined > 0 ? [['quarantined', formatCount(quarantined)] as const] : []),
  ]
}

function fit(name: string, width: number): string {
  return name.length < width ? name.padEnd(width) : `${name.slice(0, width - 2)}… `
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
