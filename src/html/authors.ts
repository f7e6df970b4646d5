// Names of authors as pages write them: behind "by", in front of a role, several in a row.

/** What stands before the names: "By", "Posted by", "Von", "Autor:". */
const BEFORE =
  /^(?:[,;:|\s–-]+|(?:article|recipe|review|story|text|words|written|posted|published|reviewed|contributed|submitted)\s+by:?|by\b:?|(?:ein beitrag |text |geschrieben )?von\b:?|par\b:?|por\b:?|di\b:?|door\b:?|autor(?:in)?\b:?|auteur\b:?|author\b:?|text:|words:)\s*/i

/** What stands behind them: a date, a role, a count of words. */
const BEHIND =
  /\s*(?:[|•·–—]| - |\b(?:updated|published|posted|on|am|le|el)\b[\s:]+(?=\S*\d|\p{L}+ \d)|,\s*(?:senior |contributing |staff |chief )*(?:editor|writer|reporter|correspondent|author|contributor|redakteur(?:in)?)\b).*$/iu

/** The names alone; undefined where nothing is left that could be one. */
export function authorNames(text: string): string | undefined {
  let names = text.trim()
  for (let i = 0; i < 3 && BEFORE.test(names); i++) names = names.replace(BEFORE, '')
  names = names.replace(BEHIND, '').trim()
  return isName(names) ? names : undefined
}

/** A line that could be somebody's name: no label of a form, no heading of a comment, no address, no number. */
function isName(text: string): boolean {
  return (
    text.length > 1 &&
    text.length <= 200 &&
    /\p{L}{2}/u.test(text) &&
    !/[*@:?(/]|\d{3}|^(?:(?:admin|administrator|editor|author|guest|staff)$|(?:published|posted|veröffentlicht|publicado|publié|about|view|all)\b)/i.test(
      text,
    )
  )
}

/** Words of a name are told apart by blanks: no part of the pattern can match in two ways. */
const NAME = String.raw`\p{Lu}[\p{L}.'’-]*`
const SIGNED = new RegExp(
  String.raw`^(?:(?:written|posted|published|text|words|story)\s+by|by|von|par|por|di|door)[:\s]\s*` +
    String.raw`(${NAME}(?:\s+${NAME}){0,4}(?:(?:\s+(?:and|und|et|y|e|en|&)|,)\s+${NAME}(?:\s+${NAME}){1,3}){0,3})$`,
  'u',
)

/** Names in a line that does nothing but sign: "By Ann Lee and Bo Ek". */
export function signedNames(line: string): string | undefined {
  if (line.length > 80) return undefined
  const names = SIGNED.exec(line.replace(/^\p{Lu}/u, (first) => first.toLowerCase()))?.[1]
  return names?.includes(' ') ? authorNames(names) : undefined
}
