// Parts that a page sends after its body and a script moves into place while it loads, as React's server renderer does:
// `<template id="B:3">` marks the place, `<div hidden id="S:3">` comes later and holds what belongs there.

import { TEXT, tagId } from './tags.ts'
import type { HtmlTree } from './tree.ts'

const TEMPLATE = tagId('template')
const PLACE = /^[BP]:(\w+)$/
const SEGMENT = /^S:(\w+)$/

/** The tree with every part in its place; parts without a place stay where they are. */
export function placeSegments(tree: HtmlTree): HtmlTree {
  if (!tree.tag.includes(TEMPLATE)) return tree
  const segmentAt = matchSegments(tree)
  if (segmentAt.size === 0) return tree
  const placed = new Set(segmentAt.values())
  const order: number[] = [0]
  const parents: number[] = [-1]
  // Ranges of old nodes still to be written, and the new number of each old node.
  const pending: { from: number; to: number; parent: number }[] = [{ from: 1, to: tree.count, parent: 0 }]
  const moved = new Int32Array(tree.count)
  for (let range = pending.pop(); range !== undefined; range = pending.pop()) {
    const first = range.from
    for (let node = first; node < range.to; node++) {
      const segment = segmentAt.get(node)
      if (segment !== undefined) {
        pending.push({ from: tree.end[node], to: range.to, parent: range.parent })
        pending.push({ from: segment + 1, to: tree.end[segment], parent: moved[tree.parent[node]] })
        break
      }
      if (placed.has(node)) {
        node = tree.end[node] - 1
        continue
      }
      moved[node] = order.length
      // Below a segment's own element nodes hang where its place hangs.
      parents.push(placed.has(tree.parent[node]) ? range.parent : moved[tree.parent[node]])
      order.push(node)
    }
  }
  return reorder(tree, order, parents)
}

/** The segment of each place. A segment comes after its place, so that none can lie in itself. */
function matchSegments(tree: HtmlTree): Map<number, number> {
  const places = new Map<string, number>()
  const segmentAt = new Map<number, number>()
  for (let node = 1; node < tree.count; node++) {
    if (tree.tag[node] === TEXT) continue
    const id = tree.attributes[node]?.id
    if (id === undefined) continue
    const place = tree.tag[node] === TEMPLATE ? PLACE.exec(id) : null
    if (place !== null) places.set(place[1], node)
    const number = SEGMENT.exec(id)?.[1]
    const at = number === undefined ? undefined : places.get(number)
    if (at !== undefined && !segmentAt.has(at)) segmentAt.set(at, node)
  }
  return segmentAt
}

function reorder(tree: HtmlTree, order: readonly number[], parents: readonly number[]): HtmlTree {
  const count = order.length
  const end = Int32Array.from(order, (_, node) => node + 1)
  for (let node = count - 1; node > 0; node--) end[parents[node]] = Math.max(end[parents[node]], end[node])
  return {
    count,
    tag: Uint8Array.from(order, (old) => tree.tag[old]),
    parent: Int32Array.from(parents),
    end,
    text: order.map((old) => tree.text[old]),
    attributes: order.map((old) => tree.attributes[old]),
    isLink: Uint8Array.from(order, (old) => tree.isLink[old]),
  }
}
