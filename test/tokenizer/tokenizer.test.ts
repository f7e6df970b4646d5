import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import * as cl100kPeer from 'gpt-tokenizer/encoding/cl100k_base'
import * as gpt2Peer from 'gpt-tokenizer/encoding/gpt2'
import * as o200kPeer from 'gpt-tokenizer/encoding/o200k_base'
import { BpeEncoder, type BpeModel } from '../../src/tokenizer/bpe.ts'
import type { ByteLevelDefinition } from '../../src/tokenizer/definition.ts'
import { parseRanks, parseTokenizerJson, serializeRanks, serializeTokenizerJson } from '../../src/tokenizer/formats.ts'
import { KernelEncoder } from '../../src/tokenizer/kernel.ts'
import { PieceBuffer, patternNames, patternSources, preTokenizer } from '../../src/tokenizer/pretokenize.ts'
import { createTokenizer, type LoadedTokenizer, loadTokenizer, sha256, tokenizerNames } from '../../src/tokenizer/tokenizer.ts'
import { tokenizerFile } from '../../src/tokenizer/tokenizer-file.ts'
import { readShared, realTexts, skipWithoutShared, trickyText } from './text.ts'

const peers = { gpt2: gpt2Peer, cl100k: cl100kPeer, o200k: o200kPeer }
const tokenizers = { gpt2: await loadTokenizer('gpt2'), cl100k: await loadTokenizer('cl100k'), o200k: await loadTokenizer('o200k') }
const texts = realTexts(40)

function byteLevel({ definition }: LoadedTokenizer): ByteLevelDefinition {
  assert.ok(definition.kind === 'bytes')
  return definition
}

const folder = mkdtempSync(join(tmpdir(), 'sluice-tokenizer-'))
after(() => rmSync(folder, { recursive: true }))

for (const name of tokenizerNames) {
  const tokenizer = tokenizers[name]
  // Where a peer in JavaScript and tiktoken differ, tiktoken is right: U+0085 is a blank, U+FEFF none, ſ an s.
  const differs = /[\u0085\ufeffſ]/u

  test(`${name} gives the ids of gpt-tokenizer on real text`, () => {
    for (const text of texts)
      if (!differs.test(text))
        assert.equal(tokenizer.encode(text).join(' '), peers[name].encode(text, { disallowedSpecial: new Set() }).join(' '))
  })

  test(`${name} gives the ids of gpt-tokenizer on arbitrary text`, () => {
    const text = trickyText.map((text) => text.toWellFormed()).filter((text) => !differs.test(text))
    fc.assert(
      fc.property(text, (text) =>
        assert.deepEqual([...tokenizer.encode(text)], peers[name].encode(text, { disallowedSpecial: new Set() })),
      ),
      { numRuns: 1000 },
    )
  })

  test(`${name} decodes what it encoded`, () => {
    fc.assert(
      fc.property(fc.oneof(trickyText, fc.string({ unit: 'binary' })), (text) => {
        assert.equal(tokenizer.decode(tokenizer.encode(text)), text.toWellFormed())
      }),
    )
  })

  test(`${name} is described by the tokenizer.json of its hash, which loads to the same`, async () => {
    const json = serializeTokenizerJson(tokenizer.definition)
    assert.equal(sha256(json), tokenizer.hash)
    const path = await tokenizerFile(tokenizer, name, folder)
    assert.equal(readFileSync(path, 'utf8'), json)
    assert.equal(await tokenizerFile(tokenizer, path, folder), path)
    const loaded = await loadTokenizer(path)
    assert.deepEqual(loaded.definition, tokenizer.definition)
    assert.deepEqual(
      [loaded.hash, loaded.endOfText, loaded.vocabularySize],
      [tokenizer.hash, tokenizer.endOfText, tokenizer.vocabularySize],
    )
  })
}

test('a tokenizer file in the cache that says something else is written again', async () => {
  const path = await tokenizerFile(tokenizers.gpt2, 'gpt2', folder)
  writeFileSync(path, '{}')
  assert.equal(await tokenizerFile(tokenizers.gpt2, 'gpt2', folder), path)
  assert.equal(sha256(readFileSync(path)), tokenizers.gpt2.hash)
})

