// Lines that frame a text on many sites: labels, calls to subscribe or follow, credits, "read also". Told by short patterns
// in a few languages, and only on short blocks; long ones are text, whatever they mention.

const LABELS = new Set(
  (
    'advertisement|advert|adverts|ad|ads|anzeige|werbung|iklan|publicidad|publicité|publicite|pubblicità|advertentie|reklama|sponsored|sponsored links|sponsored content|promoted|' +
    'share|share this|share this article|share this story|share on facebook|share on twitter|tweet|email|print|facebook|twitter|whatsapp|pinterest|linkedin|reddit|instagram|teilen|drucken|' +
    "related|related articles|related posts|related stories|related topics|related content|read more|read also|more|see also|you may also like|you might also like|you may also be interested in|don't miss|recommended|" +
    'trending|popular|most read|most popular|top stories|latest news|latest stories|our latest stories|more stories|more news|story continues below|story continues|article continues below|continue reading|' +
    'comments|leave a comment|leave a reply|0 comments|add comment|post a comment|tell us what you think|' +
    'subscribe|subscribe now|sign up|sign in|log in|register|follow us|newsletter|loading|close|menu|search|home|back to top|next|previous|caption|click to enlarge|view gallery|' +
    'this slideshow requires javascript|tags|topics|filed under|source|sources|photo|image|video|about the author|weiterlesen|mehr zum thema|lesen sie auch|auch interessant|kommentare|' +
    'das könnte sie auch interessieren|das könnte dich auch interessieren|neueste artikel|weitere artikel|ähnliche artikel|verwandte artikel|zurück|zur startseite|quelle|' +
    'artículos relacionados|te puede interesar|noticias relacionadas|à lire aussi|articles similaires|leggi anche|articoli correlati|leia também|lees ook|czytaj też|читайте также|関連記事'
  ).split('|'),
)

/** Of the single words, those that head nothing else. */
const PLAIN_LABELS = new Set(
  'advertisement advert anzeige werbung publicidad publicité related comments kommentare newsletter weiterlesen'.split(' '),
)

const CREDIT =
  /^\(?(?:sources?|quellen?|źródło|fuente|fonte|photos?(?: credit)?|photo by|fotos?|image(?: credit)?|images|credits?|crédits?|bild(?:er|quelle|nachweis|rechte)?|copyright|via|additional reporting|reporting by|editing by)\s*(?:[:©|/]|by\b)|^©/i

const CAPTION =
  /\((?:image|images|photo|picture|pic|foto|bild|credit|source|quelle)\s*:[^)]*\)$|^(?:image|photo|picture) (?:copyright|credit|caption|source)\b/i

const SEE_ALSO =
  /^(?:[[(>»•\s]*)(?:(?:read|see|watch|also)(?: more| also| next| this)?|related(?: \w+)?|more(?: on this)?|don't miss|must read|lesen sie (?:auch|mehr|dazu)|lesen sie auch|mehr (?:zum thema|dazu)|siehe auch|lee también|lea también|mira también|te puede interesar|à lire(?: aussi)?|lire aussi|leggi anche|leia (?:também|mais)|lees ook|czytaj (?:też|także|również)|читайте также)\s*[:：»>|-]/i

const CALLS: readonly RegExp[] = [
  /\b(?:sign(?:ing)? up|subscrib(?:e|ing))\b.*\b(?:newsletters?|inbox|emails?|e-mail|updates|channel|today|here|now)\b/i,
  /\b(?:our|unseren?|free|daily|weekly|morning|the \w+) newsletters?\b/i,
  /^(?:follow|like|join|find|connect with|folgen sie|folge|sigue|síguenos|suivez)\b.*\b(?:facebook|twitter|instagram|linkedin|youtube|telegram|whatsapp|tiktok|google news)\b/i,
  /^(?:click|tap|klicken? sie|klick|haz clic|cliquez)\b.{0,20}\b(?:here|hier|aquí|ici)\b/i,
  /\b(?:uses?|using|verwende[nt]|nutzt|nutzen|utiliza(?:mos)?|utilis(?:e|ons)|korzysta(?:my)?)\b.{0,20}\bcookies?\b/i,
  /\b(?:all rights reserved|alle rechte vorbehalten|todos los derechos reservados|tous droits réservés|tutti i diritti riservati)\b/i,
  /^(?:the post .+ appeared first on|copyright (?:©|\(c\)|\d{4}|by\b|notice))/i,
  /\b(?:affiliate (?:links?|commissions?|partner)|earn (?:a|an) (?:affiliate )?commission)\b/i,
  /^(?:have a (?:news )?tip|got a tip|do you have (?:a|any) (?:story|tip|news))\b/i,
  /\b(?:download|get) (?:our|the) (?:free )?app\b/i,
]

const STAMP =
  /^(?:(?:first |last )?(?:updated?|published|posted|modified)|aktualisiert|veröffentlicht|publicado|publié|actualizado)\b.{0,60}\d/i

/** A moment: a date or a time with nothing beside it. */
const MOMENT =
  /^(?:(?:am|on|le|el|il|op|posted|published|updated|\p{L}{2,10}(?:day|tag)|mo|di|mi|do|fr|sa|so|mon|tue|wed|thu|fri|sat|sun)[\s.,]*)*(?:\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{4}-\d\d-\d\d|\d{1,2}\.?\s\p{L}{3,9}\.?,?\s\d{4}|\p{L}{3,9}\.?\s\d{1,2},\s\d{4}|\d{1,2}:\d\d)(?:[\s,|@–-]*(?:at|um|uhr|à|\d{1,2}[:.h]\d\d(?::\d\d)?|am|pm|a\.m\.|p\.m\.|gmt|utc|c?es?t|pst|pdt|edt|ist))*$/iu

/** How long ago something was. `20 minutes` alone is how long a thing takes. */
const AGO = /^(?:(?:posted|published|updated) )?(?:\d+ \p{L}+(?:, \d+ \p{L}+)? ago|(?:vor|hace|il y a) (?:\d+|einer?|einem) \p{L}+)$/iu

const SHORT = 40
const LINE = 120
const SENTENCES = 250

/**
 * True where a short line is a known label: "Share this article", "Advertisement".
 *
 * @param isStructure the line is a heading or an item: a single word there (`Search`, `Image`) may be what a text is about
 */
export function isLabel(text: string, isStructure: boolean): boolean {
  if (text.length > SHORT) return false
  const words = bare(text)
  return LABELS.has(words) && (!isStructure || words.includes(' ') || PLAIN_LABELS.has(words))
}

/** True where a short block credits, calls to subscribe, points elsewhere, or tells only the time. */
export function isFurniture(text: string): boolean {
  if (text.length <= SHORT && (MOMENT.test(text) || AGO.test(text))) return true
  if (text.length <= LINE && (CREDIT.test(text) || STAMP.test(text))) return true
  if (text.length > SENTENCES) return false
  return CAPTION.test(text) || SEE_ALSO.test(text) || CALLS.some((call) => call.test(text))
}

/** In lower case, without marks around it. */
function bare(text: string): string {
  return text.toLowerCase().replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, '')
}
