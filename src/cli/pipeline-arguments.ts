// A pipeline's own arguments on the command line: the words that commander did not know, read by the JSON schema of the
// pipeline's zod schema. What comes out is checked by zod itself, so a wrong value may pass here.

import type { Command } from 'commander'
import { z } from 'zod'
import type { Json } from '../core/document.ts'
import { SluiceError } from '../core/errors.ts'
import { importPipeline, type PipelineExport } from '../engine/pipeline-file.ts'
import { describeOptions, kebabFlag } from './describe-options.ts'

const shape = z.looseObject({
  type: z.union([z.string(), z.array(z.string())]).optional(),
  enum: z.array(z.json()).optional(),
  const: z.json().optional(),
  get anyOf() {
    return z.array(shape).optional()
  },
  get items() {
    return shape.optional()
  },
})
type Shape = z.infer<typeof shape>
const objectShape = z.looseObject({ properties: z.record(z.string(), shape).optional() })

/**
 * Parses `--crawl CC-MAIN-2026-43 --dry --no-cache --languages en,de`.
 *
 * @param command `run` or `plan`, with all words behind the file among its arguments
 * @throws SluiceError `SLUICE_ARGUMENTS` for a name that the pipeline does not have, and for a value that is not there
 */
export async function pipelineArguments(file: string, command: Command): Promise<Record<string, Json>> {
  const shapes = argumentShapes(await importPipeline(file))
  refuseCollisions(Object.keys(shapes), command)
  const words = command.args.slice(1)
  const values: Record<string, Json> = {}
  for (let i = 0; i < words.length; i++) {
    const known = readWord(words, i, shapes)
    if (!known) throw unknownWord(words[i], Object.keys(shapes), command)
    values[known.name] = known.value
    i += known.wordsTaken - 1
  }
  return values
}

/**
 * Of two pipelines: `--name value` for each that has the argument, `--a-name` and `--b-name` for one of them.
 *
 * @param command with all words behind the two files among its arguments
 * @throws SluiceError as `pipelineArguments`
 */
export async function pairedArguments(
  fileA: string,
  fileB: string,
  command: Command,
): Promise<[Record<string, Json>, Record<string, Json>]> {
  const sides: { readonly prefix: string; readonly shapes: Record<string, Shape>; readonly values: Record<string, Json> }[] = []
  for (const [prefix, file] of [
    ['--a-', fileA],
    ['--b-', fileB],
  ]) {
    const shapes = argumentShapes(await importPipeline(file))
    refuseCollisions(Object.keys(shapes), command)
    sides.push({ prefix, shapes, values: {} })
  }
  const words = command.args.slice(2)
  for (let i = 0; i < words.length; ) {
    let wordsTaken = 0
    for (const { prefix, shapes, values } of sides) {
      const own = words[i].startsWith(prefix) ? words.with(i, `--${words[i].slice(prefix.length)}`) : words
      const known = readWord(words, i, shapes) ?? readWord(own, i, shapes)
      if (!known) continue
      values[known.name] = known.value
      wordsTaken = known.wordsTaken
    }
    if (wordsTaken === 0) throw unknownWord(words[i], [...new Set(sides.flatMap(({ shapes }) => Object.keys(shapes)))], command)
    i += wordsTaken
  }
  return [sides[0].values, sides[1].values]
}

/** The argument that the word at `at` names, with its value; undefined where it names none. */
function readWord(
  words: readonly string[],
  at: number,
  shapes: Record<string, Shape>,
): { name: string; value: Json; wordsTaken: 1 | 2 } | undefined {
  const [flag, inline] = splitWord(words[at])
  const name = Object.keys(shapes).find((known) => flag === kebabFlag(known) || flag === `--${known}`)
  const negated = Object.keys(shapes).find((known) => isFlag(shapes[known]) && flag === kebabFlag(known).replace('--', '--no-'))
  if (name !== undefined && isFlag(shapes[name])) return { name, value: read(inline ?? 'true', shapes[name]), wordsTaken: 1 }
  if (name !== undefined && inline !== undefined) return { name, value: read(inline, shapes[name]), wordsTaken: 1 }
  if (name !== undefined) return { name, value: read(wordAfter(words, at), shapes[name]), wordsTaken: 2 }
  return negated !== undefined && inline === undefined ? { name: negated, value: false, wordsTaken: 1 } : undefined
}

