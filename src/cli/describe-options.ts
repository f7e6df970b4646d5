// Options of a stage as text, from its zod schema: for `--help` and for the stage reference in docs/stages.md.

import { z } from 'zod'

export interface OptionText {
  readonly name: string
  readonly kind: string
  readonly description: string
  /** JSON; absent where the option has no default. */
  readonly standard?: string
}

const property = z.looseObject({ type: z.union([z.string(), z.array(z.string())]).optional(), description: z.string().optional() })
const schemaShape = z.looseObject({ properties: z.record(z.string(), property).optional() })

/** The options in order, those within an option behind it (`where.host`); none where it is no object schema. */
export function describeOptions(schema: unknown): OptionText[] {
  return schema instanceof z.ZodType ? optionsOf(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }), '') : []
}

function optionsOf(schema: unknown, prefix: string): OptionText[] {
  return Object.entries(schemaShape.parse(schema).properties ?? {}).flatMap(([name, { description = '', default: standard, ...rest }]) => [
    { name: prefix + name, kind: kindOf(rest), description, standard: standard === undefined ? undefined : JSON.stringify(standard) },
    ...optionsOf(rest, `${prefix}${name}.`),
  ])
}

function kindOf({ type, enum: choices, anyOf }: Record<string, unknown>): string {
  if (Array.isArray(choices)) return choices.join('|')
  if (typeof type === 'string') return type
  const parts = z.array(z.looseObject({ type: z.string().optional(), enum: z.array(z.string()).optional() })).safeParse(anyOf)
  return parts.success ? [...new Set(parts.data.map((part) => kindOf(part)))].join('|') : 'value'
}
