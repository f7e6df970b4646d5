// The public stages, one by one: `sluice/stages`.

export { type ExactDedupOptions, exactDedup, exactDedupOptions } from './exact-dedup.ts'
export { type ExtractTextOptions, extractText, extractTextOptions } from './extract-text.ts'
export { type MinhashDedupOptions, minhashDedup, minhashDedupOptions } from './minhash-dedup.ts'
export { type RedactPiiOptions, redactPii, redactPiiOptions } from './redact-pii.ts'
export { type SentenceDedupOptions, sentenceDedup, sentenceDedupOptions } from './sentence-dedup.ts'
