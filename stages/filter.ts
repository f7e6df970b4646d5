// A user's own filter, in place: `.pipe(filter('has-vowels', (document) => /[aeiou]/i.test(document.text)))`.

import type { Item } from '../src/core/document.ts'
import { drop, filterStage, keep, type Stage } from '../src/core/stage.ts'

export interface FunctionOptions {
  /**
   * Raised whenever the function gives other answers. Without it the pipeline's module, where the function stands, enters the
   * plan hash, and any change to it redoes what follows.
   */
  readonly version?: number
}

/** Keeps the items that the predicate is true of. Reason: the name. */
export function filter<T extends Item>(name: string, predicate: (item: T) => boolean, options: FunctionOptions = {}): Stage<T> {
  return filterStage(name, {
    version: options.version,
    isUserCode: options.version === undefined,
    measure: (item: T) => ({ passes: truth(name, predicate(item)) }),
    decide: ({ passes }) => (passes === 1 ? keep : drop(name)),
  })
}

/** Types are not checked when a pipeline runs: a promise or a match would drop every document. */
function truth(name: string, answer: unknown): number {
  if (typeof answer === 'boolean') return Number(answer)
  throw new TypeError(`the filter "${name}" gave ${answer instanceof Promise ? 'a promise' : typeof answer}, not true or false`)
}
