// Arrow schema of documents at rest: the final document shards, and (with the columns of `rejected`) what was dropped.

import { Field, Float32, Float64, Int64, Schema, Utf8 } from 'apache-arrow'

/** Type of an annotation that gets a column of its own. */
export type AnnotationType = 'number' | 'string'

/**
 * One row a document. `offset` and `length` say where its record lies in `source`: bytes, or a row ordinal and 0 where the
 * input has rows. `metadata` and `annotations` are JSON objects; the annotations named here are columns instead.
 */
export function documentSchema(annotations: Readonly<Record<string, AnnotationType>> = {}): Schema {
  return new Schema([
    new Field('id', new Utf8(), false),
    new Field('text', new Utf8(), false),
    new Field('url', new Utf8(), true),
    new Field('date', new Utf8(), true),
    new Field('subset', new Utf8(), true),
    new Field('source', new Utf8(), false),
    new Field('offset', new Int64(), false),
    new Field('length', new Int64(), false),
    new Field('language', new Utf8(), true),
    new Field('languageScore', new Float32(), true),
    new Field('metadata', new Utf8(), false),
    new Field('annotations', new Utf8(), true),
    ...Object.entries(annotations).map(([name, type]) => new Field(name, type === 'number' ? new Float64() : new Utf8(), true)),
  ])
}
