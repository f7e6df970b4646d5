// Strings that the English word rules split in a way of their own, or keep whole: contractions, abbreviations, clock
// times, emoticons. The set is spaCy 3.8's (spacy/lang/en/tokenizer_exceptions.py, MIT), built here from its regularities.

/** Every special string with the words it is made of; the words joined give the string. */
export function wordExceptions(): Map<string, readonly string[]> {
  const exceptions = new Map<string, readonly string[]>()
  const add = (...words: string[]) => exceptions.set(words.join(''), words)
  addContractions(add)
  addWholeWords(add)
  addClockTimes(add)
  for (const emoticon of emoticons()) add(emoticon)
  for (const scale of 'cfkCFK') add('°', scale, '.')
  for (const word of ordinaryWords) exceptions.delete(word)
  for (const words of [...exceptions.values()]) {
    if (words.some((word) => word.includes("'"))) add(...words.map((word) => word.replaceAll("'", '’')))
  }
  return exceptions
}

type Add = (...words: string[]) => void

/** Contractions that would come out without their apostrophe, but are words: "we're" may lose it, "were" may not. */
const ordinaryWords = ['ill', 'its', 'hell', 'shell', 'shed', 'were', 'well', 'whore'].flatMap(bothCases)

function bothCases(word: string): string[] {
  return [word, word[0].toUpperCase() + word.slice(1)]
}

function addContractions(add: Add): void {
  /** Each stem with each ending, in both cases, with and without apostrophes. */
  const contract = (stems: string, ...endings: string[][]) => {
    for (const stem of stems.split(' ').flatMap(bothCases)) {
      for (const ending of endings) {
        add(stem, ...ending)
        add(stem, ...ending.map((part) => part.replace("'", '')))
      }
    }
  }
  const willOrWould = [["'ll"], ["'ll", "'ve"], ["'d"], ["'d", "'ve"]]
  contract('i you he she it we they', ...willOrWould)
  contract('i', ["'m"], ["'m", 'a'])
  contract('i you we they', ["'ve"])
  contract('you we they', ["'re"])
  contract('he she it', ["'s"])
  contract('who what when where why how there that this these those', ...willOrWould)
  contract('who what when where why how there that this', ["'s"])
  contract('who what when where why how there these those', ["'re"], ["'ve"])
  contract('ca could do does did had may might must need ought sha should wo would', ["n't"], ["n't", "'ve"])
  contract('could might must should would not', ["'ve"])
  contract('ai are is was were have has dare', ["n't"])
  add("y'", 'all')
  add('y', 'all')
  for (const words of ["how 'd 'y", 'can not', 'gon na', 'got ta', "let 's", "c'm on"]) {
    const [first, ...rest] = words.split(' ')
    for (const stem of bothCases(first)) add(stem, ...rest)
  }
}

function addWholeWords(add: Add): void {
  for (const word of 'doin goin nothin nuthin ol somethin lovin havin'.split(' ').flatMap(bothCases)) {
    add(word)
    add(word + "'")
  }
  for (const word of ['em', 'll', 'nuff']) {
    add(word)
    add("'" + word)
  }
  for (const word of ['cause', 'cos', 'coz', 'cuz', 's'].flatMap(bothCases)) add("'" + word)
  for (const word of ["ma'am", "o'clock"].flatMap(bothCases)) add(word)
  for (const word of wholeWords.split(/\s+/)) add(word)
  for (const letter of 'abcdefghijklmnopqrstuvwxyzäöü') add(letter + '.')
}

const wholeWords = String.raw`'re 'bout 'd ' '' ‘s ‘S — \t \n \") <space> C++ and/or w/o
  Adm. Bros. Co. co. Corp. Dr. Gen. Gov. Inc. Jr. Ltd. Messrs. Mr. Mrs. Ms. Mt. Ph.D. Prof. Rep. Rev. Sen. St.
  a.m. p.m. e.g. E.g. E.G. i.e. I.e. I.E. vs. v.s.
  Jan. Feb. Mar. Apr. Jun. Jul. Aug. Sep. Sept. Oct. Nov. Dec.
  Ak. Ala. Ariz. Ark. Calif. Colo. Conn. D.C. Del. Fla. Ga. Ia. Id. Ill. Ind. Kan. Kans. Ky. La. Mass. Md. Mich. Minn.
  Miss. Mo. Mont. N.C. N.D. N.H. N.J. N.M. N.Y. Neb. Nebr. Nev. Okla. Ore. Pa. S.C. Tenn. Va. Wash. Wis.`

function addClockTimes(add: Add): void {
  for (let hour = 1; hour <= 12; hour++) {
    for (const half of ['am', 'pm', 'a.m.', 'p.m.']) add(String(hour), half)
  }
}

function emoticons(): string[] {
  const faces = String.raw`(o: :o) 8) 8-) 8D 8-D (-8 ;) ;-) ;D ;-D (; (-; (: (-: ): )-: [: [-: =) =( =] =[ =/ =| =3 =D (= [= ]=
    :1 :() >:( >:o :'( :') :'-( :'-) xD XD xDD XDD
    ^_^ ^__^ ^___^ >.< >.> <.< ._. ;_; -_- -__- v.v V.V v_v V_V @_@ <3 <33 <333 </3
    (^_^) (-_-) (._.) (>_<) (*_*) (¬_¬) ಠ_ಠ ಠ︵ಠ (ಠ_ಠ) ¯\(ツ)/¯ (╯°□°）╯︵┻━┻ ><(((*>`.split(/\s+/)
  for (const mouth of ') )) ))) ( (( ((( ] } / | P p O o 0 3 X x D * >'.split(' ')) faces.push(':' + mouth, ':-' + mouth)
  for (const eyes of 'o_o o_O O_o O_O 0_o o_0 0_0 o.O O.o O.O o.o 0.0 o.0 0.o'.split(' ')) faces.push(eyes)
  return faces
}
