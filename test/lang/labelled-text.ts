// Lines with labels for the tests of training: four kinds of text, told apart by some of their words, from a seed.

import { minstd } from '../../src/lang/product-quantizer.ts'

const LABELS = ['__label__sea', '__label__wood', '__label__town', '__label__ü']
const OWN_WORDS = 40
const COMMON_WORDS = 400

/** `own`: the share of words that only one label has; the other words are common to all, frequent ones first. */
export function labelledLines(count: number, seed: number, own = 0.25): string[] {
  const random = minstd(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  return Array.from({ length: count }, () => {
    const kind = below(10) < 4 ? 0 : below(LABELS.length)
    const words = Array.from({ length: 5 + below(20) }, () => {
      if (random() < own) return `${'wéßж'[kind]}own${below(OWN_WORDS)}`
      return `common${Math.floor(COMMON_WORDS ** random())}`
    })
    const labels = below(20) === 0 ? [LABELS[kind], LABELS[(kind + 1) % LABELS.length]] : [LABELS[kind]]
    return [...labels, ...words].join(' ')
  })
}

export function labelledText(count: number, seed: number, own?: number): string {
  return `${labelledLines(count, seed, own).join('\n')}\n`
}
