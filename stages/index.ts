// The public stages, one by one: `sluice/stages`.

export { type BloomDedupOptions, bloomDedup, bloomDedupOptions } from './bloom-dedup.ts'
export { type C4BadWordsOptions, c4BadWords, c4BadWordsOptions } from './c4-bad-words.ts'
export { type C4DolmaOptions, c4Dolma, c4DolmaOptions } from './c4-dolma.ts'
export { type C4ParagraphOptions, c4Paragraph, c4ParagraphOptions } from './c4-paragraph.ts'
export { type C4QualityOptions, c4Quality, c4QualityOptions } from './c4-quality.ts'
export { type ClassifyOptions, classify, classifyOptions } from './classify.ts'
export { type CommonCrawlOptions, commonCrawl, commonCrawlOptions } from './common-crawl.ts'
export {
  type C4Options,
  c4,
  c4Options,
  type DolmaOptions,
  dolma,
  dolmaOptions,
  type FineWebOptions,
  fineWeb,
  fineWebOptions,
  type PileOptions,
  pile,
  pileOptions,
  type RedPajama2Options,
  type RedPajamaOptions,
  redPajama,
  redPajama2,
  redPajama2Options,
  redPajamaOptions,
  type ShardsOptions,
  shards,
  shardsOptions,
} from './corpora.ts'
export { type CsvFilesOptions, csvFiles, csvFilesOptions } from './csv-files.ts'
export { type DecontaminateOptions, decontaminate, decontaminateOptions } from './decontaminate.ts'
export {
  type DolmaAttributes,
  type DolmaTagger,
  type DolmaTaggersOptions,
  dolmaTaggers,
  dolmaTaggersOptions,
} from './dolma-taggers.ts'
export { type EmbeddingSimilarityOptions, embeddingSimilarity, embeddingSimilarityOptions } from './embedding-similarity.ts'
export { type ExactDedupOptions, exactDedup, exactDedupOptions } from './exact-dedup.ts'
export { type ExtractTextOptions, extractText, extractTextOptions } from './extract-text.ts'
export { type FunctionOptions, filter } from './filter.ts'
export { type FineWebQualityOptions, fineWebQuality, fineWebQualityOptions } from './fineweb-quality.ts'
export { type FixTextOptions, fixText, fixTextOptions } from './fix-text.ts'
export { type GopherDolmaOptions, gopherDolma, gopherDolmaOptions } from './gopher-dolma.ts'
export { type GopherQualityOptions, gopherQuality, gopherQualityOptions } from './gopher-quality.ts'
export { type GopherRedPajamaOptions, gopherRedPajama, gopherRedPajamaOptions } from './gopher-redpajama.ts'
export { type GopherRepetitionOptions, gopherRepetition, gopherRepetitionOptions } from './gopher-repetition.ts'
export { type HtmlFilesOptions, htmlFiles, htmlFilesOptions } from './html-files.ts'
export { type HuggingFaceOptions, huggingFace, huggingFaceOptions } from './hugging-face.ts'
export { type JsonlOptions, jsonl, jsonlOptions } from './jsonl.ts'
export { type JsonlShardsOptions, jsonlShards, jsonlShardsOptions } from './jsonl-shards.ts'
export { type KeepTopOptions, keepTop, keepTopOptions } from './keep-top.ts'
export {
  type LanguageOptions,
  type LanguageShares,
  language,
  languageOptions,
  type ParagraphLanguageOptions,
  paragraphLanguage,
  paragraphLanguageOptions,
} from './language.ts'
export { type LineDedupOptions, lineDedup, lineDedupOptions } from './line-dedup.ts'
export { map } from './map.ts'
export { type MinhashDedupOptions, minhashDedup, minhashDedupOptions } from './minhash-dedup.ts'
export { type Member, type MixtureOptions, mixture, mixtureOptions } from './mixture.ts'
export { type ParquetOptions, parquet, parquetOptions } from './parquet.ts'
export { type ParquetShardsOptions, parquetShards, parquetShardsOptions } from './parquet-shards.ts'
export { type PerplexityOptions, perplexity, perplexityOptions } from './perplexity.ts'
export { type PerplexityBucketsOptions, perplexityBuckets, perplexityBucketsOptions } from './perplexity-buckets.ts'
export { type QualityClassifierOptions, qualityClassifier, qualityClassifierOptions } from './quality-classifier.ts'
export { type RedactPiiOptions, redactPii, redactPiiOptions } from './redact-pii.ts'
export { type RedPajamaSignalsOptions, redPajamaSignals, redPajamaSignalsOptions } from './redpajama-signals.ts'
export { type RefinedWebLinesOptions, refinedWebLines, refinedWebLinesOptions } from './refined-web-lines.ts'
export { type SampleOptions, sample, sampleOptions } from './sample.ts'
export { type ScoreWithModelOptions, scoreWithModel, scoreWithModelOptions } from './score-with-model.ts'
export { type SentenceDedupOptions, sentenceDedup, sentenceDedupOptions } from './sentence-dedup.ts'
export { type SourceCodeOptions, sourceCode, sourceCodeOptions } from './source-code.ts'
export { type SubstringDedupOptions, substringDedup, substringDedupOptions } from './substring-dedup.ts'
export { summaryStats, summaryStatsOptions } from './summary-stats.ts'
export { type SymbolLinesOptions, symbolLines, symbolLinesOptions } from './symbol-lines.ts'
export { type TextFilesOptions, textFiles, textFilesOptions } from './text-files.ts'
export { type TokenizeOptions, tokenize, tokenizeOptions } from './tokenize.ts'
export { type ToxicityClassifierOptions, toxicityClassifier, toxicityClassifierOptions } from './toxicity-classifier.ts'
export { type TrainTokenizerOptions, trainTokenizer, trainTokenizerOptions } from './train-tokenizer.ts'
export { type UrlFilterOptions, urlFilter, urlFilterOptions } from './url-filter.ts'
export { type WarcOptions, warc, warcOptions } from './warc.ts'
export { type WetOptions, wet, wetOptions } from './wet.ts'
