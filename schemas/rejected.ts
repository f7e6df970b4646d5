// Arrow schema of dropped documents: the document, who dropped it and why, and what had been measured on it by then.

import { Field, Schema, Utf8 } from 'apache-arrow'
import { documentSchema } from './document.ts'

/** `statistics` is a JSON object of `stage.statistic` → number; null stands for not measured. */
export function rejectedSchema(): Schema {
  return new Schema([
    ...documentSchema().fields,
    new Field('stage', new Utf8(), false),
    new Field('reason', new Utf8(), false),
    new Field('statistics', new Utf8(), true),
  ])
}
