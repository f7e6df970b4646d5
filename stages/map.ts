// A user's own change, in place: `.pipe(map('trim', (document) => ({ ...document, text: document.text.trim() })))`.

import type { Item } from '../src/core/document.ts'
import { drop, mapStage, type Stage } from '../src/core/stage.ts'
import type { FunctionOptions } from './filter.ts'

/** Puts what the function gives in place of each item; undefined drops it, with the name as the reason. The item itself must stay as it is. */
export function map<In extends Item, Out extends Item>(
  name: string,
  change: (item: In) => Out | undefined,
  options: FunctionOptions = {},
): Stage<In, Out> {
  return mapStage(name, {
    version: options.version,
    isUserCode: options.version === undefined,
    prepare: () => (item) => change(item) ?? drop(name),
  })
}
