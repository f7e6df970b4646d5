// Extracts a folder of *.html with Mozilla Readability over linkedom, or only builds the trees of a parser: one process.
// usage: extraction.mjs readability|linkedom|parse5|htmlparser2 FOLDER TEXTS
// Prints one JSON object: CPU seconds of the best of five passes, decoding included.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const require = createRequire(new URL('installed/node/', import.meta.url))
const [, , tool, folder, out] = process.argv
const pages = readdirSync(folder)
  .filter((name) => name.endsWith('.html'))
  .sort()
  .map((name) => [name.slice(0, -5), readFileSync(`${folder}/${name}`)])
const decoder = new TextDecoder()

const run = {
  readability: async () => {
    const { parseHTML } = require('linkedom')
    const { Readability } = require('@mozilla/readability')
    return (html) => new Readability(parseHTML(html).document).parse()?.textContent ?? ''
  },
  linkedom: async () => {
    const { parseHTML } = require('linkedom')
    return (html) => (parseHTML(html).document.title, '')
  },
  parse5: async () => {
    const { parse } = await import(require.resolve('parse5'))
    return (html) => (parse(html).childNodes.length, '')
  },
  htmlparser2: async () => {
    const { parseDocument } = await import('htmlparser2')
    return (html) => (parseDocument(html).children.length, '')
  },
}[tool]
const extract = await run()

let seconds = Number.POSITIVE_INFINITY
let texts = {}
for (let pass = 0; pass < 5; pass++) {
  const start = process.cpuUsage()
  texts = Object.fromEntries(
    pages.map(([name, html]) => {
      try {
        return [name, extract(decoder.decode(html))]
      } catch {
        return [name, '']
      }
    }),
  )
  const { user, system } = process.cpuUsage(start)
  seconds = Math.min(seconds, (user + system) / 1e6)
}
writeFileSync(out, JSON.stringify(texts))
console.log(JSON.stringify({ seconds }))
