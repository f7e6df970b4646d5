// Postal addresses, as far as rules can tell them: house number and street by the words that streets are called, in six
// languages, with flat, town and code where they follow; post boxes; British postcodes.

import type { Find } from './spans.ts'

const capital = "\\p{Lu}[\\p{L}\\p{M}'’.-]*"
const english =
  'Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Square|Sq|Terrace|Ter|Parkway|Pkwy|Circle|Cir|Highway|Hwy|Way|Close|Crescent|Cres|Gardens|Grove|Mews|Trail|Trl|Alley|Plaza|Loop|Row|Walk|Quay'
const unit = '(?:,?\\s{1,2}(?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|Room|Rm|#)\\.?\\s?#?[A-Z]?\\d{1,5}[A-Z]?)'
const directions = '(?:(?:N|S|E|W|NE|NW|SE|SW|North|South|East|West)\\.?\\s)?'
/** Town, state and ZIP code of the United States, Canada's code, Britain's. */
const ukPostcode = '(?:GIR ?0AA|[A-PR-UWYZ][A-HK-Y]?\\d[A-Z\\d]? \\d[ABD-HJLNP-UW-Z]{2})'
const tail = `(?:[,\\s]{1,3}${capital}(?:\\s${capital}){0,3})?(?:[,\\s]{1,3}(?:[A-Z]{2}[,\\s]{1,2}\\d{5}(?:-\\d{4})?|${ukPostcode}|[A-Z]\\d[A-Z] ?\\d[A-Z]\\d))`

const forms = [
  // 12 Park Lane, Flat 3, London W1K 7AA; 1600 Pennsylvania Avenue NW, Washington, DC 20500
  `\\d{1,5}[A-Z]?(?:-\\d{1,4})?,?\\s${directions}(?:(?:${capital}|\\d{1,3}(?:st|nd|rd|th))\\s){1,4}(?:${english})\\b\\.?(?:\\s(?:N|S|E|W|NE|NW|SE|SW)\\b\\.?)?${unit}?(?:${tail})?`,
  // Hauptstraße 12a, 10115 Berlin; ul. Asnyka 82
  `${capital}(?:straße|strasse|str\\.|weg|platz|allee|gasse|ring|damm|ufer|straat|laan|gracht|plein|gatan|vägen|gata|veien|gade|vej|katu|tie)\\s\\d{1,4}\\s?[a-zA-Z]?(?:\\s?-\\s?\\d{1,4})?(?![\\p{L}\\d])(?:,?\\s{1,2}(?:[A-Z]{1,2}-)?\\d{4,5}\\s${capital})?`,
  `(?:ul|al|os|pl)\\.\\s(?:${capital}\\s){0,2}${capital}\\s\\d{1,4}[a-zA-Z]?(?:/\\d{1,4})?(?:,?\\s\\d{2}-\\d{3}\\s${capital})?`,
  // 12 rue de la Paix, 75002 Paris; Calle Mayor 5; Via Roma, 3
  `\\d{1,4}(?:\\s?(?:bis|ter))?,?\\s(?:rue|avenue|boulevard|place|chemin|allée|impasse|quai|cours)\\s(?:(?:de|du|des|la|le|les|l['’])\\s?){0,3}${capital}(?:[\\s-]${capital}){0,3}(?:,?\\s\\d{5}\\s${capital})?`,
  `(?:Calle|C/|Avenida|Avda\\.|Paseo|Plaza|Rua|Travessa|Via|Viale|Piazza|Corso)\\s?(?:(?:de|del|da|do|di|della|la|las|los|el)\\s){0,3}${capital}(?:\\s${capital}){0,3},?\\s(?:n[.º°]?\\s?)?\\d{1,4}(?![\\d.,]\\d)(?:,?\\s\\d{4,5}(?:-\\d{3})?\\s${capital})?`,
  // Post boxes
  `(?:P\\.?\\s?O\\.?\\sBox|Postfach|Apartado|Boîte postale|BP)\\s\\d{1,6}(?:${tail})?`,
  `(?<![\\w£$€])${ukPostcode}(?![\\w])`,
]

const address = new RegExp(`(?<![\\p{L}\\d./-])(?:${forms.join('|')})(?![\\p{L}\\d])`, 'gu')

/** Every form has a number in it. */
export const findAddresses: Find = (text, found) => {
  for (const match of text.matchAll(address)) found(match.index, match.index + match[0].length)
}
