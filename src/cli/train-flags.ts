// The flags of commands that train, read off the schema of the options of a training run.

import { InvalidArgumentError, Option } from 'commander'
import { flagOf } from '../train/settings.ts'
import { trainOptions } from '../train/train-options.ts'
import { describeOptions } from './describe-options.ts'
import { numberIn, size } from './numbers.ts'

/** One flag a setting. @param without settings that the command takes in another way */
export function settingFlags(without: readonly string[] = []): Option[] {
  return describeOptions(trainOptions)
    .filter(({ name }) => name !== 'shards' && !without.includes(name))
    .map(({ name, kind, description, range }) => {
      const flag = name === 'learningRate' ? '--lr, --learning-rate' : flagOf(name)
      if (name === 'memory') return new Option(`${flag} <bytes>`, description).argParser(size(0))
      if (kind === 'boolean') return new Option(`${flag} <yes|no>`, description).choices(['yes', 'no']).argParser(yesNo)
      if (kind.includes('|')) return new Option(`${flag} <kind>`, description).choices(kind.split('|'))
      if (kind === 'string') return new Option(`${flag} <${name === 'out' ? 'folder' : 'name'}>`, description).argParser(nonEmpty)
      return new Option(`${flag} <n>`, description).argParser(numberIn(range))
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
