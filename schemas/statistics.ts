// Arrow schema of receipts: one row a document, kept ones too, with every number that the stages of a phase measured.

import { Bool, Field, Float32, Int64, Schema, Utf8 } from 'apache-arrow'

/**
 * @param statistics names `stage.statistic`, one f32 column each; null stands for not measured
 *
 * `outcome` is `kept`, `dropped` or `quarantined`; `stage` and `reason` are null where it is `kept`. `shadow`: the document was dropped, but the remaining rules ran
 * on it all the same, so that every later column is filled.
 */
export function statisticsSchema(statistics: readonly string[]): Schema {
  return new Schema([
    new Field('id', new Utf8(), false),
    new Field('source', new Utf8(), false),
    new Field('offset', new Int64(), false),
    new Field('url', new Utf8(), true),
    new Field('outcome', new Utf8(), false),
    new Field('stage', new Utf8(), true),
    new Field('reason', new Utf8(), true),
    new Field('shadow', new Bool(), false),
    ...statistics.map((name) => new Field(name, new Float32(), true)),
  ])
}