test('ids are those of the published test plans', { skip: skipWithoutShared }, () => {
  const names = new Map([
    ['r50k_base', 'gpt2'],
    ['gpt2', 'gpt2'],
    ['cl100k_base', 'cl100k'],
    ['o200k_base', 'o200k'],
  ] as const)
  let checked = 0
  for (const [, encoding, sample, ids] of readShared('TestPlans.txt.gz').matchAll(
    /EncodingName: (.*)\nSample: ([\s\S]*?)\nEncoded: (\[.*\])/g,
  )) {
    const name = [...names].find(([theirs]) => theirs === encoding)?.[1]
    if (!name) continue
    assert.deepEqual([...tokenizers[name].encode(sample)], JSON.parse(ids), `${encoding}: ${sample}`)
    checked++
  }
  assert.ok(checked > 100, `${checked} samples`)
})

test('gpt2 gives the ids of Hugging Face on llama.cpp’s texts', { skip: skipWithoutShared }, () => {
  const texts = readShared('llama-cpp/ggml-vocab-gpt-2.gguf.inp').split('\n__ggml_vocab_test__\n')
  const lines = readShared('llama-cpp/ggml-vocab-gpt-2.gguf.out').trimEnd().split('\n')
  lines.forEach((line, i) => {
    assert.deepEqual([...tokenizers.gpt2.encode(texts[i])], line.trim() === '' ? [] : line.trim().split(/\s+/).map(Number), texts[i])
  })
})

test('the merges derived from gpt2’s ranks are the published ones', { skip: skipWithoutShared }, () => {
  const published = readShared('gpt2-vocab.bpe.gz').trimEnd().split('\n').slice(1)
  const { merges } = JSON.parse(serializeTokenizerJson(tokenizers.gpt2.definition)).model
  assert.deepEqual(
    merges.map((merge: string[]) => merge.join(' ')),
    published,
  )
})

test('a published tokenizer.json with a normalizer and added tokens loads, and comes back the same', { skip: skipWithoutShared }, () => {
  const definition = parseTokenizerJson(readShared('gpt-neox-olmo-dolma-v1_5-tokenizer.json.gz'))
  const neox = createTokenizer('neox', definition, '')
  assert.deepEqual(parseTokenizerJson(serializeTokenizerJson(definition)), definition)
  assert.equal(neox.vocabularySize, 50_280)
  // As Hugging Face's tokenizers 0.23 gives them: 8 blanks are an added token, é is composed first.
  assert.equal(neox.decode(neox.encode('x        caf\u0065\u0301')), 'x        café')
  assert.deepEqual([...neox.encode('        ')].length, 1)
  assert.equal(neox.decode(neox.encode('|||IP_ADDRESS|||')), '|||IP_ADDRESS|||')
  assert.deepEqual([...neox.encode('|||IP_ADDRESS|||')], [0])
})

// ---- special tokens ----

test('special tokens in text are ordinary text unless they are allowed', () => {
  const { gpt2, cl100k } = tokenizers
  const text = 'a<|endoftext|>b'
  assert.ok(!gpt2.encode(text).includes(gpt2.endOfText))
  assert.equal(gpt2.decode(gpt2.encode(text)), text)
  assert.deepEqual([...gpt2.encodeWithSpecials(text)], [64, 50256, 65])
  assert.ok(!cl100k.encodeWithSpecials(text, new Set(['<|fim_prefix|>'])).includes(cl100k.endOfText))
  assert.equal(gpt2.decode([64, 50256]), 'a<|endoftext|>')
})

test('added tokens take the blanks beside them where they say so', () => {
  const { definition } = tokenizers.gpt2
  const mask = { id: 50257, content: '<mask>', special: false, takesLeft: true, takesRight: false, normalized: false }
  const tokenizer = createTokenizer('mask', { ...definition, added: [...definition.added, mask] }, '')
  assert.deepEqual([...tokenizer.encode('a  <mask> b')], [64, 50257, 275])
  // White space as Unicode has it: U+0085 is, the byte order mark is not.
  assert.deepEqual([...tokenizer.encode('a\x85<mask>')], [64, 50257])
  assert.deepEqual([...tokenizer.encode('\ufeff<mask>')], [...tokenizer.encode('\ufeff'), 50257])
})

test('blanks that are an added token themselves are found before a token that would take them', () => {
  const { definition } = tokenizers.gpt2
  const break2 = { id: 50257, content: '\n\n', special: false, takesLeft: false, takesRight: false, normalized: false }
  const mask = { ...break2, id: 50258, content: '<mask>', takesLeft: true }
  const tokenizer = createTokenizer('breaks', { ...definition, added: [...definition.added, break2, mask] }, '')
  assert.deepEqual([...tokenizer.encode('a\n\n <mask>')], [64, 50257, 50258])
})

