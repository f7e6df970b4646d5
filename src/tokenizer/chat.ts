// Chat templates: the Jinja template of a model's `tokenizer_config.json` turns messages into the text it was trained on.
// Rendered by @huggingface/jinja with what Hugging Face's transformers gives a template.

import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Template } from '@huggingface/jinja'
import { z } from 'zod'
import { SluiceError } from '../core/errors.ts'
import { isTokenizerName, type LoadedTokenizer } from './tokenizer.ts'

export const messageSchema = z.looseObject({ role: z.string().min(1), content: z.unknown() })
export type Message = z.output<typeof messageSchema>

export interface ChatTemplate {
  readonly source: string
  /** What a template may name: `bos_token`, `eos_token` and so on. */
  readonly specials: Readonly<Record<string, string>>
}

export interface ChatOptions {
  /** Ends the text where the assistant begins to speak. */
  readonly addGenerationPrompt?: boolean
  readonly tools?: readonly unknown[]
}

const tokenSchema = z.union([z.string(), z.object({ content: z.string() }).transform(({ content }) => content)])
const configSchema = z.looseObject({
  chat_template: z.union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))]).optional(),
})

/**
 * The chat template beside a `tokenizer.json`; of several, the one named default.
 *
 * @throws SluiceError `SLUICE_CHAT_TEMPLATE` where there is none
 */
export async function loadChatTemplate(tokenizerPath: string): Promise<ChatTemplate> {
  if (isTokenizerName(tokenizerPath)) throw templateError(`${tokenizerPath} has no chat template`, tokenizerPath)
  const file = join(dirname(tokenizerPath), 'tokenizer_config.json')
  const config = await readConfig(file)
  const { chat_template: given } = config
  const source = typeof given === 'string' ? given : given?.find(({ name }) => name === 'default')?.template
  if (source === undefined) throw templateError('tokenizer_config.json has no chat_template', file)
  const specials: Record<string, string> = {}
  for (const [key, value] of Object.entries(config)) {
    const token = tokenSchema.safeParse(value)
    if (key.endsWith('_token') && token.success) specials[key] = token.data
  }
  return { source, specials }
}

