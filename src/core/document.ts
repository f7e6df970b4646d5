// What flows through a pipeline: pages, documents, tokenized documents. Each knows where its record lies, so that
// anything downstream, a training step included, can be traced back to the bytes it came from.

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
export type Metadata = Readonly<Record<string, Json>>

/** NaN: could not be measured, as the mean of nothing. */
export type Annotation = number | string | readonly Annotation[] | { readonly [key: string]: Annotation }
export type Annotations = Readonly<Record<string, Annotation>>

/** What everything in a pipeline carries. */
export interface Item {
  /** 32 hex digits, from `documentId`: the same record has the same id in every run and on every machine. */
  readonly id: string
  /** URL (or `file:` URL) of the input that the record was read from. */
  readonly source: string
  /** Byte offset of the record in its input; row ordinal where the input has rows. */
  readonly offset: number
  /** Bytes of the record in its input, as stored; 0 where the input has rows. */
  readonly length: number
  /** Where the content was published, as crawled. */
  readonly url?: string
  /** When it was crawled or published, ISO 8601. */
  readonly date?: string
  /** Which part of a corpus or mixture it belongs to: `books`, `pile/Wikipedia (en)`. */
  readonly subset?: string
  readonly metadata: Metadata
}

/** A fetched page, before extraction. */
export interface WebPage extends Item {
  /** The body after transfer and content decoding, in the page's own encoding. */
  readonly html: Uint8Array
  /** The HTTP header's value, where there was one: may name a charset. */
  readonly contentType?: string
}

/** Text on its way. Stages return a changed copy, they never write into one: what is cached per document relies on it. */
export interface Document extends Item {
  /** Well-formed Unicode (no lone surrogates). */
  readonly text: string
  /** ISO 639 code from the language stage. */
  readonly language?: string
  /** 0 to 1. */
  readonly languageScore?: number
  /** What stages found out and later readers want as columns: `minhash_cluster_size`, … */
  readonly annotations?: Annotations
}

/** A document whose annotations are known by name to those behind: `filter('long', ({ annotations }) => annotations.words > 50)`. */
export type Annotated<D extends Document, A extends Annotations> = D & { readonly annotations: A }

/** What a token id means: which tokenizer made it. */
export interface Vocabulary {
  /** Of the tokenizer's file: token ids of equal hashes mean the same. */
  readonly hash: string
  readonly size: number
  /** Id of the token that ends a document. */
  readonly endOfText: number
  /** Path of its tokenizer.json: shards carry a copy. */
  readonly file: string
}

export interface TokenizedDocument extends Item {
  readonly vocabulary: Vocabulary
  /** u16 where the vocabulary has at most 65,536 entries. */
  readonly tokens: Uint16Array | Uint32Array
  /** Per token, 1 where the loss counts; absent where it counts everywhere. */
  readonly mask?: Uint8Array
}

/** Rough bytes an item holds: how batches are cut. */
export function itemBytes(item: Item): number {
  if ('text' in item && typeof item.text === 'string') return item.text.length + 256
  if ('html' in item && item.html instanceof Uint8Array) return item.html.byteLength + 256
  if ('tokens' in item && ArrayBuffer.isView(item.tokens)) return item.tokens.byteLength + 256
  return 256
}
