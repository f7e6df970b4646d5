// Numbers as people read them: in the audit's report, on the terminal, in what the trainer says.

const count = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

export function formatCount(value: number): string {
  return count.format(value)
}

/** `1 row`, `2 rows`. */
export function counted(value: number, noun: string): string {
  return `${formatCount(value)} ${noun}${value === 1 ? '' : 's'}`
}

/** A share of a whole as per cent; what is there is never shown as nothing, and less than all never as all. */
export function formatShare(part: number, whole: number): string {
  if (whole === 0) return '–'
  const percent = (part / whole) * 100
  if (part > 0 && percent < 0.1) return '<0.1 %'
  if (part < whole && percent > 99.9) return '>99.9 %'
  return `${percent.toFixed(percent === 100 || percent === 0 ? 0 : 1)} %`
}

export function formatBytes(bytes: number): string {
  const rounded = Number(bytes.toPrecision(3)) // first, or 999,950 would be 1000 kB
  if (rounded < 1000) return `${formatCount(bytes)} B`
  const power = Math.min(5, Math.floor(Math.log10(rounded) / 3))
  const value = rounded / 1000 ** power
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${['B', 'kB', 'MB', 'GB', 'TB', 'PB'][power]}`
}

export function formatSeconds(seconds: number): string {
  if (seconds < 0.1) return `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`
  if (seconds < 59.95) return `${seconds.toFixed(seconds < 9.995 ? 2 : 1)} s`
  const [whole, minutes] = [Math.round(seconds), Math.round(seconds / 60)] // first, or 119.6 s would be 1 min 60 s
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** A statistic or a threshold: three digits that count, whole numbers whole. */
export function formatNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return formatCount(value)
  const size = Math.abs(value)
  if (size >= 1000 && size < 1e9) return formatCount(value)
  if (size >= 1e9 || size < 0.001) return value.toExponential(1).replace('e+', 'e')
  return String(Number(value.toPrecision(3)))
}

export function formatRate(amount: number, seconds: number): string {
  if (seconds <= 0 || amount === 0) return '–'
  const rate = amount / seconds
  return rate < 10 ? rate.toFixed(1) : formatCount(rate)
}
