// Documents as the columns of `schemas/document.ts`, in its order: for shards and for rejected documents.

import type { Data } from 'apache-arrow'
import type { Document, Item } from '../core/document.ts'
import { float32Column, int64Column, utf8Column } from './columns.ts'

type Annotations = NonNullable<Document['annotations']>

/** @param annotationText what goes into the JSON column `annotations`; undefined for null */
export function documentColumns(
  items: readonly (Item & Partial<Document>)[],
  annotationText: (all: Annotations) => string | undefined,
): Data[] {
  return [
    utf8Column(items.map(({ id }) => id)),
    utf8Column(items.map(({ text }) => text ?? '')),
    utf8Column(items.map(({ url }) => url)),
    utf8Column(items.map(({ date }) => date)),
    utf8Column(items.map(({ subset }) => subset)),
    utf8Column(items.map(({ source }) => source)),
    int64Column(items.map(({ offset }) => offset)),
    int64Column(items.map(({ length }) => length)),
    utf8Column(items.map(({ language }) => language)),
    float32Column(items.map(({ languageScore }) => languageScore)),
    utf8Column(items.map(({ metadata }) => JSON.stringify(metadata))),
    utf8Column(items.map(({ annotations }) => annotations && annotationText(annotations))),
  ]
}
