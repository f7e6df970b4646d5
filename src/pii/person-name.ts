// Names of persons, as far as rules and a list of common first names can tell them: behind a title, behind words that announce
// a name, or a known first name with a surname. Names of one word alone are left: most of them are words too.

import type { Find } from './spans.ts'

/** Common first names of Europe and the Americas. Those that are words or places as often (May, Grant, Paris) are left out. */
const firstNames = new Set(
  `aaron abigail adam adrian aisha alan albert alejandra alejandro alessandro alex alexander alexandra alfred alice alicia alison allison amanda
  amelia amy ana anastasia andre andrea andreas andres andrew angela anita ann anna anne annette annie anthony antonio arthur ashley barbara
  beatrice benjamin bernard bernd beth betty beverly bianca birgit bonnie bradley brandon brenda brian bridget bruce bruno bryan camila carla
  carlos carmen carol carolina caroline carolyn catherine cathy cecilia charles charlotte cheryl chloe chris christian christina christine
  christopher cindy claire clara claudia clifford colin connie craig cristina crystal cynthia dan daniel daniela danielle darren dave david
  deborah debra denise dennis derek diana diane diego dieter dirk dmitri dolores dominic donald donna dorothy douglas dylan eduardo edward
  edwin eileen elaine eleanor elena elias elizabeth ella ellen emily emma emmanuel eric erica erik erin esther ethan eugene eva evelyn fatima
  felix fernando florian frances francesca francesco francis francisco franz fred frederick friedrich gabriel gabriela gary gavin geoffrey
  georg george gerald gerard giovanni giulia giuseppe glenn gloria gordon greg gregory guillermo gunther gustavo hannah hans harold harriet
  harry hassan heather heidi heinrich helen helena helga henri henry herbert howard hugo ian ibrahim igor ines ingrid irene isaac isabel
  isabella ivan jacob jacqueline jacques jaime james jamie jan jane janet janice jason javier jean jeff jeffrey jennifer jeremy jerome jerry
  jessica jesus jill jim joan joanna joanne joe joel johan johann johannes john johnny jonas jonathan jorge jose josef joseph joshua joyce juan
  juanita judith julia julian juliana julie julio jurgen justin karen karin karl katarina kate katherine kathleen kathryn kathy katie keith kelly
  ken kenneth kevin kimberly klaus kristen kristin kurt kyle lars laura lauren laurence lawrence lena leon leonard leonardo leslie liam linda
  lisa lois lorenzo lori louis louise lucas lucia luigi luis luisa luke magdalena manuel manuela marc marcel marco marcos margaret maria mariana
  marie mario marion marjorie marlene marta martha martin martina mary mateo matthew matthias maureen maurice max maxime megan melanie melissa
  michael michel michele michelle miguel mike mildred mohamed mohammed monica monika muhammad nancy natalia natalie nathan nathaniel nicholas nick
  nicola nicolas nicole nikolai nina noah nora norman oleg olga oliver olivia omar oscar otto pablo pamela paolo patricia patrick paul paula
  pauline pedro peggy peter petra philip philippe phillip phyllis pierre rachel rafael ralph ramon raymond rebecca regina renate ricardo richard
  rita robert roberta roberto robin rodney roger roland ronald rosa rosemary roxanne ruben rudolf russell ruth ryan sabine sabrina sally
  salvatore samantha samuel sandra santiago sara sarah scott sean sebastian sergei sergio shannon sharon shaun sheila shirley silvia simon simone
  sofia sonia sophia sophie stefan stefano stephanie stephen steve steven stuart susan susanne suzanne sven svetlana sylvia tamara tanya tatiana
  ted teresa terry theodore theresa thomas tiffany tim timothy tina tobias todd tom tommy tony tracy trevor tyler ulrich ursula valerie vanessa
  vera veronica vicente victor victoria vincent vincenzo virginia vladimir walter wanda wayne wendy werner wilhelm william wolfgang xavier yolanda
  yusuf yuri yvonne zachary zoe`.split(/\s+/),
)

/** Follow a first name, and make it that of a place, a firm or a day. */
const noSurname =
  /^(?:Street|Avenue|Road|Island|Islands|County|City|College|University|School|Church|Hospital|Airport|Park|Bridge|River|Lake|Bay|Beach|Hall|House|Court|Square|Station|Tower|Inc|Ltd|LLC|Corp|Company|Co|Group|Bank|Press|Day|Award|Awards|Prize|Cup|Show|Museum|Foundation|Institute|Act|Center|Centre|The|And|Of|In|On|At|Is|Was|Said|Has|Had|Will|Would|But|When|Then|He|She|It|They|We|You|I)$/

const word = "\\p{Lu}[\\p{Ll}\\p{M}]+(?:['’-]\\p{Lu}?[\\p{Ll}\\p{M}]+)?"
const surname = `(?:(?:Mc|Mac|O['’]|D['’])?${word})`
const particle = '(?:(?:de|da|do|dos|di|del|della|van|von|der|den|la|le|bin|ibn|al|el|ter|zu)\\s){0,3}'
const initial = '(?:\\p{Lu}\\.?\\s)?'

const titled = new RegExp(
  `(?<=(?<![\\p{L}])(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Sir|Madam|Herr|Frau|Señora?|Sra?|Monsieur|Madame|Mme|Signora?|Dott)\\.?\\s)(?:${word}\\s)?${initial}${particle}${surname}(?:-${surname})?`,
  'gu',
)
const announced = new RegExp(
  `(?<=(?:[Mm]y name is|[Mm]y name's|\\bI am called|[Nn]ame(?:\\sis)?:|Patient:?|[Cc]ontact:?|Dear|Sincerely,|Regards,|Signed,?|[Nn]ame["']?[:=]["']?|[Ff]irst[ _]name:|[Ll]ast[ _]name:)\\s{0,2})${word}(?:\\s${initial}${particle}${surname}){1,2}(?![\\p{L}])`,
  'gu',
)
const full = new RegExp(
  `(?<![\\p{L}\\p{M}'’-])(${word})\\s${initial}${particle}(${surname})(?:[\\s-]${particle}${surname})?(?![\\p{L}])`,
  'gu',
)

export const findNames: Find = (text, found) => {
  const spans: { start: number; end: number }[] = []
  const add = (index: number, match: string) => spans.push({ start: index, end: index + match.length })
  for (const { 0: match, index } of text.matchAll(titled)) if (!noSurname.test(lastWord(match))) add(index, match)
  for (const { 0: match, index } of text.matchAll(announced)) if (!match.split(/\s/).some((part) => noSurname.test(part))) add(index, match)
  full.lastIndex = 0
  for (let match = full.exec(text); match; match = full.exec(text)) {
    const [all, first, second] = match
    const isName = firstNames.has(first.toLowerCase().split(/['’-]/)[0]) && !noSurname.test(second)
    // The word that was no first name may stand before one.
    if (!isName) full.lastIndex = match.index + first.length
    else add(match.index, noSurname.test(lastWord(all)) ? all.slice(0, all.lastIndexOf(lastWord(all))).trimEnd() : all)
  }
  let free = 0
  for (const { start, end } of spans.sort((a, b) => a.start - b.start || b.end - a.end)) {
    if (start < free) continue
    found(start, end)
    free = end
  }
}

function lastWord(name: string): string {
  return name.slice(Math.max(name.lastIndexOf(' '), name.lastIndexOf('-')) + 1)
}
