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

/** The options in order; none where it is no object schema. */
export function describeOptions(schema: unknown): OptionText[] {
  if (!(schema instanceof z.ZodType)) return []
  const { properties = {} } = schemaShape.parse(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }))
  return Object.entries(properties).map(([name, { description = '', default: standard, ...rest }]) => ({
    name,
    kind: kindOf(rest),
    description,
    standard: standard === undefined ? undefined : JSON.stringify(standard),
  }))
}

function kindOf({ type, enum: choices, anyOf }: Record<string, unknown>): string {
  if (Array.isArray(choices)) return choices.join('|')
  if (typeof type === 'string') return type
  const parts = z.array(z.looseObject({ type: z.string().optional(), enum: z.array(z.string()).optional() })).safeParse(anyOf)
  return parts.success ? [...new Set(parts.data.map((part) => kindOf(part)))].join('|') : 'value'
}
