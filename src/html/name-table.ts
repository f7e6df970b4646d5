// Names found in place: whether the characters of a page from here to there are one of some names, in any case. Nothing is cut
// out, lowered or hashed for it.

export class NameTable<T> {
  private readonly longest: number
  /** Names and their values by their first letter, whichever its case, and their length. */
  private readonly shapes: (readonly { readonly name: string; readonly value: T }[] | undefined)[]

  /** @param names ASCII, in lower case */
  constructor(names: readonly (readonly [name: string, value: T])[]) {
    this.longest = Math.max(...names.map(([name]) => name.length))
    this.shapes = new Array(32 * (this.longest + 1)).fill(undefined)
    for (const [name, value] of names) {
      const shape = this.shape(name, 0, name.length)
      this.shapes[shape] = [...(this.shapes[shape] ?? []), { name, value }]
    }
  }

  find(text: string, start: number, end: number): T | undefined {
    if (end - start > this.longest) return undefined
    const candidates = this.shapes[this.shape(text, start, end)]
    if (candidates === undefined) return undefined
    for (const { name, value } of candidates) if (isAt(text, start, name)) return value
    return undefined
  }

  private shape(text: string, start: number, end: number): number {
    return (text.charCodeAt(start) & 31) * (this.longest + 1) + end - start
  }
}

function isAt(text: string, start: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const code = text.charCodeAt(start + i)
    const wanted = name.charCodeAt(i)
    if (code !== wanted && !(code >= 65 && code <= 90 && (code | 32) === wanted)) return false
  }
  return true
}
