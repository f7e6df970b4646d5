// The flags of commands that train, read off the schema of the options of a training run.

import { InvalidArgumentError, Option } from 'commander'
import { z } from 'zod'
import { trainOptions } from '../train/train-options.ts'

const property = z.looseObject({
  type: z.string().optional(),
  enum: z.array(z.string()).optional(),
  description: z.string().optional(),
})

/** One flag a setting. @param without settings that the command takes in another way */
export function settingFlags(without: readonly string[] = []): Option[] {
  const { properties } = z
    .looseObject({ properties: z.record(z.string(), property) })
    .parse(z.toJSONSchema(trainOptions, { io: 'input', unrepresentable: 'any' }))
  return Object.entries(properties)
    .filter(([name]) => name !== 'shards' && !without.includes(name))
    .map(([name, { type, enum: choices, description }]) => {
      if (type === 'boolean') return new Option(`--${kebab(name)} <yes|no>`, description).choices(['yes', 'no']).argParser(yesNo)
      const isNumber = type === 'number' || type === 'integer'
      const flag = `--${kebab(name)}`
      const option = new Option(
        `${name === 'learningRate' ? `--lr, ${flag}` : flag} <${isNumber ? 'n' : choices ? 'kind' : name === 'out' ? 'folder' : 'name'}>`,
        description,
      )
      if (choices) return option.choices(choices)
      return isNumber ? option.argParser(count) : option
    })
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

function yesNo(text: string): boolean {
  if (text === 'yes' || text === 'no') return text === 'yes'
  throw new InvalidArgumentError('give yes or no')
}

/** 3000, 3k, 2.5M, 1B, 1e-3. */
export function count(text: string): number {
  const match = /^([\d.]+(?:e[+-]?\d+)?)\s*([kmb]?)$/i.exec(text)
  const value = match ? Number(match[1]) * 1000 ** ['', 'k', 'm', 'b'].indexOf(match[2].toLowerCase()) : Number.NaN
  if (!Number.isFinite(value)) throw new InvalidArgumentError('give a number, such as 3000, 3k or 2.5M')
  return Number.isInteger(value) ? value : Number(value.toPrecision(15))
}
