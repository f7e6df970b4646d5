// Writes blocks as plain text or as Markdown (commonmark.org, tables as in GitHub's).

import type { Block } from './blocks.ts'

/** One block a line; items begin with a dash, cells are parted by bars, code is verbatim. */
export function renderText(blocks: readonly Block[]): string {
  return blocks.map(textOf).join('\n')
}

function textOf(block: Block): string {
  if (block.kind === 'item') return `- ${block.text}`
  return block.kind === 'row' ? block.text.replaceAll('\t', ' | ') : block.text
}

export function renderMarkdown(blocks: readonly Block[]): string {
  let out = ''
  let before: Block | undefined
  for (const block of blocks) {
    if (before !== undefined) out += isTight(before, block) ? '\n' : '\n\n'
    out += quoted(markdownOf(block), block.quote)
    before = block
  }
  return out
}

/** Items of one list and rows of one table follow without an empty line. */
function isTight(before: Block, block: Block): boolean {
  return before.kind === block.kind && (block.kind === 'item' || (block.kind === 'row' && !block.isTableStart))
}

function markdownOf(block: Block): string {
  if (block.kind === 'heading') return `${'#'.repeat(block.level)} ${block.markdown}`
  if (block.kind === 'item')
    return `${'    '.repeat(Math.max(0, Math.min(block.level, 8) - 1))}${block.ordinal > 0 ? `${block.ordinal}.` : '-'} ${block.markdown}`
  if (block.kind === 'code') return fenced(block.text)
  return block.kind === 'row' ? rowOf(block) : block.markdown
}

function rowOf(block: Block): string {
  const cells = block.markdown.split('\t').map((cell) => cell.replaceAll('|', '\\|'))
  const row = `| ${cells.join(' | ')} |`
  return block.isTableStart ? `${row}\n|${' --- |'.repeat(cells.length)}` : row
}

/** The fence is longer than any in the code. */
function fenced(code: string): string {
  const longest = (code.match(/`{3,}/g) ?? []).reduce((length, run) => Math.max(length, run.length), 2)
  const fence = '`'.repeat(longest + 1)
  return `${fence}\n${code}\n${fence}`
}

function quoted(text: string, depth: number): string {
  if (depth === 0) return text
  const mark = '> '.repeat(Math.min(depth, 8))
  return text
    .split('\n')
    .map((line) => mark + line)
    .join('\n')
}
