// Text of strangers on a terminal, which it must not steer.

/** Control characters other than tab and line end become the mark for what cannot be shown. */
export function printable(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, '\ufffd')
}
