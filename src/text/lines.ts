// Lines as Python's `str.splitlines` sees them: more breaks than "\n", and no empty line behind a final break.

const BREAK = new Uint8Array(128)
for (const unit of [10, 11, 12, 13, 28, 29, 30]) BREAK[unit] = 1

/** Start and end of each line in UTF-16 units, end exclusive and without the break: start₀, end₀, start₁, end₁, … */
export function lineBounds(text: string): number[] {
  const bounds: number[] = []
  const length = text.length
  let start = 0
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 128 ? BREAK[unit] === 0 : unit !== 0x85 && unit !== 0x2028 && unit !== 0x2029) continue
    bounds.push(start, i)
    if (unit === 13 && text.charCodeAt(i + 1) === 10) i++
    start = i + 1
  }
  if (start < length) bounds.push(start, length)
  return bounds
}

/** Python's `str.splitlines()`. */
export function splitLines(text: string): string[] {
  const bounds = lineBounds(text)
  const lines: string[] = []
  for (let i = 0; i < bounds.length; i += 2) lines.push(text.slice(bounds[i], bounds[i + 1]))
  return lines
}
