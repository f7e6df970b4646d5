// Writes docs/stages.md from the stage files: what each says of itself at its top, and its options. `npm run docs`

import { readFileSync, writeFileSync } from 'node:fs'
import { describeOptions } from '../src/cli/describe-options.ts'
import * as stages from '../stages/index.ts'

const target = new URL('./stages.md', import.meta.url)

/** Which stages follow which definition: from the one value of their option `variant`. */
function variantTable(exported: Readonly<Record<string, unknown>>): string {
  const stagesOf = new Map<string, string[]>()
  for (const name of Object.keys(exported)
    .filter((key) => key.endsWith('Options'))
    .sort()) {
    const variant = describeOptions(exported[name]).find((option) => option.name === 'variant')?.standard
    const stage = `[\`${name.slice(0, -'Options'.length)}\`](#${name.slice(0, -'Options'.length).toLowerCase()})`
    if (variant !== undefined) stagesOf.set(JSON.parse(variant), [...(stagesOf.get(JSON.parse(variant)) ?? []), stage])
  }
  const rows = [...stagesOf].sort().map(([variant, names]) => `| \`${variant}\` | ${names.join(', ')} |`)
  return ['| definition | stages |', '|---|---|', ...rows].join('\n')
}

export function stageReference(): string {
  const index = readFileSync(new URL('../stages/index.ts', import.meta.url), 'utf8')
  const exported: Record<string, unknown> = { ...stages }
  const sections: string[] = []
  for (const [, names, file] of index.matchAll(/export \{([^}]*)\} from '\.\/([\w-]+)\.ts'/g)) {
    const source = readFileSync(new URL(`../stages/${file}.ts`, import.meta.url), 'utf8')
    const factories = names
      .split(',')
      .map((name) => name.trim())
      .filter((name) => typeof exported[name] === 'function')
    if (factories.length === 0) continue
    sections.push(
      [`## ${factories.join(', ')}`, headerOf(source), ...factories.map((name) => optionTable(exported[`${name}Options`]))]
        .filter((part) => part !== '')
        .join('\n\n'),
    )
  }
  return `# Stages\n\nMade by \`npm run docs\` from the files in \`stages/\`. Each is used as \`s.name({ options })\`, or tried alone: \`sluice stage name --options '{…}'\`.\n\nA paper's name does not define a filter: toolkits that cite the same paper split words, count and compare differently. So each definition has a name, which stands in the plan, the manifest and the audit; each reproduces its toolkit exactly, quirks included, which its section names. \`s.gopherQuality({ variant: 'gopher@datatrove-0.10' })\` asks for it by name and is refused the day it is another.\n\n${variantTable(exported)}\n\n${sections.join('\n\n')}\n`
}

/** The comment at the top of the file. */
function headerOf(source: string): string {
  const lines: string[] = []
  for (const line of source.split('\n')) {
    if (!line.startsWith('//')) break
    lines.push(line.replace(/^\/\/ ?/, ''))
  }
  return lines.join('\n')
}

function optionTable(schema: unknown): string {
  const rows = describeOptions(schema).map(
    ({ name, kind, description, standard }) =>
      `| \`${name}\` | ${cell(kind)} | ${standard === undefined ? '' : `\`${cell(standard)}\``} | ${cell(description)} |`,
  )
  return rows.length === 0 ? '' : ['| option | type | default | |', '|---|---|---|---|', ...rows].join('\n')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

if (process.argv[1] === import.meta.filename) writeFileSync(target, stageReference())
