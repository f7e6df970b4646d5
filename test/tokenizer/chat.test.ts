import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { applyChatTemplate, assistantMask, type ChatTemplate, loadChatTemplate, renderChat } from '../../src/tokenizer/chat.ts'
import { createTokenizer, loadTokenizer } from '../../src/tokenizer/tokenizer.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-chat-'))
after(() => rmSync(folder, { recursive: true }))

const messages = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Say hello.' },
  { role: 'assistant', content: 'Hello, wörld!' },
  { role: 'user', content: 'Again.' },
  { role: 'assistant', content: 'Hello.' },
]

// Of the known shapes, written for this test.
const chatMl: ChatTemplate = {
  source: `{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`,
  specials: {},
}
const llama3: ChatTemplate = {
  source: `{{- bos_token }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}`,
  specials: { bos_token: '<|begin_of_text|>' },
}
const mistral: ChatTemplate = {
  source: `{{ bos_token }}{% for message in messages %}
{%- if message.role == 'user' %}{{ '[INST] ' + message.content + ' [/INST]' }}
{%- elif message.role == 'assistant' %}{{ ' ' + message.content + eos_token }}
{%- else %}{{ raise_exception('only user and assistant may speak') }}{% endif %}
{%- endfor %}`,
  specials: { bos_token: '<s>', eos_token: '</s>' },
}

const gpt2 = await loadTokenizer('gpt2')
const names = [
  '<|im_start|>',
  '<|im_end|>',
  '<|begin_of_text|>',
  '<|start_header_id|>',
  '<|end_header_id|>',
  '<|eot_id|>',
  '<s>',
  '</s>',
  '[INST]',
  '[/INST]',
]
const added = names.map((content, i) => ({
  id: 50_257 + i,
  content,
  special: true,
  takesLeft: false,
  takesRight: false,
  normalized: false,
}))
const tokenizer = createTokenizer('chat', { ...gpt2.definition, added: [...gpt2.definition.added, ...added] }, '')

test('templates of the known shapes render as they say', () => {
  assert.equal(
    renderChat(chatMl, messages.slice(0, 2), { addGenerationPrompt: true }),
    '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nSay hello.<|im_end|>\n<|im_start|>assistant\n',
  )
  assert.equal(
    renderChat(llama3, messages.slice(1, 2), { addGenerationPrompt: true }),
    '<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nSay hello.<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n',
  )
  assert.equal(renderChat(mistral, messages.slice(1, 3)), '<s>[INST] Say hello. [/INST] Hello, wörld!</s>')
})

test('special tokens of the template become their ids', () => {
  const { text, tokens } = applyChatTemplate(tokenizer, chatMl, messages)
  assert.equal(tokens.filter((id) => id === 50_257).length, messages.length)
  assert.equal(tokenizer.decode(tokens), text)
})

test('the mask covers what the assistant says, its end included, and nothing else', () => {
  for (const [template, turns, said] of [
    [chatMl, messages, 'Hello, wörld!<|im_end|>\nHello.<|im_end|>\n'],
    [llama3, messages, 'Hello, wörld!<|eot_id|>Hello.<|eot_id|>'],
    [mistral, messages.slice(1), ' Hello, wörld!</s> Hello.</s>'],
  ] as const) {
    const { tokens } = applyChatTemplate(tokenizer, template, turns)
    const mask = assistantMask(tokenizer, template, turns, tokens)
    assert.equal(mask.length, tokens.length)
    assert.equal(tokenizer.decode(tokens.filter((_, i) => mask[i] === 1)), said)
  }
})

// The masks are those of transformers 5.24, `apply_chat_template(…, return_assistant_tokens_mask=True)`.
test('where a template marks what the assistant generates, the mask is that of the mark', () => {
  const turns = [
    { role: 'user', content: 'Say hello.' },
    { role: 'assistant', content: 'Hello, wörld! 🦊' },
    { role: 'user', content: 'x' },
    { role: 'assistant', content: 'ok' },
  ]
  const role = "{% if m.role == 'assistant' %}"
  const loop = (said: string) => `{%- for m in messages -%}${role}${said}{% else %}U: {{ m.content }};{% endif %}{%- endfor -%}`
  const cases: [said: string, text: string, learned: string][] = [
    ['A:{% generation %} {{ m.content }}{% endgeneration %};', 'A: Hello, wörld! 🦊;', ' Hello, wörld! 🦊 ok'],
    ['A: {%- generation -%}\n {{ m.content }} {%- endgeneration -%}\n ;', 'A:Hello, wörld! 🦊;', 'Hello, wörld! 🦊ok'],
    ['\n  {% generation %}\n{{ m.content }}.\n  {% endgeneration %}\n', 'Hello, wörld! 🦊.\n', 'Hello, wörld! 🦊.\nok.\n'],
    // A token that holds both what is marked and what is not is learned from.
    ['say{% generation %}ing {{ m.content }}{% endgeneration %}', 'saying Hello, wörld! 🦊', 'aying Hello, wörld! 🦊aying ok'],
  ]
  for (const [said, text, learned] of cases) {
    const template = { source: loop(said), specials: {} }
    const { text: whole, tokens } = applyChatTemplate(tokenizer, template, turns)
    assert.ok(whole.startsWith(`U: Say hello.;${text}U: x;`), whole)
    const mask = assistantMask(tokenizer, template, turns, tokens)
    assert.equal(tokenizer.decode(tokens.filter((_, i) => mask[i] === 1)), learned)
  }
  for (const said of ['{% generation %}{{ m.content }}', '{% endgeneration %}{% generation %}']) {
    const template = { source: loop(said), specials: {} }
    const { tokens } = applyChatTemplate(tokenizer, template, turns)
    assert.throws(() => assistantMask(tokenizer, template, turns, tokens), { code: 'SLUICE_CHAT_MASK' })
  }
})

test('templates are read from beside the tokenizer, with their special tokens', async () => {
  const path = join(folder, 'tokenizer.json')
  await assert.rejects(loadChatTemplate(path), { code: 'SLUICE_CHAT_TEMPLATE' })
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify({ bos_token: { content: '<s>' }, eos_token: '</s>' }))
  await assert.rejects(loadChatTemplate(path), { code: 'SLUICE_CHAT_TEMPLATE', message: /no chat_template/ })
  const templates = [
    { name: 'tool_use', template: 'x' },
    { name: 'default', template: mistral.source },
  ]
  writeFileSync(
    join(folder, 'tokenizer_config.json'),
    JSON.stringify({ bos_token: { content: '<s>' }, eos_token: '</s>', chat_template: templates }),
  )
  assert.deepEqual(await loadChatTemplate(path), mistral)
})

test('what a template refuses, and what cannot be masked, is said with a code', () => {
  assert.throws(() => renderChat(mistral, messages), { code: 'SLUICE_CHAT_TEMPLATE', message: /only user and assistant/ })
  const forgetful = { source: '{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}', specials: {} }
  const { tokens } = applyChatTemplate(tokenizer, forgetful, messages)
  assert.throws(() => assistantMask(tokenizer, forgetful, messages, tokens), { code: 'SLUICE_CHAT_MASK' })
})