test('added tokens that are found after normalization are normalized too', () => {
  const { definition } = tokenizers.gpt2
  const added = [...definition.added, { id: 50257, content: 'XQJ', special: false, takesLeft: false, takesRight: false, normalized: true }]
  const tokenizer = createTokenizer(
    'lower',
    { ...definition, added, normalizers: [{ type: 'NFC' as const }, { type: 'Lowercase' as const }] },
    '',
  )
  assert.deepEqual([...tokenizer.encode('xqJa')], [50257, 64])
  assert.deepEqual([...tokenizer.encode('ΑΣ')], [...tokenizer.encode('ασ')])
})

// ---- bytes ----

test('a byte-order mark and characters split over tokens survive decoding', () => {
  const { gpt2 } = tokenizers
  assert.equal(gpt2.decode(gpt2.encode('\ufeffa')), '\ufeffa')
  const ids = gpt2.encode('🌍')
  assert.equal(ids.length, 3)
  assert.equal(gpt2.decode(ids.subarray(0, 2)), '\ufffd')
  assert.deepEqual(Buffer.from(gpt2.decodeBytes(ids)), Buffer.from('🌍'))
})

test('arbitrary bytes come back from their ids', () => {
  for (const definition of Object.values(tokenizers).map(byteLevel)) {
    const encoder = new BpeEncoder(definition.model)
    const pieces = new PieceBuffer()
    const tokenizer = createTokenizer('bytes', definition, '')
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        pieces.bytes = new Uint8Array([...bytes, 0xff])
        pieces.count = 0
        pieces.endPiece(bytes.length)
        encoder.encode(pieces)
        assert.deepEqual(tokenizer.decodeBytes(encoder.take()), bytes)
      }),
    )
  }
})

// ---- merging ----

/** Byte-pair encoding as it is defined: the least rank of all neighbours, leftmost, again and again. */
function plainMerger(model: BpeModel): (bytes: Uint8Array) => number[] {
  const ranks = new Map<string, [rank: number, merged: number]>()
  for (let i = 0; i < model.merges.length; i += 3) ranks.set(`${model.merges[i]} ${model.merges[i + 1]}`, [i, model.merges[i + 2]])
  const idOfByte = new Map<number, number>()
  for (let id = 0; id + 1 < model.starts.length; id++)
    if (model.starts[id + 1] - model.starts[id] === 1) idOfByte.set(model.bytes[model.starts[id]], id)
  return (bytes) => {
    const ids = Array.from(bytes, (byte) => idOfByte.get(byte) ?? -1)
    for (;;) {
      let best = -1
      let bestRank = Infinity
      for (let i = 0; i + 1 < ids.length; i++) {
        const rank = ranks.get(`${ids[i]} ${ids[i + 1]}`)?.[0] ?? Infinity
        if (rank < bestRank) [best, bestRank] = [i, rank]
      }
      if (best < 0) return ids
      ids.splice(best, 2, ranks.get(`${ids[best]} ${ids[best + 1]}`)?.[1] ?? -1)
    }
  }
}

test('short pieces and long ones merge as the definition says', () => {
  const { model } = byteLevel(tokenizers.gpt2)
  const mergePlainly = plainMerger(model)
  const encoder = new BpeEncoder({ ...model, takesWholePieces: false })
  const pieces = new PieceBuffer()
  const letters = fc.string({ unit: fc.constantFrom('a', 'n', 'e', ' ', 't', 'é'), minLength: 1, maxLength: 250 })
  fc.assert(
    fc.property(letters, (text) => {
      pieces.clear()
      pieces.append(text)
      pieces.endPiece(pieces.length)
      encoder.encode(pieces)
      assert.deepEqual([...encoder.take()], mergePlainly(Buffer.from(text)))
    }),
    { numRuns: 60 },
  )
})

test('a long text without a cut is encoded in time that grows with it, not with its square', () => {
  for (const tokenizer of Object.values(tokenizers)) {
    for (const unit of ['a', ' ', '!', 'ab', '0', '😀', '\u0301', ' \n', 'Aa', "'s"]) {
      const text = unit.repeat(Math.floor(200_000 / unit.length))
      assert.equal(tokenizer.decode(tokenizer.encode(text)), text, `${tokenizer.name}: ${JSON.stringify(unit)}`)
    }
  }
})

