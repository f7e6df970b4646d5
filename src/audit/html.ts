// HTML by template: everything that is put in is escaped, unless it is HTML made here. A dropped document may hold any
// markup, and must stay text.

export class Html {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

export type Part = Html | string | number | undefined | false | readonly Part[]

/** A list is put in piece by piece; undefined and false are nothing. */
export function html(strings: TemplateStringsArray, ...parts: Part[]): Html {
  let out = strings[0]
  parts.forEach((part, index) => {
    out += render(part) + strings[index + 1]
  })
  return new Html(out)
}

function render(part: Part): string {
  if (part instanceof Html) return part.text
  if (part === undefined || part === false) return ''
  if (typeof part === 'object') return part.map(render).join('')
  return escapeHtml(String(part))
}

/** Control characters that HTML forbids, NUL above all, become the mark for what cannot be shown. */
function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`).replace(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/g, '\ufffd')
}
