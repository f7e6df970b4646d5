// SentencePiece's precompiled normalization: a Darts double array (Aoe 1989) over UTF-8 that leads to replacements. As
// Hugging Face's tokenizers 0.23 apply it: a grapheme of less than six bytes is looked up whole, then its characters singly.

/** In grapheme clusters of two characters and less than six bytes, all but one are of these, or the cluster is \r\n. */
const joining = String.raw`\r\p{M}\p{Cf}\p{Grapheme_Extend}\p{Emoji_Modifier}\u0e33\u0eb3\u0d4e\u{111c2}\u{111c3}\u{113d1}\u{1193f}\u{11941}\u{11a3a}\u{11a84}-\u{11a89}\u{11d46}\u{11f02}`

export class CharacterMap {
  readonly #units: Uint32Array
  readonly #normalized: Buffer
  readonly #graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' })
  /** What has been looked up. */
  readonly #characters = new Map<string, string>()
  /** Stretches with joining characters, and single characters that may be replaced. */
  readonly #changing: RegExp

  /** @param map as tokenizer.json carries it, decoded from base64; throws a RangeError where it is cut off */
  constructor(map: Uint8Array) {
    const buffer = Buffer.from(map)
    const bytes = buffer.readUInt32LE(0)
    if (bytes > buffer.length - 4) throw new RangeError('the character map is cut off')
    this.#units = Uint32Array.from({ length: bytes / 4 }, (_, i) => buffer.readUInt32LE(4 + 4 * i))
    this.#normalized = buffer.subarray(4 + bytes)
    const ascii = Array.from({ length: 0x5f }, (_, i) => String.fromCharCode(0x20 + i))
    const kept = ascii.every((character) => (this.#lookUp(character) ?? character) === character) ? ' -~' : ''
    this.#changing = new RegExp(`[^]?[${joining}]+(?:[^][${joining}]+)*[^]?|[^${kept}]`, 'gu')
  }

  normalize(text: string): string {
    return text.replace(this.#changing, (part) => (isOneCharacter(part) ? this.#replaceCharacter(part) : this.#replaceGraphemes(part)))
  }

  #replaceGraphemes(text: string): string {
    let out = ''
    for (const { segment } of this.#graphemes.segment(text)) {
      const whole = Buffer.byteLength(segment) < 6 ? this.#lookUp(segment) : undefined
      if (whole !== undefined) out += whole
      else for (const character of segment) out += this.#replaceCharacter(character)
    }
    return out
  }

  #replaceCharacter(character: string): string {
    let replacement = this.#characters.get(character)
    if (replacement === undefined) this.#characters.set(character, (replacement = this.#lookUp(character) ?? character))
    return replacement
  }

  /** The replacement of the shortest beginning that has one, if any: as the reference, the rest of what was asked is dropped. */
  #lookUp(text: string): string | undefined {
    const first = this.#firstValue(Buffer.from(text))
    if (first === undefined) return undefined
    const end = this.#normalized.indexOf(0, first)
    return this.#normalized.toString('utf8', first, end < 0 ? undefined : end)
  }

  /** Value of the shortest key that begins the text: darts-clone's commonPrefixSearch. */
  #firstValue(key: Uint8Array): number | undefined {
    const offsetOf = (unit: number) => (unit >>> 10) << ((unit & (1 << 9)) >>> 6)
    let node = offsetOf(this.#units[0])
    for (const byte of key) {
      if (byte === 0) return undefined
      node ^= byte
      const unit = this.#units[node]
      if (unit === undefined || (unit & 0x800000ff) >>> 0 !== byte) return undefined
      node ^= offsetOf(unit)
      if ((unit >>> 8) & 1) return this.#units[node] & 0x7fffffff
    }
    return undefined
  }
}

function isOneCharacter(text: string): boolean {
  return text.length === 1 || (text.length === 2 && text.charCodeAt(0) >= 0xd800 && text.charCodeAt(0) <= 0xdbff)
}
