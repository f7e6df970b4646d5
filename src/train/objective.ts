// What a model learns from its data: the next token, hidden tokens, spans that were taken out, a target text for each source, a
// label.

export const objectives = ['causal', 'masked', 'spans', 'pairs', 'classify'] as const
export type Objective = (typeof objectives)[number]

export const isEncoders = (objective: Objective) => objective === 'masked' || objective === 'classify'

/** What the data consists of, as people are told. */
export const documentWord = (objective: Objective) => (objective === 'classify' || objective === 'pairs' ? 'example' : 'document')
