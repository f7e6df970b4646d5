// The flags of commands that train, read off the schema of the options of a training run.

import { InvalidArgumentError, Option } from 'commander'
import { z } from 'zod'
import { trainOptions } from '../train/train-options.ts'
import { flagOf } from '../train/words.ts'

const property = z.looseObject({
  type: z.string().optional(),
  enum: z.array(z.string()).optional(),
  description: z.string().optional(),
  minimum: z.number().optional(),
  exclusiveMinimum: z.number().optional(),
  maximum: z.number().optional(),
})

/** One flag a setting. @param without settings that the command takes in another way */
export function settingFlags(without: readonly string[] = []): Option[] {
  const { properties } = z
    .looseObject({ properties: z.record(z.string(), property) })
    .parse(z.toJSONSchema(trainOptions, { io: 'input', unrepresentable: 'any' }))
  return Object.entries(properties)
    .filter(([name]) => name !== 'shards' && !without.includes(name))
    .map(([name, { type, enum: choices, description, minimum: from, exclusiveMinimum: above, maximum: to }]) => {
      const flag = name === 'learningRate' ? '--lr, --learning-rate' : flagOf(name)
      if (type === 'boolean') return new Option(`${flag} <yes|no>`, description).choices(['yes', 'no']).argParser(yesNo)
      if (choices) return new Option(`${flag} <kind>`, description).choices(choices)
      if (type === 'number' || type === 'integer')
        return new Option(`${flag} <n>`, description).argParser(amount({ isWhole: type === 'integer', from, above, to }))
      return new Option(`${flag} <${name === 'out' ? 'folder' : 'name'}>`, description).argParser(nonEmpty)
    })
}

function yesNo(text: string): boolean {
  if (text === 'yes' || text === 'no') return text === 'yes'
  throw new InvalidArgumentError('give yes or no')
}

function nonEmpty(text: string): string {
  if (text !== '') return text
  throw new InvalidArgumentError('it is empty')
}

export interface AmountRange {
  readonly isWhole?: boolean
  readonly from?: number
  /** In place of from: itself left out. */
  readonly above?: number
  readonly to?: number
}

/** 3000, 3k, 2.5M, 1B, 1e-3, within a range. */
export function amount(range: AmountRange): (text: string) => number {
  const { isWhole = false, from = Number.NEGATIVE_INFINITY, above = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY } = range
  return (text) => {
    const match = /^(-?[\d.]+(?:e[+-]?\d+)?)\s*([kmb]?)$/i.exec(text.trim())
    const exact = match ? Number(match[1]) * 1000 ** ['', 'k', 'm', 'b'].indexOf(match[2].toLowerCase()) : Number.NaN
    const value = Number.isInteger(exact) ? exact : Number(exact.toPrecision(15))
    if (Number.isFinite(value) && value >= from && value > above && value <= to && (!isWhole || Number.isInteger(value))) return value
    throw new InvalidArgumentError(`give ${describeRange(range)}`)
  }
}

/** `a whole number from 1, such as 3000, 3k or 2.5M`. */
function describeRange({ isWhole, from, above, to }: AmountRange): string {
  const last = to !== undefined && to < Number.MAX_SAFE_INTEGER ? to : undefined
  const lower = above === undefined ? (from === undefined ? '' : ` from ${from}`) : ` above ${above}`
  const upper = last === undefined ? '' : above === undefined ? ` to ${last}` : `, up to ${last}`
  const example = last === undefined || last >= 1e6 ? ', such as 3000, 3k or 2.5M' : ''
  return `a ${isWhole ? 'whole ' : ''}number${lower}${upper}${isWhole || (from ?? 0) >= 1000 ? example : ''}`
}
