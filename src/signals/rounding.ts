// Decimal places as Python's `round` leaves them.

/** To the nearer, a value exactly in the middle to the even one. NaN stays. For values from 0, and up to 9 places. */
export function roundTo(value: number, places: number): number {
  const scale = 10 ** places
  const scaled = value * scale
  const down = Math.floor(scaled)
  // Far enough from the middle for the error of the product not to matter.
  if (Math.abs(scaled - down - 0.5) > 1e-6) return Math.round(scaled) / scale
  // Exactly in the middle: one more decimal place, a 5, and as many binary ones.
  if ((value * 2 ** (places + 1)) % 2 === 1) return (down % 2 === 0 ? down : down + 1) / scale
  return Number(value.toFixed(places))
}
