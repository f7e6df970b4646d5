// Drops near-duplicates by MinHash and banding. Broder 1997; as datatrove 0.10 does it (Penedo et al. 2024, FineWeb,
// arxiv.org/abs/2406.17557), whose signatures and clusters it gives. Which document of a cluster stays is a choice here.

import { join } from 'node:path'
import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { idWords } from '../src/core/identity.ts'
import { type Barrier, type CollectContext, type CollectRun, named } from '../src/core/stage.ts'
import { checkIndex, type IndexDefinition, indexOption } from '../src/dedup/build-index.ts'
import { SEGMENT_FILE, writeSegment } from '../src/dedup/build-segment.ts'
import { collectRecords } from '../src/dedup/collect.ts'
import { EarlierBuilds } from '../src/dedup/earlier-builds.ts'
import { createSigner, fineWebParameters } from '../src/dedup/minhash.ts'
import { bandWords, findClusters, findPairs, findSeen, keySection, keyWords, preferenceSection } from '../src/dedup/pairs.ts'
import { hasPreference, keepOption, preference } from '../src/dedup/survivor.ts'
import { applyVerdicts } from '../src/dedup/verdicts.ts'
import { publishSegment } from '../src/dedup/write-index.ts'
import { RecordWriter } from '../src/io/sorted-runs.ts'
import { simplify } from '../src/text/simplify.ts'
import { tokenize } from '../src/text/words.ts'

export const minhashDedupOptions = z
  .strictObject({
    shingleWords: z.int().min(1).max(32).default(fineWebParameters.shingleWords).describe('words per shingle'),
    bands: z.int().min(1).default(fineWebParameters.bands).describe('a pair that agrees on any one band is taken for duplicates'),
    hashesPerBand: z.int().min(1).default(fineWebParameters.hashesPerBand).describe('all of them must agree within the band'),
    seed: z.uint32().default(fineWebParameters.seed).describe('of the permutations: same seed, same signatures'),
    hash: z.enum(['xxhash', 'sha1']).default(fineWebParameters.hash).describe('of the shingles'),
    precision: z
      .union([z.literal(32), z.literal(64)])
      .default(64)
      .describe('bits of hashes and minima; 32 is faster'),
    words: z
      .enum(['language', 'blanks'])
      .default('language')
      .describe('spaCy’s English tokenizer, as the reference, behind a segmenter for languages without spaces; or what blanks separate'),
    keep: keepOption,
    index: indexOption,
  })
  .refine((o) => o.bands * o.hashesPerBand <= 1024, { path: ['bands'], error: 'bands × hashesPerBand exceeds 1024: lower one of them' })
export type MinhashDedupOptions = z.input<typeof minhashDedupOptions>
type Resolved = z.output<typeof minhashDedupOptions>

/**
 * Keeps one document of each cluster of near-duplicates, with the annotation `minhash_cluster_size`. Reasons:
 * `minhash_duplicate`, and `minhash_earlier` where the index has a near-duplicate of any of the cluster. With an index, the
 * annotation `minhash_seen` counts the cluster over all builds: what this one keeps is new to the others, unless it is a build
 * that is run again; what they drop for it later, `sluice index` tells. A document of fewer words than a shingle has no
 * duplicates.
 */
export function minhashDedup(options: MinhashDedupOptions = {}): Barrier<Document> {
  const resolved = minhashDedupOptions.parse(options)
  const { bands, keep, index } = resolved
  const definition = indexDefinition(resolved)
  return {
    kind: 'barrier',
    dropsDuplicates: true,
    // Version 2 counts over all builds.
    ...named('minhashDedup', { options: resolved, version: index === undefined ? 1 : 2 }),
    collect: async (context) => {
      if (index !== undefined) await checkIndex(index, definition)
      return collect(context, resolved)
    },
    merges: [
      {
        name: 'pairs',
        tasks: index === undefined ? bands : bands + 1,
        run: async (context, task) => {
          using earlier = await EarlierBuilds.open(index, definition, context.build)
          if (task === bands) await findSeen(context, bands, earlier)
          else await findPairs(context, task, earlier)
        },
      },
      {
        name: 'clusters',
        tasks: 1,
        run: async (context) => {
          const clusters = await findClusters(context, bands, keep, index !== undefined)
          if (index !== undefined) await writeSegment(context, bands, clusters)
        },
      },
    ],
    apply: (context) =>
      applyVerdicts(context, {
        reason: 'minhash_duplicate',
        earlierReason: 'minhash_earlier',
        annotation: 'minhash_cluster_size',
        seenAnnotation: index === undefined ? undefined : 'minhash_seen',
      }),
    publish: async ({ merged, build }) => {
      if (index !== undefined) await publishSegment(index, definition, build, join(merged, SEGMENT_FILE))
    },
  }
}

/** Bands mean the same only for the same signatures. */
function indexDefinition({ shingleWords, bands, hashesPerBand, seed, hash, precision, words }: Resolved): IndexDefinition {
  const parameters = { shingleWords, bands, hashesPerBand, seed, hash, precision, words }
  return { stage: 'minhashDedup', parameters, words: bandWords, keyWords, sections: bands, countSections: 1 }
}

function collect(context: CollectContext, options: Resolved): CollectRun<Document> {
  const { bands, keep, index } = options
  const signer = createSigner(options)
  const writer = new RecordWriter(context.path, bandWords, keySection(bands) + 1, context.memoryBytes)
  const record = new Uint32Array(bandWords)
  const preferred = new Float64Array(1)
  const preferredWords = new Uint32Array(preferred.buffer)
  const sign = ({ text, language }: Document) => {
    const simplified = simplify(text)
    if (options.words === 'blanks') return signer.signJoined(simplified)
    const { lexicon, ids } = tokenize(simplified, language)
    return signer.signIds(lexicon.words, ids)
  }
  const collectOne = (document: Document, row: number) => {
    if (!sign(document)) return
    const hashes = signer.bandHashes()
    record[2] = row
    for (let band = 0; band < bands; band++) {
      record[0] = hashes[2 * band + 1]
      record[1] = hashes[2 * band]
      writer.add(band, record)
    }
    if (index !== undefined) writer.add(keySection(bands), [...idWords(document.id).subarray(0, keyWords), row])
    if (!hasPreference(keep)) return
    preferred[0] = preference(document, keep)
    writer.add(preferenceSection(bands), [row, preferredWords[0], preferredWords[1]])
  }
  return collectRecords(context, writer, collectOne)
}
