// `sluice warc`: web archives at the command line, each of its commands in a file beside this one.

import { Command } from 'commander'
import { catCommand } from './warc-cat.ts'
import { checkCommand } from './warc-check.ts'
import { examples } from './warc-input.ts'
import { listCommand } from './warc-list.ts'
import { packCommand } from './warc-pack.ts'

export const command = new Command('warc')
  .addHelpText(
    'after',
    `
Reads WARC (WET, WAT), ARC and WACZ; plain, gzip, zstd (with its dictionary) or lz4, a record a member or the whole file
in one: told apart by their bytes, whatever they are called.

A record's offset is where it can be read at, alone: cat --offset. Records that share a gzip member or a frame are
numbered from its offset on instead. What cannot be read is listed as DAMAGE with its bytes and a code, and reading goes
on at the next record. Exit codes: 0 all was read, 1 something is damaged or wrong.
${examples(
  'sluice warc ls crawl.warc.gz',
  "sluice warc ls --json --type response 'crawls/*.arc.gz' | jq -r .url",
  'sluice warc cat crawl.wacz --url https://example.org/ > page.html',
  'sluice warc check crawl.warc.zst',
  'sluice warc pack site/ -o site.warc.gz --base-url https://docs.example.org/',
)}`,
  )
  .addCommand(listCommand)
  .addCommand(catCommand)
  .addCommand(checkCommand)
  .addCommand(packCommand)