async function readConfig(file: string) {
  try {
    return configSchema.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch (cause) {
    throw templateError('no tokenizer_config.json beside the tokenizer that can be read', file, cause)
  }
}

/** @throws SluiceError `SLUICE_CHAT_TEMPLATE` where the template refuses the messages */
export function renderChat({ source, specials }: ChatTemplate, messages: readonly Message[], options: ChatOptions = {}): string {
  try {
    return new Template(source).render({
      ...specials,
      messages: [...messages],
      tools: options.tools ? [...options.tools] : null,
      add_generation_prompt: options.addGenerationPrompt ?? false,
    })
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new SluiceError('SLUICE_CHAT_TEMPLATE', `the chat template cannot render these messages: ${message}`, {
      fix: 'give roles in the order that the template asks for',
      cause,
    })
  }
}

/** Ids of a conversation: its special tokens count as such, and it begins and ends as the template says. */
export function applyChatTemplate(
  tokenizer: LoadedTokenizer,
  template: ChatTemplate,
  messages: readonly Message[],
  options: ChatOptions = {},
): { text: string; tokens: Uint32Array } {
  const text = renderChat(template, messages, options)
  return { text, tokens: tokenizer.encodeWithSpecials(text) }
}

/**
 * Which tokens of a rendered conversation the assistant says. Where the template marks it, `{% generation %}`, those that hold
 * any of what is marked, as `return_assistant_tokens_mask` of Hugging Face's transformers. Else those that begin behind the
 * prompt for a turn of its, and within that turn: found by rendering the conversation up to each of its turns, which needs a
 * template that renders a beginning of a conversation as the beginning of the whole.
 *
 * @returns 1 for each token that is learned from, else 0
 * @throws SluiceError `SLUICE_CHAT_MASK` where the template or the tokenizer does not allow it
 */
export function assistantMask(
  tokenizer: LoadedTokenizer,
  template: ChatTemplate,
  messages: readonly Message[],
  tokens: Uint32Array,
  options: ChatOptions = {},
): Uint8Array {
  const text = renderChat(template, messages, options)
  const spans = tokenSpans(tokenizer, tokens, text)
  const marked = markedStretches(template, messages, text, options)
  if (marked) return Uint8Array.from(spans, ({ start, end }) => (marked.some((part) => start < part.end && part.start < end) ? 1 : 0))
  const turns = assistantTurns(template, messages, text, options)
  return Uint8Array.from(spans, ({ start }) => (turns.some((turn) => start >= turn.start && start < turn.end) ? 1 : 0))
}

/** UTF-16 units [start, end) of a text. */
interface Stretch {
  readonly start: number
  readonly end: number
}

/** A token that holds a part of a character only counts as the whole of it. */
function tokenSpans(tokenizer: LoadedTokenizer, tokens: Uint32Array, text: string): Stretch[] {
  const stream = tokenizer.decodeStream()
  let decoded = ''
  const spans = Array.from(tokens, (token) => {
    const start = decoded.length
    decoded += stream.push(token)
    return { start, end: Math.max(decoded.length, start + 1) }
  })
  if (decoded + stream.end() !== text) throw maskError('the tokens do not decode to the text that they were made of')
  return spans
}

const generationTag = /\{%(-?)\s*(end)?generation\s*(-?)%\}/g

/** What stands between `{% generation %}` and `{% endgeneration %}`; undefined where the template has no such tags. */
function markedStretches(template: ChatTemplate, messages: readonly Message[], text: string, options: ChatOptions): Stretch[] | undefined {
  if (template.source.search(generationTag) === -1) return undefined
  const [begin, end] = unusedCharacters(text)
  // A block in the tag's place takes the same blanks away as the tag, and says where it stands.
  const source = template.source.replace(
    generationTag,
    (_, left: string, isEnd: string | undefined, right: string) =>
      `{%${left} if true %}{{ '${isEnd === undefined ? begin : end}' }}{% endif ${right}%}`,
  )
  const rendered = renderChat({ ...template, source }, messages, options)
  const stretches: Stretch[] = []
  let plain = ''
  let start: number | undefined
  for (const part of rendered.split(new RegExp(`([${begin}${end}])`))) {
    if (part === begin) {
      if (start !== undefined) throw maskError('the template marks a generation within another')
      start = plain.length
    } else if (part === end) {
      if (start === undefined) throw maskError('the template ends a generation that it has not begun')
      stretches.push({ start, end: plain.length })
      start = undefined
    } else plain += part
  }
  if (start !== undefined || plain !== text) throw maskError('the template changes what it has marked')
  return stretches
}

/** Two characters that Unicode assigns to nobody, and that the text does not have. */
function unusedCharacters(text: string): [string, string] {
  const free = Array.from({ length: 32 }, (_, i) => String.fromCharCode(0xfdd0 + i)).filter((character) => !text.includes(character))
  if (free.length < 2) throw maskError('the text has all characters that could mark it')
  return [free[0], free[1]]
}

function assistantTurns(template: ChatTemplate, messages: readonly Message[], text: string, options: ChatOptions): Stretch[] {
  return messages.flatMap(({ role }, i) => {
    if (role !== 'assistant') return []
    const prompt = renderChat(template, messages.slice(0, i), { ...options, addGenerationPrompt: true })
    const through = renderChat(template, messages.slice(0, i + 1), { ...options, addGenerationPrompt: false })
    if (!text.startsWith(through) || !through.startsWith(prompt))
      throw maskError('the template renders a turn otherwise once others follow')
    return [{ start: prompt.length, end: through.length }]
  })
}

function templateError(message: string, file: string, cause?: unknown): SluiceError {
  return new SluiceError('SLUICE_CHAT_TEMPLATE', message, {
    where: { file },
    fix: 'put the tokenizer_config.json of the model beside tokenizer.json',
    cause,
  })
}

function maskError(message: string): SluiceError {
  return new SluiceError('SLUICE_CHAT_MASK', `which tokens the assistant says cannot be told: ${message}`, {
    fix: 'leave the mask out, or split the conversation at each turn',
  })
}
