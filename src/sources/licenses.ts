// Which license a text is, by sentences that no other license has; names are SPDX identifiers (spdx.org/licenses). A text
// that is not among these stays unnamed: a wrong name is worse than none.

/** Long licenses name themselves at their top, and quote one another further down. */
const TITLE_CHARACTERS = 600

const titles: readonly (readonly [id: string, title: RegExp])[] = [
  ['AGPL-3.0', /gnu affero general public license version 3/],
  ['LGPL-3.0', /gnu lesser general public license version 3/],
  ['LGPL-2.1', /gnu lesser general public license version 2\.1/],
  ['GPL-3.0', /gnu general public license version 3/],
  ['GPL-2.0', /gnu general public license version 2/],
  ['Apache-2.0', /apache license,? version 2\.0/],
  ['MPL-2.0', /mozilla public license,? version 2\.0/],
  ['EPL-2.0', /eclipse public license - v 2\.0/],
  ['EUPL-1.2', /european union public licence v\. ?1\.2/],
  ['BSL-1.0', /boost software license - version 1\.0/],
  ['CC0-1.0', /cc0 1\.0 universal/],
  ['CC-BY-SA-4.0', /(?:creative commons )?attribution-sharealike 4\.0 international/],
  ['CC-BY-4.0', /(?:creative commons )?attribution 4\.0 international/],
]

const sentences: readonly (readonly [id: string, sentence: RegExp])[] = [
  ['Unlicense', /this is free and unencumbered software released into the public domain/],
  ['MIT', /permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation/],
  [
    'ISC',
    /permission to use, copy, modify, and\/or distribute this software for any purpose with or without fee is hereby granted, provided that the above copyright notice/,
  ],
  ['0BSD', /permission to use, copy, modify, and\/or distribute this software for any purpose with or without fee is hereby granted\./],
  ['Zlib', /altered source versions must be plainly marked as such, and must not be misrepresented as being the original software/],
  ['BSD-4-Clause', /redistribution and use in source and binary forms.*all advertising materials mentioning features/],
  ['BSD-3-Clause', /redistribution and use in source and binary forms.*neither the name/],
  ['BSD-2-Clause', /redistribution and use in source and binary forms/],
]

export function licenseOf(text: string): string | undefined {
  const plain = text.toLowerCase().replaceAll(/[\s#*/]+/g, ' ')
  const title = plain.slice(0, TITLE_CHARACTERS)
  return (titles.find(([, pattern]) => pattern.test(title)) ?? sentences.find(([, pattern]) => pattern.test(plain)))?.[0]
}

/** What a file says of itself: `SPDX-License-Identifier: MIT OR Apache-2.0` (spdx.dev/learn/handling-license-info). */
export function declaredLicense(text: string): string | undefined {
  const found = /SPDX-License-Identifier:[ \t]*([\w.+-]+(?:[ \t]+(?:AND|OR|WITH)[ \t]+[\w.+-]+)*)/.exec(text.slice(0, 4096))
  return found?.[1]
}

/** By the name that the file has: LICENSE, LICENCE.md, COPYING, UNLICENSE … */
export function isLicenseFile(path: string): boolean {
  return /(?:^|\/)(?:(?:un)?licen[cs]e|copying)(?:[.-][\w.-]+)?$/i.test(path)
}
