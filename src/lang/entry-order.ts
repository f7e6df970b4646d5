// The order that libstdc++'s std::sort leaves entries in. It is not stable, and words of equal count get their rows of the
// matrix, and with them their first random numbers, in this order: without it one thread would not give the C++ program's
// model. Introsort (Musser 1997) as that library has it: median of three, runs of 16 left to one insertion sort.

const INSERTION_LENGTH = 16

/** Sorts in place. @param precedes a strict weak order */
export function sortAsLibstdcxx(items: Uint32Array, precedes: (a: number, b: number) => boolean): void {
  const length = items.length
  partitionDown(items, 0, length, 2 * Math.floor(Math.log2(Math.max(length, 1))), precedes)
  const guarded = Math.min(length, INSERTION_LENGTH)
  for (let i = 1; i < guarded; i++) insert(items, i, precedes, 0)
  for (let i = guarded; i < length; i++) insert(items, i, precedes, -1)
}

function partitionDown(items: Uint32Array, from: number, to: number, depth: number, precedes: (a: number, b: number) => boolean): void {
  let end = to
  for (let left = depth; end - from > INSERTION_LENGTH; left--) {
    if (left === 0) {
      // Only inputs made to be bad come here. The library goes on with a heap, whose order of equals differs from this one.
      items.subarray(from, end).sort((a, b) => Number(precedes(b, a)) - Number(precedes(a, b)))
      return
    }
    medianToFront(items, from, precedes, from + 1, from + ((end - from) >> 1), end - 1)
    const cut = partition(items, from + 1, end, items[from], precedes)
    partitionDown(items, cut, end, left - 1, precedes)
    end = cut
  }
}

function medianToFront(
  items: Uint32Array,
  front: number,
  precedes: (a: number, b: number) => boolean,
  a: number,
  b: number,
  c: number,
): void {
  const [x, y, z] = [items[a], items[b], items[c]]
  let median: number
  if (precedes(x, y)) median = precedes(y, z) ? b : precedes(x, z) ? c : a
  else median = precedes(x, z) ? a : precedes(y, z) ? c : b
  swap(items, front, median)
}

/** The median bounds both scans, so neither looks at the ends. */
function partition(items: Uint32Array, from: number, to: number, pivot: number, precedes: (a: number, b: number) => boolean): number {
  let low = from
  let high = to
  for (;;) {
    while (precedes(items[low], pivot)) low++
    high--
    while (precedes(pivot, items[high])) high--
    if (low >= high) return low
    swap(items, low++, high)
  }
}

/** Moves an item back to its place. @param first where to stop at the latest; -1 where something smaller surely stands before */
function insert(items: Uint32Array, at: number, precedes: (a: number, b: number) => boolean, first: number): void {
  const item = items[at]
  let to = at
  if (first >= 0 && precedes(item, items[first])) {
    items.copyWithin(first + 1, first, at)
    items[first] = item
    return
  }
  while (precedes(item, items[to - 1])) {
    items[to] = items[to - 1]
    to--
  }
  items[to] = item
}

function swap(items: Uint32Array, a: number, b: number): void {
  const kept = items[a]
  items[a] = items[b]
  items[b] = kept
}
