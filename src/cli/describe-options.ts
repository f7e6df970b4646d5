// Options as text, from their zod schema: for `--help`, for flags of commands and for the stage reference in docs/stages.md.

import { z } from 'zod'
import type { NumberRange } from './numbers.ts'

export interface OptionText {
  readonly name: string
  readonly kind: string
  readonly description: string
  /** JSON; absent where the option has no default. */
  readonly standard?: string
  /** Of a number. */
  readonly range: NumberRange
}

const property = z.looseObject({
  type: z.union([z.string(), z.array(z.string())]).optional(),
  description: z.string().optional(),
  minimum: z.number().optional(),
  exclusiveMinimum: z.number().optional(),
  maximum: z.number().optional(),
  exclusiveMaximum: z.number().optional(),
})
const schemaShape = z.looseObject({ properties: z.record(z.string(), property).optional() })

/** The options in order, those within an option behind it (`where.host`); none where it is no object schema. */
export function describeOptions(schema: unknown): OptionText[] {
  return schema instanceof z.ZodType ? optionsOf(jsonSchema(schema), '') : []
}

/** Where the numbers lie that a schema takes. */
export function rangeOf(schema: z.ZodType): NumberRange {
  return range(property.parse(jsonSchema(schema)))
}

/** `topURLCount` → `--top-url-count`. */
export function kebabFlag(name: string): string {
  const words = name.replace(/([a-z0-9])([A-Z])/g, '$1-$2').replace(/([A-Z])([A-Z][a-z])/g, '$1-$2')
  return `--${words.toLowerCase()}`
}

function jsonSchema(schema: z.ZodType) {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
}

function optionsOf(schema: unknown, prefix: string): OptionText[] {
  return Object.entries(schemaShape.parse(schema).properties ?? {}).flatMap(([name, { description = '', default: standard, ...rest }]) => [
    {
      name: prefix + name,
      kind: kindOf(rest),
      description,
      standard: standard === undefined ? undefined : JSON.stringify(standard),
      range: range(rest),
    },
    ...optionsOf(rest, `${prefix}${name}.`),
  ])
}

function kindOf({ type, enum: choices, anyOf }: Record<string, unknown>): string {
  if (Array.isArray(choices)) return choices.join('|')
  if (typeof type === 'string') return type
  const parts = z.array(z.looseObject({ type: z.string().optional(), enum: z.array(z.string()).optional() })).safeParse(anyOf)
  return parts.success ? [...new Set(parts.data.map((part) => kindOf(part)))].join('|') : 'value'
}

function range({
  type,
  minimum: from,
  exclusiveMinimum: above,
  maximum: to,
  exclusiveMaximum: below,
}: z.output<typeof property>): NumberRange {
  return { isWhole: type === 'integer', from, above, to, below }
}
