// The thresholds that the report draws are those by which the stages decide.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { thresholdsOf } from '../../src/audit/thresholds.ts'
import { c4ParagraphLimits, c4ParagraphOptions } from '../../stages/c4-paragraph.ts'
import { c4QualityLimits, c4QualityOptions } from '../../stages/c4-quality.ts'
import { classifyLimits, classifyOptions } from '../../stages/classify.ts'
import { decideFineWebQuality, fineWebQualityLimits, fineWebQualityOptions } from '../../stages/fineweb-quality.ts'
import { gopherDolmaLimits, gopherDolmaOptions } from '../../stages/gopher-dolma.ts'
import { decideGopherQuality, gopherQualityLimits, gopherQualityOptions } from '../../stages/gopher-quality.ts'
import { gopherRedPajamaLimits, gopherRedPajamaOptions } from '../../stages/gopher-redpajama.ts'
import { decideGopherRepetition, gopherRepetitionLimits, gopherRepetitionOptions } from '../../stages/gopher-repetition.ts'
import { languageLimits, languageOptions } from '../../stages/language.ts'

test('every option that a stage says bounds a statistic is drawn, and no other', () => {
  const stages = {
    c4Paragraph: [c4ParagraphLimits, c4ParagraphOptions.parse({})],
    c4Quality: [c4QualityLimits, c4QualityOptions.parse({})],
    classify: [classifyLimits, classifyOptions.parse({ model: 'a.bin', label: 'a', minScore: 0.1, maxScore: 0.9 })],
    fineWebQuality: [fineWebQualityLimits, fineWebQualityOptions.parse({})],
    gopherDolma: [gopherDolmaLimits, gopherDolmaOptions.parse({})],
    gopherQuality: [gopherQualityLimits, gopherQualityOptions.parse({})],
    gopherRedPajama: [gopherRedPajamaLimits, gopherRedPajamaOptions.parse({})],
    gopherRepetition: [gopherRepetitionLimits, gopherRepetitionOptions.parse({})],
    language: [languageLimits, languageOptions.parse({})],
  } as const
  for (const [name, [limits, options]] of Object.entries(stages)) {
    for (const [statistic, bounding] of Object.entries(limits))
      assert.deepEqual(
        thresholdsOf({ name: `${name}#2`, options }, statistic).map(({ option }) => option),
        bounding,
        `${name}.${statistic}`,
      )
  }
})

test('a value on the side that a threshold drops is dropped by the stage, one on the other side is not', () => {
  const good = {
    gopherQuality: {
      n_words: 300,
      n_non_symbol_words: 300,
      avg_word_length: 5,
      hash_ratio: 0,
      ellipsis_ratio: 0,
      bullet_line_ratio: 0,
      ellipsis_line_ratio: 0,
      alpha_ratio: 0.95,
      n_stop_words: 5,
    },
    fineWebQuality: { n_lines: 10, line_punct_ratio: 0.9, short_line_ratio: 0, char_dup_ratio: 0, list_ratio: 0.1 },
    gopherRepetition: {
      dup_para_frac: 0,
      dup_para_char_frac: 0,
      dup_line_frac: 0,
      dup_line_char_frac: 0,
      top_2_gram: 0,
      top_3_gram: 0,
      top_4_gram: 0,
      duplicated_5_n_grams: 0,
      duplicated_6_n_grams: 0,
      duplicated_7_n_grams: 0,
      duplicated_8_n_grams: 0,
      duplicated_9_n_grams: 0,
      duplicated_10_n_grams: 0,
    },
  }
  const gopher = gopherQualityOptions.parse({})
  const fineWeb = fineWebQualityOptions.parse({})
  const repetition = gopherRepetitionOptions.parse({})
  const keeps = {
    gopherQuality: (changed: object) => decideGopherQuality({ ...good.gopherQuality, ...changed }, gopher).keep,
    fineWebQuality: (changed: object) => decideFineWebQuality({ ...good.fineWebQuality, ...changed }, fineWeb).keep,
    gopherRepetition: (changed: object) => decideGopherRepetition({ ...good.gopherRepetition, ...changed }, repetition).keep,
  }
  let checked = 0
  for (const [name, options] of [
    ['gopherQuality', gopher],
    ['fineWebQuality', fineWeb],
    ['gopherRepetition', repetition],
  ] as const) {
    assert.ok(keeps[name]({}), name)
    for (const statistic of Object.keys(good[name])) {
      for (const { value, drops } of thresholdsOf({ name, options }, statistic)) {
        const [below, above] = [keeps[name]({ [statistic]: value * 0.999 }), keeps[name]({ [statistic]: value * 1.001 })]
        assert.deepEqual([below, above], drops === 'below' ? [false, true] : [true, false], `${name}.${statistic}`)
        checked++
      }
    }
  }
  assert.equal(checked, 10 + 4 + 13)
})

test('a stage of the user’s own has thresholds by name; what is switched off has none', () => {
  const options = { minScore: 0.5, max_length: 10, keep: true }
  assert.deepEqual(thresholdsOf({ name: 'mine', options }, 'score'), [{ option: 'minScore', value: 0.5, drops: 'below' }])
  assert.deepEqual(thresholdsOf({ name: 'mine', options }, 'length'), [{ option: 'max_length', value: 10, drops: 'above' }])
  assert.deepEqual(thresholdsOf({ name: 'mine', options }, 'other'), [])
  assert.deepEqual(thresholdsOf({ name: 'gopherQuality', options: { minStopWords: null } }, 'n_stop_words'), [])
  assert.deepEqual(thresholdsOf({ name: 'c4Quality', options: { minNumSentences: -1 } }, 'n_sentences'), [])
  assert.deepEqual(thresholdsOf({ name: 'mine', options: null }, 'score'), [])
})
