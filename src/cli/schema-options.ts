// Options of a command from the zod schema that its library function takes: names, help and checks are written down once.

import { type Command, Option } from 'commander'
import { z } from 'zod'
import { SluiceError } from '../core/errors.ts'
import { describeOptions, kebabFlag } from './describe-options.ts'
import { numberIn } from './numbers.ts'

/** @param names of which options; all where left out */
export function optionsOf(schema: z.ZodType, names?: readonly string[]): Option[] {
  return describeOptions(schema)
    .filter(({ name }) => names === undefined || names.includes(name))
    .map(({ name, kind, description, standard, range }) => {
      const flag = kebabFlag(name)
      const value: unknown = standard === undefined ? undefined : JSON.parse(standard)
      if (kind === 'boolean') return new Option(flag, description).default(value)
      const option = new Option(`${flag} <${kind.includes('|') ? 'kind' : kind === 'string' ? 'text' : 'n'}>`, description).default(value)
      if (kind.includes('|')) return option.choices(kind.split('|'))
      return kind === 'string' ? option : option.argParser(numberIn(range))
    })
}

/** What the schema makes of a command's options. @throws SluiceError SLUICE_CLI_OPTIONS */
export function optionValues<S extends z.ZodType>(schema: S, command: Command): z.output<S> {
  const names = new Set(describeOptions(schema).map(({ name }) => name))
  const given = Object.fromEntries(Object.entries(command.opts()).filter(([name]) => names.has(name)))
  const parsed = schema.safeParse(given)
  if (parsed.success) return parsed.data
  throw new SluiceError('SLUICE_CLI_OPTIONS', `the options do not fit:\n${z.prettifyError(parsed.error)}`, {
    fix: `see sluice ${command.parent?.name()} ${command.name()} --help`,
  })
}