/** Lines for `--help`: one an argument, with its kind, description and default. */
export function describeArguments(exported: PipelineExport): string {
  if (!('parameters' in exported)) return '\nThis pipeline takes no arguments of its own.'
  const lines = describeOptions(exported.parameters).map(({ name, kind, description, standard }) => {
    const flag = `  ${kebabFlag(name)}${kind === 'boolean' ? '' : ` <${kind}>`}`
    return `${flag.padEnd(30)} ${description}${standard === undefined ? '' : ` (default: ${standard})`}`.trimEnd()
  })
  return `\nArguments of this pipeline:\n${lines.join('\n')}`
}

function argumentShapes(exported: PipelineExport): Record<string, Shape> {
  if (!('parameters' in exported)) return {}
  return objectShape.parse(z.toJSONSchema(exported.parameters, { io: 'input', unrepresentable: 'any' })).properties ?? {}
}

/** An option of the command's own takes the word first: the pipeline would never hear of it. */
function refuseCollisions(names: readonly string[], command: Command): void {
  const taken = names.find((name) => command.options.some(({ long }) => long === kebabFlag(name)))
  if (taken === undefined) return
  throw new SluiceError('SLUICE_ARGUMENTS', `the pipeline's argument "${taken}" is also an option of sluice ${command.name()}`, {
    fix: 'give the argument another name in the pipeline file',
  })
}

function splitWord(word: string): [flag: string, value: string | undefined] {
  const at = word.indexOf('=')
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)]
}

function wordAfter(words: readonly string[], at: number): string {
  const value = words[at + 1]
  if (value !== undefined && !value.startsWith('--')) return value
  throw new SluiceError('SLUICE_ARGUMENTS', `${words[at]} needs a value`, { fix: `write ${words[at]} VALUE, or ${words[at]}=VALUE` })
}

function unknownWord(word: string, names: readonly string[], command: Command): SluiceError {
  const known = names.map(kebabFlag).join(', ')
  const name = `sluice ${command.name()}`
  return new SluiceError('SLUICE_ARGUMENTS', `neither ${name} nor the pipeline knows ${word}`, {
    fix:
      known === ''
        ? `${name} --help lists the options; the pipeline takes no arguments`
        : `the pipeline takes ${known}; ${name} --help lists the others`,
  })
}

// ---- values ----

function typesOf({ type = [], enum: choices = [], const: only, anyOf = [] }: Shape): string[] {
  const values = only === undefined ? choices : [...choices, only]
  return [type, values.map((value) => (value === null ? 'null' : typeof value)), anyOf.flatMap(typesOf)].flat()
}

function isFlag(shape: Shape): boolean {
  const types = typesOf(shape)
  return types.includes('boolean') && types.every((type) => type === 'boolean' || type === 'null')
}

/** The text as the first of the schema's types that it fits; else as it stands. */
function read(text: string, shape: Shape): Json {
  const types = typesOf(shape)
  if ((types.includes('number') || types.includes('integer')) && text.trim() !== '' && Number.isFinite(Number(text))) return Number(text)
  if (types.includes('boolean') && (text === 'true' || text === 'false')) return text === 'true'
  if (types.includes('null') && text === 'null') return null
  if (types.includes('array')) {
    const { items = {} } = [shape, ...(shape.anyOf ?? [])].find(({ items }) => items !== undefined) ?? {}
    return text === '' ? [] : text.split(',').map((part) => read(part, items))
  }
  return text
}