test('the kernel gives the ids of the plain encoder, whatever the pattern', () => {
  const { model } = byteLevel(tokenizers.cl100k)
  for (const name of patternNames) {
    const steps = [{ pattern: patternSources[name], dropsGaps: false }]
    for (const takesWholePieces of [true, false]) {
      const kernel = new KernelEncoder({ ...model, takesWholePieces }, name)
      const plain = new BpeEncoder({ ...model, takesWholePieces })
      const pieces = new PieceBuffer()
      const encodePlainly = (text: string) => {
        pieces.clear()
        preTokenizer(steps)(text, pieces)
        plain.encode(pieces)
        return plain.take()
      }
      const long = fc.string({ unit: fc.constantFrom('e', 'x', 'ö', '='), minLength: 80, maxLength: 120 })
      const text = fc.array(fc.oneof({ weight: 5, arbitrary: trickyText }, long), { maxLength: 4 }).map((parts) => parts.join(''))
      fc.assert(
        fc.property(text, (text) => assert.deepEqual(kernel.encode(text), encodePlainly(text))),
        { numRuns: 200 },
      )
      // More distinct pieces than the cache has places.
      const many = Array.from({ length: 60_000 }, (_, i) => ` ${((i * 7919) % 60_000).toString(36)}`).join('')
      assert.deepEqual(kernel.encode(many), encodePlainly(many))
    }
  }
})

// ---- files ----

test('rank files come back the same, and may be loaded by path with their pattern', async () => {
  const text = serializeRanks(byteLevel(tokenizers.cl100k).model)
  assert.deepEqual(parseRanks(Buffer.from(text)), tokenizers.cl100k.definition.model)
  const path = join(folder, 'own.tiktoken')
  writeFileSync(path, text)
  const loaded = await loadTokenizer(path)
  assert.deepEqual(loaded.encode("don't  stop"), tokenizers.cl100k.encode("don't  stop"))
  assert.equal(loaded.endOfText, 100_256)
  assert.equal((await loadTokenizer(path, 'gpt2')).encode('12345').length, 2)
})

test('merges may be spelled as pairs or with a blank between', () => {
  const json = JSON.parse(serializeTokenizerJson(tokenizers.gpt2.definition))
  json.model.merges = json.model.merges.map((merge: string[]) => merge.join(' '))
  assert.deepEqual(parseTokenizerJson(JSON.stringify(json)), tokenizers.gpt2.definition)
})

test('what cannot be done exactly is refused with its code', async () => {
  const base = JSON.parse(serializeTokenizerJson(tokenizers.gpt2.definition))
  const refuse = (change: (json: typeof base) => void, message: RegExp) => {
    const json = { ...base, model: { ...base.model } }
    change(json)
    assert.throws(() => parseTokenizerJson(JSON.stringify(json)), { code: 'SLUICE_TOKENIZER_FILE', message })
  }
  refuse((json) => (json.model.type = 'WordLevel'), /not one of WordPiece, Unigram and BPE/)
  refuse((json) => (json.pre_tokenizer = { type: 'UnicodeScripts' }), /UnicodeScripts.* is not supported/)
  refuse((json) => (json.normalizer = { type: 'ByteLevel' }), /normalizer .*ByteLevel.* is not supported/)
  refuse((json) => (json.model.byte_fallback = true), /byte fallback/)
  refuse((json) => (json.model.merges = [['zzzz', 'qqqq']]), /merge 1/)
  assert.throws(() => parseTokenizerJson('{'), { code: 'SLUICE_TOKENIZER_FILE' })
  assert.throws(() => parseRanks(Buffer.from('IQ== 0\nno rank\n')), { code: 'SLUICE_TOKENIZER_FILE' })
  assert.throws(() => createTokenizer('x', { ...tokenizers.gpt2.definition, added: [] }, ''), { code: 'SLUICE_TOKENIZER_NO_END' })
  assert.throws(() => tokenizers.gpt2.decode([60_000]), { code: 'SLUICE_TOKENIZER_ID' })
  await assert.rejects(loadTokenizer('no-such-tokenizer'), { code: 'SLUICE_TOKENIZER_UNKNOWN' })
})
